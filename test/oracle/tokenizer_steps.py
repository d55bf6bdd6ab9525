"""Writes test/tokenizer/fixtures/tokenizer-steps.json: ids from the Rust `tokenizers` with many pre-tokenizers and normalizers.

    python test/oracle/tokenizer_steps.py                    # the fixture
    python test/oracle/tokenizer_steps.py SEED COUNT FILE    # more texts, to compare by hand

Needs tokenizers 0.23.
"""
import itertools
import json
import os
import random
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
WHOLE = {**BYTES, "use_regex": False}
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def digits(individual):
    return {"type": "Digits", "individual_digits": individual}


def row(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
PRE = {
    "bytes": BYTES,
    "prefix": {**BYTES, "add_prefix_space": True},
    "prefix, whole": {**WHOLE, "add_prefix_space": True},
    "starcoder": row(digits(True), BYTES),
    "digit runs": row(digits(False), BYTES),
    "digits, whole": row(digits(True), WHOLE),
    "falcon": row({"type": "Punctuation", "behavior": "Contiguous"}, BYTES, digits(False), split({"Regex": "[0-9][0-9][0-9]"})),
    "bytes, digits": row(BYTES, digits(True)),
    "bytes, merged": row(BYTES, split({"Regex": "[\u0100-\u0143]"}, "MergedWithNext")),
    "bytes, punctuation": row(WHOLE, {"type": "Punctuation", "behavior": "MergedWithPrevious"}),
    "whitespace": row({"type": "Whitespace"}, WHOLE),
    "whitespace split": row({"type": "WhitespaceSplit"}, BYTES),
    "delimiter": row({"type": "CharDelimiterSplit", "delimiter": "."}, BYTES),
    "deepseek": row(split({"Regex": r"\p{N}{1,3}"}), split({"Regex": "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"}), split({"Regex": LLAMA}), WHOLE),
    "llama, digits": row(digits(True), split({"Regex": LLAMA}), WHOLE),
    "gpt2 regex": row(split({"Regex": GPT2}, "Removed", True), WHOLE),
    "empty matches": row(split({"Regex": r"\d*"}, "MergedWithPrevious"), WHOLE),
    "empty matches, next": row(split({"Regex": r"(?=a)|\s"}, "MergedWithNext"), WHOLE),
    "empty text": row(split({"String": ""}), BYTES),
    "lookbehind": row(split({"Regex": r"(?<=\d)\D|(?<!a)b"}, "Contiguous"), WHOLE),
    "line ends": row(split({"String": "\n"}, "MergedWithPrevious"), BYTES),
    "special text": row(split({"String": "a.b"}, "Isolated"), split({"String": "-"}, "MergedWithNext"), BYTES),
    "emoji": row(split({"String": "\U0001f600"}, "MergedWithPrevious"), BYTES),
}
for behavior, invert in itertools.product(BEHAVIORS, (False, True)):
    PRE[f"split {behavior} {invert}"] = row(split({"Regex": r"\s+|[aeiou]|\p{P}"}, behavior, invert), WHOLE)
for behavior in BEHAVIORS:
    PRE[f"punctuation {behavior}"] = row({"type": "Punctuation", "behavior": behavior}, BYTES)

NORMALIZERS = {
    "NFC": {"type": "NFC"},
    "NFD": {"type": "NFD"},
    "NFKC": {"type": "NFKC"},
    "NFKD": {"type": "NFKD"},
    "lower": {"type": "Lowercase"},
    "strip": {"type": "Strip", "strip_left": True, "strip_right": True},
    "strip right": {"type": "Strip", "strip_left": False, "strip_right": True},
    "accents": {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]},
    "replace": {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    "replace regex": {"type": "Replace", "pattern": {"Regex": " {2,}|a"}, "content": "<>"},
    "prepend": {"type": "Prepend", "prepend": "x"},
    "all": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": False}, {"type": "Replace", "pattern": {"Regex": "e|\u00e9"}, "content": ""}, {"type": "Prepend", "prepend": "\u2581"}]},
}

POOLS = [
    "abcdefghijklmnopqrstuvwxyz", "ABCDEZ", "0123456789", " ", " \t\n\r\u00a0\u2003\u2028\u3000", ".,;:!?'\"-_()[]{}<>/\\@#$%^&*+=~`|",
    "\u00e9\u00e8\u00fc\u00df\u0130\u01c6\u00c5", "\u0301\u0308\u0327\u20dd", "\u732b\u306f\u30ab\u30ac\uff76\uff9e\ud55c\u1100\u1161\u11a8", "\u00b2\u00bc\u2167\u0663\u0968\u2460\u4e94",
    "\U0001f600\U0001f44d\U0001f3fd\u200d", "\u00bf\u00a1\u2014\u2026\u3002\uff0c\u00a7\u00ab", "\ufb01\u2126\u212b\u03a3\u03c2", "\u200b\ufeff\u00ad", "\u20ac\u00a9\u221e\u2190",
]


def random_text(r):
    out = []
    for _ in range(r.randint(0, 6)):
        pool = r.choice(POOLS)
        out.append("".join(r.choice(pool) for _ in range(r.randint(1, 4))))
        if r.random() < 0.4:
            out.append(r.choice([" ", "  ", "it's", " don't", "a.b", "123", "\n", " caf\u00e9", "abc", " 42,"]))
    return "".join(out)


def train():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    r = random.Random(1)
    texts = [random_text(r) for _ in range(300)] + ["the cat isn't in the hat, it's 123 or 1234! caf\u00e9 \u732b\u306f "] * 5
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=420, special_tokens=["<s>"], show_progress=False, initial_alphabet=alphabet))
    return json.loads(t.to_str())


def made(base, pre, normalizer):
    return Tokenizer.from_str(json.dumps({**base, "pre_tokenizer": pre, "normalizer": normalizer}))


if __name__ == "__main__":
    seed, count, path = (int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]) if len(sys.argv) > 1 else (5, 12, None)
    r = random.Random(seed)
    base = train()
    cases = []
    chosen = [(name, pre, None) for name, pre in PRE.items()]
    chosen += [(name, BYTES, normalizer) for name, normalizer in NORMALIZERS.items()]
    chosen += [("starcoder, all", PRE["starcoder"], NORMALIZERS["all"])]
    for name, pre, normalizer in chosen:
        t = made(base, pre, normalizer)
        texts = ["", "a", "The caf\u00e9's 12345 cats, isn't it?  "] + [random_text(r) for _ in range(count)]
        encodings = [t.encode(text, add_special_tokens=False) for text in texts]
        cases.append({"name": name, "pre_tokenizer": pre, "normalizer": normalizer, "texts": texts, "ids": [e.ids for e in encodings], "decoded": [t.decode(e.ids) for e in encodings]})
    path = path or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tokenizer/fixtures/tokenizer-steps.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"base": ' + json.dumps({**base, "model": {**base["model"], "merges": [" ".join(m) for m in base["model"]["merges"]]}}, ensure_ascii=False) + ',\n"cases": [\n')
        file.write(",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases) + "\n]}\n")
    print(len(cases), "configurations,", sum(len(case["texts"]) for case in cases), "texts")
