"""Writes test/data/fixtures/datatrove-clusters.json: documents with planted near-duplicates and the clusters that
datatrove's MinHash (14 bands of 8, word 5-grams, xxhash, 64 bits) finds among them, with words split at spaces (Quern's
rule) and with its own spaCy words.

    python test/oracle/datatrove_clusters.py        # datatrove 0.10, spacy 3.8, xxhash 3, tokenizers
"""
import json
import random
import struct
import tempfile
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.utils.word_tokenizers import WordTokenizer

random.seed(11)
SYLLABLES = ["ka", "lo", "mi", "ren", "to", "su", "vel", "dar", "né", "ça", "ü", "shi"]
WORDS = ["".join(random.choices(SYLLABLES, k=random.randint(1, 3))) for _ in range(3000)] + [
    "cannot", "gonna", "don't", "it's", "U.S.", "3.14", "1,000", "km", "Über", "naïve", "e-mail"]


def text(words):
    marks = random.choices(["", "", "", ",", ".", "!", " —"], k=len(words))
    return " ".join(word + mark for word, mark in zip(words, marks))


documents = []
for family in range(45):
    words = random.choices(WORDS, k=random.randint(40, 90))
    documents.append(text(words))
    for _ in range(random.randint(0, 4)):
        # Each copy is made from the previous one, so that clusters are connected by chains.
        words = list(words)
        for _ in range(random.randint(0, 4)):
            words[random.randrange(len(words))] = random.choice(WORDS)
        documents.append(text([word.upper() if random.random() < 0.05 else word for word in words]))
documents += ["", "one", "two words", "one two three four", "one two three four"]
random.shuffle(documents)


class Spaces(WordTokenizer):
    def word_tokenize(self, text):
        return text.split()

    def sent_tokenize(self, text):
        return [text]

    def span_tokenize(self, text):
        return [(0, len(text))]


def clusters(words):
    config = MinhashConfig()
    with tempfile.TemporaryDirectory() as folder:
        signature = MinhashDedupSignature(f"{folder}/sig", config)
        if words is not None:
            signature.word_tokenizer = words
        list(signature.run([Document(text, str(i)) for i, text in enumerate(documents)], 0, 1) or [])
        for band in range(config.num_buckets):
            MinhashDedupBuckets(f"{folder}/sig", f"{folder}/dups", config=config).run(None, band, config.num_buckets)
        MinhashDedupCluster(f"{folder}/dups", f"{folder}/out", config=config, save_cluster_id=True).run()
        data = Path(f"{folder}/out/000000.clusters").read_bytes()
    found = {}
    for document, cluster in struct.iter_unpack("<II", data):
        found.setdefault(cluster, []).append(document)
    return sorted(sorted(members) for members in found.values())


out = Path(__file__).parent.parent / "data" / "fixtures" / "datatrove-clusters.json"
out.write_text(json.dumps({"documents": documents, "clusters": clusters(Spaces()), "spacy": clusters(None)}, ensure_ascii=False) + "\n")
