"""Writes src/eval/harness/functions/language-profiles.br from the profiles of the Python package langdetect 1.0.9.

    PYTHONPATH=PACKAGES python test/oracle/langdetect_profiles.py | node -e '
      const z = require("node:zlib"), params = { [z.constants.BROTLI_PARAM_LGWIN]: 24 };
      process.stdout.write(z.brotliCompressSync(require("node:fs").readFileSync(0), { params }));
    ' > src/eval/harness/functions/language-profiles.br

A line of JSON, the n-grams one a line, an empty line; then bytes: for each n-gram its number of languages, then for each of these
the language, then the logarithm of the n-gram's share there, linear between `low` and `high`.
"""

import json
import math
import os
import sys

import langdetect
from langdetect.utils.ngram import NGram

FOLDER = os.path.join(os.path.dirname(langdetect.__file__), "profiles")
names = sorted(name for name in os.listdir(FOLDER) if not name.startswith("."))
shares = {}
for index, name in enumerate(names):
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        profile = json.load(file)
    for gram, count in profile["freq"].items():
        if 1 <= len(gram) <= 3:
            shares.setdefault(gram, []).append((index, math.log(count / profile["n_words"][len(gram) - 1])))
grams = sorted(shares)
logs = [value for gram in grams for _, value in shares[gram]]
low, high = min(logs), max(logs)
header = {
    "languages": names,
    "low": low,
    "high": high,
    "excluded": NGram.LATIN1_EXCLUDED,
    "kanji": NGram.CJK_CLASS,
    "vietnamese": {"letters": NGram.TO_NORMALIZE_VI_CHARS, "marks": NGram.DMARK_CLASS, "combined": NGram.NORMALIZED_VI_CHARS},
}
out = sys.stdout.buffer
out.write(json.dumps(header, ensure_ascii=False).encode() + b"\n" + "\n".join(grams).encode() + b"\n\n")
out.write(bytes(len(shares[gram]) for gram in grams))
out.write(bytes(index for gram in grams for index, _ in shares[gram]))
out.write(bytes(round((value - low) / (high - low) * 255) for value in logs))
