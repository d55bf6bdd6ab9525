"""Writes test/oracle/fixtures/sampling.json: random logits after transformers' logits processors, in the order in which
`generate` applies them, with the resulting probabilities.

    pip install torch==2.13.0 transformers==5.23.0 && python test/oracle/sampling_fixture.py
"""
import json
import pathlib

import torch
import transformers
from transformers.generation.logits_process import (
    LogitsProcessorList, MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper, TopKLogitsWarper,
    TopPLogitsWarper)

torch.manual_seed(0)
random = torch.Generator().manual_seed(5)
V = 40
settings = [
    {"temperature": 1.0}, {"temperature": 0.5, "topK": 5}, {"temperature": 1.3, "topP": 0.6},
    {"temperature": 1.0, "topP": 0.01}, {"temperature": 0.8, "minP": 0.1}, {"temperature": 2.0, "minP": 0.5},
    {"temperature": 1.0, "minP": 1.0}, {"temperature": 1.0, "repetitionPenalty": 1.8},
    {"temperature": 0.7, "repetitionPenalty": 0.6}, {"temperature": 0.9, "topK": 12, "topP": 0.8, "minP": 0.05},
    {"temperature": 1.5, "topK": 30, "topP": 0.95, "minP": 0.02, "repetitionPenalty": 1.2},
    {"temperature": 1.0, "topK": 100, "topP": 0.5},
]
cases = []
for number, setting in enumerate(settings):
    # Four digits, so that both sides read the same numbers and some logits are equal.
    logits = (torch.randn(V, generator=random) * 3 * 10).round() / 10
    seen = torch.randint(0, V, (9,), generator=random)
    processors = LogitsProcessorList()
    if "repetitionPenalty" in setting:
        processors.append(RepetitionPenaltyLogitsProcessor(setting["repetitionPenalty"]))
    processors.append(TemperatureLogitsWarper(setting["temperature"]))
    if "topK" in setting:
        processors.append(TopKLogitsWarper(setting["topK"]))
    if "topP" in setting:
        # Which of equal logits are kept is undefined, so these settings use logits that all differ.
        logits = logits + torch.arange(V) / 4096
        processors.append(TopPLogitsWarper(setting["topP"]))
    if "minP" in setting:
        processors.append(MinPLogitsWarper(setting["minP"]))
    left = processors(seen[None], logits[None].float())[0]
    probabilities = left.double().softmax(-1)
    cases.append({"options": setting, "logits": [float(x) for x in logits.float()], "seen": seen.tolist(),
                  "probabilities": {i: float(p) for i, p in enumerate(probabilities) if p > 0}})
path = pathlib.Path(__file__).parent / "fixtures" / "sampling.json"
path.write_text(json.dumps({"transformers": transformers.__version__, "cases": cases}) + "\n")
