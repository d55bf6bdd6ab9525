"""Writes test/oracle/fixtures/tiny-chat/, a Llama of two layers with a tokenizer and a chat template, and log-likelihoods.json
beside it: requests as lm-evaluation-harness 0.4.13 encodes, truncates and scores them, by transformers in float64, and the
windows of its `get_rolling_token_windows`.

    pip install torch==2.13.0 transformers==5.24.0 lm_eval==0.4.13 && python test/oracle/log_likelihoods.py
"""
import json
import math
import pathlib

import torch
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

fixtures = pathlib.Path(__file__).parent / "fixtures"
folder = fixtures / "tiny-chat"

SPECIAL = ["<|pad|>", "<|im_start|>", "<|im_end|>"]
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
vocab = {token: i for i, token in enumerate([*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("Ġ", "a"), ("e", "r"), ("o", "n"), ("Ġ", "Ġ"), ("a", "t")]
for a, b in merges:
    vocab[a + b] = len(vocab)
inner = Tokenizer(models.BPE(vocab=vocab, merges=merges))
inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
inner.decoder = decoders.ByteLevel()
inner.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=inner, pad_token="<|pad|>", bos_token="<|im_start|>", eos_token="<|im_end|>", chat_template=CHAT
)

CONTEXT = 96
torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=len(vocab), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=CONTEXT, rms_norm_eps=1e-5, tie_word_embeddings=True, pad_token_id=0,
    bos_token_id=1, eos_token_id=2, initializer_range=0.2,
)
model = LlamaForCausalLM(config).to(torch.bfloat16)
model.save_pretrained(folder)
tokenizer.save_pretrained(folder)
# Read again: rounding the model to bfloat16 rounded its rotary frequencies too.
model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()


def encode(text, add_special_tokens=True):
    return tokenizer.encode(text, add_special_tokens=add_special_tokens)


def pair(context, continuation):
    """lm_eval/api/model.py, TemplateLM.loglikelihood and _encode_pair."""
    prefix = tokenizer.bos_token_id
    if context == "":
        ids = encode(continuation, add_special_tokens=False)
        return ([prefix], ids) if ids[0] != prefix else (ids[:1], ids[1:])
    spaces = len(context) - len(context.rstrip())
    if spaces > 0:
        continuation = context[-spaces:] + continuation
        context = context[:-spaces]
    whole, before = encode(context + continuation), encode(context)
    return before, whole[len(before):]


def score(context, continuation):
    """lm_eval/models/huggingface.py, HFLM._loglikelihood_tokens."""
    ids = (context + continuation)[-(CONTEXT + 1):]
    with torch.no_grad():
        logs = model(torch.tensor([ids[:-1]])).logits[0].log_softmax(-1)[-len(continuation):]
    targets = torch.tensor(continuation)
    total = float(logs.gather(1, targets[:, None]).sum())
    return total, bool((logs.argmax(-1) == targets).all())


def greedy(context, count):
    ids = encode(context)
    for _ in range(count):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return tokenizer.decode(ids)[len(context):]


texts = [
    ("The answer to the question is", " in the other"),
    ("A trailing space ", "on"),
    ("Two trailing spaces  ", "at the end"),
    ("a line break\n", "then the rest"),
    ("", "Nothing stands before it"),
    ("", "<|im_start|>user\nhello"),
    ("<|im_start|>user\nthe<|im_end|>\n<|im_start|>assistant\n", "her"),
    ("th", "e merge over the border"),
    ("Grüße, 日本", "語 is one"),
    ("x", "y"),
    ("the " * 100, "cut from the left"),
    ("short", " and a long continuation that has more tokens than what stands before it does"),
]
requests = []
for context, continuation in [*texts, *((c, greedy(c, 3)) for c in ["Once upon a time", "in the"])]:
    before, ids = pair(context, continuation)
    total, is_greedy = score(before, ids)
    requests.append({"context": context, "continuation": continuation, "ids": [before, ids], "logLikelihood": total,
                     "isGreedy": is_greedy, "tokens": len(ids)})
assert any(r["isGreedy"] for r in requests) and not all(r["isGreedy"] for r in requests)

rolling = []
for text in ["", "the", "Grün ist die Heide. " * 3, "the one and the other, at the end of the line. " * 9, "on" * CONTEXT]:
    windows = [make_disjoint_window(w) for w in get_rolling_token_windows(encode(text), tokenizer.bos_token_id, CONTEXT, 1)]
    rolling.append({"text": text, "tokens": len(encode(text)), "logLikelihood": math.fsum(score(*w)[0] for w in windows)})

windows = []
for tokens, sequence, context in [(10, 4, 1), (10, 4, 2), (3, 8, 1), (8, 8, 1), (16, 5, 1), (17, 5, 3), (1, 4, 1), (0, 4, 1)]:
    pairs = list(get_rolling_token_windows(list(range(1, tokens + 1)), 0, sequence, context))
    windows.append({"tokens": tokens, "sequence": sequence, "context": context, "windows": pairs})
(fixtures / "log-likelihoods.json").write_text(
    json.dumps({"requests": requests, "rolling": rolling, "windows": windows}, ensure_ascii=False) + "\n"
)
