"""Peer of bench/corpus-signatures.ts: datatrove's MinHash signatures called directly on the English documents.

    python corpus_minhash.py DOCUMENTS.jsonl.gz whole|hash EVERY

`whole` computes words (spaCy's), shingles and signatures; `hash` starts from words split at spaces. Prints {"seconds", "bytes"} of one pass over every EVERY-th document, after a short warm-up.
"""
import gzip
import json
import sys
import time

from datatrove.pipeline.dedup import MinhashDedupSignature
from datatrove.utils.text import simplify_text
from datatrove.utils.word_tokenizers import WordTokenizer


class Ready(WordTokenizer):
    def word_tokenize(self, words):
        return words

    def sent_tokenize(self, text):
        return [text]

    def span_tokenize(self, text):
        return [(0, len(text))]


path, kind, every = sys.argv[1], sys.argv[2], int(sys.argv[3])
texts = [json.loads(line)["text"] for line in gzip.open(path, "rt")][::every]
step = MinhashDedupSignature("/tmp")
inputs = texts
if kind == "hash":
    import datatrove.pipeline.dedup.minhash as minhash

    inputs = [simplify_text(text, step.config.norm_config).split() for text in texts]
    minhash.simplify_text = lambda words, config: words
    step.word_tokenizer = Ready()


def signature(value):
    shingles = step.get_shingles(value)
    if shingles.size > 0:
        step.get_signature(shingles)


for value in inputs[:20]:
    signature(value)
start = time.perf_counter()
for value in inputs:
    signature(value)
print(json.dumps({"seconds": time.perf_counter() - start, "bytes": sum(len(text.encode()) for text in texts)}))
