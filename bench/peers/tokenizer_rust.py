"""Rust peers of bench/tokenizer.ts, called from Python. The job is JSON in argv[1], the output one JSON line.

    pip install tiktoken tokenizers        (QUERN_PYTHON names the interpreter that has them)
"""
import base64, json, os, sys, time

job = json.loads(sys.argv[1])
os.environ["TOKENIZERS_PARALLELISM"] = "true" if job.get("threads", 1) > 1 else "false"
os.environ["RAYON_NUM_THREADS"] = str(job.get("threads", 1))


def pieces(path):
    return json.load(open(path, encoding="utf-8"))


def rate(encode, path):
    texts = pieces(path)
    size = sum(len(t.encode()) for t in texts)
    begin = time.perf_counter()
    tokens = encode(texts)
    return {"rate": size / (time.perf_counter() - begin) / 1e6, "tokens": tokens}


if job["work"] == "tiktoken":
    import tiktoken
    import tiktoken_ext.openai_public as public

    ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in open(job["ranks"], "rb"))}
    public.load_tiktoken_bpe = lambda *a, **k: ranks
    encoding = tiktoken.Encoding(**public.cl100k_base())
    encode = lambda texts: sum(len(encoding.encode_ordinary(t)) for t in texts)
    print(json.dumps({"cold": rate(encode, job["first"]), "warm": rate(encode, job["second"])}))
elif job["work"] == "tokenizers":
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(job["file"])
    encode = lambda texts: sum(len(e.ids) for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False))
    print(json.dumps({"cold": rate(encode, job["first"]), "warm": rate(encode, job["second"])}))
elif job["work"] == "train":
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(job["pattern"]), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    trainer = trainers.BpeTrainer(vocab_size=job["vocabSize"], special_tokens=["<|endoftext|>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    texts = pieces(job["first"])
    begin = time.perf_counter()
    tokenizer.train_from_iterator(texts, trainer)
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "merges": len(json.loads(tokenizer.to_str())["model"]["merges"])}))
