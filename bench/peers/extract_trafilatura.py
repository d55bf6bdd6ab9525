"""Peer of bench/data-extract.ts: trafilatura. The job is JSON in argv[1], the output one JSON line.

    pip install "trafilatura>=2"        (QUERN_PYTHON names the interpreter that has it)
"""
import json, sys, time
import trafilatura

job = json.loads(sys.argv[1])
pages = [open(path, "rb").read() for path in job["pages"]]
for page in pages[:5]:
    trafilatura.extract(page, fast=job["fast"])
begin = time.perf_counter()
texts = [trafilatura.extract(page, fast=job["fast"]) or "" for page in pages]
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "texts": texts if job["texts"] else []}))
