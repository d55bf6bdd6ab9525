"""Peer of bench/data-clean.ts: datatrove's filters called directly on the English documents.

    python data_clean.py DOCUMENTS.jsonl.gz regex|spacy EVERY

Prints {"seconds", "bytes", "kept"} of one pass over every EVERY-th document, after a short warm-up.
"""
import gzip
import json
import re
import sys
import time

from datatrove.data import Document
from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
from datatrove.utils.word_tokenizers import WordTokenizer


class Regex(WordTokenizer):
    words = re.compile(r"\w+|[^\w\s]")
    ends = re.compile(r"[.!?]+(?=\s|$)")

    def word_tokenize(self, text):
        return self.words.findall(text)

    def sent_tokenize(self, text):
        return self.ends.split(text)

    def span_tokenize(self, text):
        ends = [m.end() for m in self.ends.finditer(text)] or [len(text)]
        return list(zip([0] + ends[:-1], ends))


path, words, every = sys.argv[1], sys.argv[2], int(sys.argv[3])
language = Regex() if words == "regex" else "en"
steps = [GopherRepetitionFilter(language=language), GopherQualityFilter(language=language),
         C4QualityFilter(language=language, filter_no_terminal_punct=False), FineWebQualityFilter(language=language)]
texts = [json.loads(line)["text"] for line in gzip.open(path, "rt")][::every]


def keep(text):
    document = Document(text=text, id="0", metadata={})
    for step in steps:
        result = step.filter(document)
        if isinstance(result, tuple) or not result:
            return False
    return True


for text in texts[:20]:
    keep(text + " ")  # a different text, because datatrove caches results
start = time.perf_counter()
kept = sum(map(keep, texts))
seconds = time.perf_counter() - start
print(json.dumps({"seconds": seconds, "bytes": sum(len(t.encode()) for t in texts), "kept": kept}))
