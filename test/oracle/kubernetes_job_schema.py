"""Writes the part of Kubernetes' own schema that a Job needs, for the test of the manifests.

    pip install kubernetes-validate && python test/oracle/kubernetes_job_schema.py

The package (Apache-2.0) carries the JSON schemas made of the OpenAPI document of each Kubernetes release (Apache-2.0); the
strict ones allow no unknown key. Descriptions are left out.
"""
import gzip
import json
import pathlib

import kubernetes_validate

RELEASE = "1.31.0"
folder = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema" / f"v{RELEASE}-local-strict"
definitions = json.loads((folder / "_definitions.json").read_text())
definitions = definitions.get("$defs", definitions.get("definitions"))
kept = {}


def plain(node):
    """A schema without prose, its references pointing into this file."""
    if isinstance(node, list):
        return [plain(each) for each in node]
    if not isinstance(node, dict):
        return node
    out = {}
    for key, value in node.items():
        if key == "properties":
            out[key] = {name: plain(each) for name, each in value.items()}
        elif key == "$ref":
            name = value.split("/")[-1]
            out[key] = f"#/$defs/{name}"
            if name not in kept:
                kept[name] = None
                kept[name] = plain(definitions[name])
        elif key not in ("description", "default", "format") and not key.startswith("x-kubernetes"):
            out[key] = plain(value)
    return out


schema = plain(definitions["io.k8s.api.batch.v1.Job"])
schema = {
    "$comment": f"batch/v1 Job of Kubernetes {RELEASE}, strict, without descriptions; Apache-2.0, "
    "The Kubernetes Authors; written by test/oracle/kubernetes_job_schema.py",
    **schema,
    "$defs": dict(sorted(kept.items())),
}
target = pathlib.Path(__file__).parent / "fixtures" / "kubernetes-job.schema.json.gz"
with open(target, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
    file.write(json.dumps(schema, separators=(",", ":")).encode())
print(target, len(kept), "definitions", target.stat().st_size, "bytes")
