"""Writes test/oracle/fixtures/perplexity.json: nats of token sequences with transformers, in overlapping windows, with the
model of fixtures/llama-grouped-tied.safetensors.

    pip install torch==2.13.0 transformers==5.23.0 safetensors && python test/oracle/perplexity_fixture.py
"""
import json
import pathlib

import torch
import transformers
from safetensors import safe_open
from transformers import LlamaConfig, LlamaForCausalLM

folder = pathlib.Path(__file__).parent / "fixtures"
with safe_open(folder / "llama-grouped-tied.safetensors", "pt") as file:
    config = json.loads(file.metadata()["config"])
    weights = {key.removeprefix("parameter."): file.get_tensor(key) for key in file.keys() if key.startswith("parameter.")}
model = LlamaForCausalLM(LlamaConfig(**config)).eval()
missing, unexpected = model.load_state_dict(weights, strict=False)
assert not unexpected and all("lm_head" in key for key in missing), (missing, unexpected)

random = torch.Generator().manual_seed(11)
cases = []
for length, given, sequence, stride in [(2, 1, 16, 8), (17, 1, 16, 16), (100, 1, 16, 16), (100, 1, 16, 5), (61, 3, 24, 1)]:
    ids = torch.randint(0, config["vocab_size"], (length,), generator=random)
    nats, scored = 0.0, given  # tokens before `scored` are done
    for start in range(0, length, stride):
        if scored >= length:
            break
        window = ids[start:start + sequence + 1]  # the last token is only a target
        with torch.no_grad():
            logs = model(window[None, :-1]).logits[0].double().log_softmax(-1)
        for t in range(len(window) - 1):
            if start + t + 1 >= scored:
                nats -= float(logs[t, window[t + 1]])
        scored = max(scored, start + len(window))
    cases.append({"ids": ids.tolist(), "given": given, "sequence": sequence, "stride": stride, "nats": nats})
path = folder / "perplexity.json"
path.write_text(json.dumps({"transformers": transformers.__version__, "cases": cases}) + "\n")
