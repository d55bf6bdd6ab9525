"""Writes test/tokenizer/fixtures: output of the Rust `tokenizers` for small texts, for tests that run without Python.

    pip install tokenizers
    python tokenizer_fixtures.py ENGLISH.txt JAPANESE.txt        (public-domain texts; the first 30,000 characters are kept)
"""
import json, os, sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

out = os.path.join(os.path.dirname(__file__), "..", "tokenizer", "fixtures")
os.makedirs(out, exist_ok=True)
english = open(sys.argv[1], encoding="utf-8").read()[:30000]
japanese = open(sys.argv[2], encoding="utf-8").read()[5000:15000]
code = "".join(open(__file__, encoding="utf-8").read())[:4000]
write = lambda name, value: open(os.path.join(out, name), "w", encoding="utf-8").write(value)

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + TAIL
)
QWEN = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + TAIL
OTHER = r"(?>[A-Za-z]++)|\d{1,2}+|\s(?=\S)|[^\w\s]+|(?i:st)"


def train(texts, pattern, size, special, normalizer=None, min_frequency=0):
    t = Tokenizer(models.BPE())
    if normalizer:
        t.normalizer = normalizer
    split = [pre_tokenizers.Split(Regex(pattern), "isolated")] if pattern else []
    t.pre_tokenizer = pre_tokenizers.Sequence(split + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not pattern)])
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False,
        min_frequency=min_frequency, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    return t


# Training: merges of three corpora, each with a different pattern.
corpora = [
    ("english", [english[i:i + 3000] for i in range(0, len(english), 3000)], "o200k", O200K, 1200, 0),
    ("japanese", [japanese], "gpt2", None, 900, 0),
    ("code", [code, english[:2000], "aaaaaaaaaaaaaaa aaaaaaa aaa \n\n\n\n   "], "qwen2", QWEN, 3000, 2),
    ("other", [english[:8000]], OTHER, OTHER, 500, 0),
]
training = []
for name, texts, label, pattern, size, least in corpora:
    t = train(texts, pattern, size, ["<|endoftext|>", "<pad>"], min_frequency=least)
    merges = json.loads(t.to_str())["model"]["merges"]
    training.append({"name": name, "texts": texts, "pattern": label, "vocabSize": size, "minFrequency": least,
                     "merges": [m if isinstance(m, str) else " ".join(m) for m in merges]})
write("training.json", json.dumps(training, ensure_ascii=False))

# Added tokens with every flag, NFC, a template: ids, offsets and decoding.
t = train([english, japanese], QWEN, 700, ["<|endoftext|>"], normalizers.NFC())
t.add_special_tokens(["<s>", "</s>", AddedToken("<mask>", lstrip=True, special=True), AddedToken("<r>", rstrip=True, special=True)])
t.add_tokens([AddedToken("<think>", normalized=False), AddedToken("<thinking>", normalized=False),
              AddedToken("word", single_word=True, normalized=False), AddedToken("café", normalized=True),
              AddedToken("  ", normalized=False)])
t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="$A $B", special_tokens=[("<s>", t.token_to_id("<s>")), ("</s>", t.token_to_id("</s>"))])
write("added-tokens.json", t.to_str(pretty=True))
texts = ["", "plain text", "<s>a</s>", "x  <mask>  y", "x  <r>  y", "<think>a<thinking>b</thinking>", "word sword word's words word",
         "caf\u00e9 cafe\u0301 CAFE\u0301", "e\u0301\u0302 o\u0308 \u1100\u1161\u11a8 \u212b", "a  b   c", "<|endoftext|><|endoftext|>",
         "\u732b\u306f<mask>\U0001f44d\U0001f3fd", "<mask><r> <mask>", "tail <r>", "word\u00e9 \u00e9word word", "A\u030a\u0323<s>\u0301x"]
cases = []
for text in texts:
    entry = {"text": text}
    for key, as_text in (("asText", True), ("allowed", False)):
        t.encode_special_tokens = as_text
        e = t.encode(text, add_special_tokens=False)
        entry[key] = {"ids": e.ids, "offsets": e.offsets}
    t.encode_special_tokens = False
    entry["withTemplate"] = t.encode(text).ids
    entry["decoded"] = t.decode(entry["allowed"]["ids"], skip_special_tokens=False)
    entry["decodedWithoutSpecial"] = t.decode(entry["allowed"]["ids"], skip_special_tokens=True)
    cases.append(entry)
write("added-tokens.cases.json", json.dumps(cases, ensure_ascii=False, indent=1))
