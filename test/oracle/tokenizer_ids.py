"""Ids of difficult and random texts from other tokenizers, for comparison with Quern's.

    pip install tiktoken tokenizers
    python tokenizer_ids.py RANKS.tiktoken|tokenizer.json NAME SEED COUNT > cases.jsonl
    node compare_tokenizer_ids.mjs RANKS.tiktoken|tokenizer.json NAME cases.jsonl   (in this folder, after a build)

Texts: seeded mixtures of scripts, emoji, numbers, white space, control characters and code points assigned in Unicode 16. Special tokens are ordinary text for both.
"""
import base64, json, random, sys, unicodedata

path, name, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(seed)

SPACES = [" ", " ", " ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", "\u0085", "\u00a0", "\u3000", "\u2028", "\u2003", "\x0b", "\x1c", "\ufeff", "\u200b", "\u180e"]
WORDS = ["the", "Hello", "world", "HTTPServer", "don't", "I'LL", "we'Ve", "it'ſ", "'S", "'ſ", "'re", "x'd", "O'Neil", "naïve", "é", "cafe\u0301", "Straße", "ǅ", "ʰ", "ªº", "日本語", "吾輩は猫である。", "한국어", "각", "العربية", "مَرْحَبًا", "हिन्दी", "क्षत्रिय", "ไทย", "Ελλάδα", "ΣΊΣΥΦΟΣ", "Привет", "ⅷ", "²", "½", "٣٤٥", "12345", "1234567", "3.14", "0x1F", "1,000,000", "👍🏽", "👨‍👩‍👧‍👦", "🇫🇷", "❤️", "!!!", "...", "—", "//", "http://a.b/c?d=e", "foo_bar", "a/b\n/", "<|endoftext|>", "<|im_start|>", "<think>", "{\n\t\"k\": [1, 2]\n}", "if (x) {\r\n  return;\r\n}", "'", "''", "'l", "'v ", "\u0301", "a\u0301\u0302B", "K", "ﬁ", "ŉ", "İ", "ı", "\x00", "\x1b[31m", "𝔘𝔫𝔦", "𐐷"]
LETTERS = "aàbBcÇdsStTmMlLvVrReEéÉŁłΣσςДдאبक日ー々ʰ\u0301\u0300'’ſK"
assigned = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF and unicodedata.category(chr(c)) not in ("Cn", "Co") and not 0x1AC1 <= c <= 0x1ACE]  # marks whose class the Rust NFC does not know yet


def text():
    parts = []
    for _ in range(rng.randrange(1, 30)):
        kind = rng.random()
        if kind < 0.35:
            parts.append(rng.choice(WORDS))
        elif kind < 0.6:
            parts.append("".join(rng.choice(SPACES) for _ in range(rng.randrange(1, 4))))
        elif kind < 0.75:
            parts.append("".join(rng.choice(LETTERS) for _ in range(rng.randrange(1, 12))))
        elif kind < 0.85:
            parts.append(chr(rng.choice(assigned)) * rng.randrange(1, 4))
        elif kind < 0.9:
            parts.append("".join(chr(rng.choice(assigned)) for _ in range(rng.randrange(1, 20))))
        elif kind < 0.95:
            parts.append("".join(chr(rng.randrange(0, 256)) for _ in range(rng.randrange(1, 20))))
        else:
            parts.append(rng.choice("a =-_*#0\n ") * rng.randrange(1, 100))
    return "".join(parts)


if path.endswith(".tiktoken"):
    import tiktoken
    from tiktoken_ext import openai_public
    import tiktoken_ext.openai_public as public

    ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in open(path, "rb"))}
    real = public.load_tiktoken_bpe
    public.load_tiktoken_bpe = lambda *a, **k: ranks
    public.data_gym_to_mergeable_bpe_ranks = lambda *a, **k: ranks
    spec = getattr(public, {"gpt2": "r50k_base", "cl100k": "cl100k_base", "o200k": "o200k_base"}[name])()
    spec.pop("explicit_n_vocab", None)
    encoding = tiktoken.Encoding(**spec)
    encode = encoding.encode_ordinary
else:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    tokenizer.encode_special_tokens = True

    def encode(value):
        encoded = tokenizer.encode(value, add_special_tokens=False)
        return encoded.ids


for _ in range(count):
    value = text()
    print(json.dumps({"text": value, "ids": encode(value)}))
