"""Merges learned by the Rust trainer, and a check that the Rust library and transformers load Quern's files.

    pip install tokenizers transformers
    python tokenizer_merges.py train PATTERN VOCAB_SIZE OUT.json FILE...      each file is one document
    python tokenizer_merges.py compare OUT.json QUERN_FOLDER TEXT_FILE        same merges; both libraries load the folder
"""
import json, os, sys, time

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"\s*[\r\n]+|\s+(?!\S)|\s+"
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s++\z|" + TAIL,
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + TAIL,
}

if sys.argv[1] == "train":
    pattern, size, out, files = sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5:]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERNS.get(pattern, pattern)), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=["<|endoftext|>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    texts = [open(f, encoding="utf-8", newline="").read() for f in files]
    begin = time.perf_counter()
    tokenizer.train_from_iterator(texts, trainer)
    print(f"{time.perf_counter() - begin:.2f} s", file=sys.stderr)
    tokenizer.save(out)
else:
    theirs, folder, text = sys.argv[2:5]
    a, b = json.load(open(theirs)), json.load(open(os.path.join(folder, "tokenizer.json")))
    pairs = lambda m: [tuple(x.split(" ")) if isinstance(x, str) else tuple(x) for x in m]
    one, two = pairs(a["model"]["merges"]), pairs(b["model"]["merges"])
    same = sum(x == y for x, y in zip(one, two))
    print("merges", len(one), len(two), "equal" if one == two else f"differ: {same} equal, first at {next((i for i, (x, y) in enumerate(zip(one, two)) if x != y), min(len(one), len(two)))}")
    print("vocabulary", "equal" if a["model"]["vocab"] == b["model"]["vocab"] else "differs")
    value = open(text, encoding="utf-8", newline="").read()[:300000]
    x, y = Tokenizer.from_file(theirs).encode(value).ids, Tokenizer.from_file(os.path.join(folder, "tokenizer.json")).encode(value).ids
    os.environ["HF_HUB_OFFLINE"] = "1"
    from transformers import AutoTokenizer
    loaded = AutoTokenizer.from_pretrained(folder)
    z = loaded.encode(value, add_special_tokens=False)
    print("ids", len(x), "equal" if x == y == z else "differ", type(loaded).__name__)
    json.dump(y, open(os.path.join(folder, "ids.json"), "w"))
