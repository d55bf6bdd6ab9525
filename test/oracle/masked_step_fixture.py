"""Writes test/oracle/fixtures/masked-step.safetensors: a step of eight rows with unequal masks, in float64, with the model of
fixtures/llama-biases-llama3.safetensors (as model_fixtures.py builds it).

    pip install torch==2.13.0 transformers safetensors numpy && python test/oracle/masked_step_fixture.py

`token.*` is the mean loss of all targets other than −100, over all rows. `both.*` adds half of the mean squared error of a value
head on each row's last hidden state, over rows with a label, as in the loss of a reward or value model.
"""
import pathlib

import torch
from safetensors.torch import save_file

from model_fixtures import MODELS, build, in_float64

ROWS, LENGTH = 8, 12
m = MODELS["llama-biases-llama3"]
model = in_float64(build(m))
random = torch.Generator().manual_seed(7)
ids = torch.randint(0, m["vocab"], (ROWS, LENGTH), generator=random)
targets = torch.randint(0, m["vocab"], (ROWS, LENGTH), generator=random)
for row, counted in enumerate([12, 1, 0, 7, 0, 0, 3, 10]):  # rows 4 and 5 form a batch of two without any counted target
    targets[row, :LENGTH - counted] = -100
labels = torch.randn(ROWS, generator=random, dtype=torch.float64).float().double()
labelled = torch.tensor([1, 0, 1, 1, 0, 0, 0, 1], dtype=torch.float64)
head = (torch.randn(m["width"], generator=random, dtype=torch.float64) / m["width"] ** 0.5).float().double().requires_grad_()

tensors = {"ids": ids, "targets": targets, "labels": labels, "labelled": labelled, "value_head": head.detach().clone()}
for name in ("token", "both"):
    model.zero_grad()
    head.grad = None
    hidden = model.model(ids, use_cache=False).last_hidden_state
    logits = model.lm_head(hidden)
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, m["vocab"]), targets.reshape(-1), ignore_index=-100)
    tensors[f"{name}.token_loss"] = loss.detach().reshape(1)
    if name == "both":
        error = ((hidden[:, -1] @ head - labels) ** 2 * labelled).sum() / labelled.sum()
        tensors["both.value_loss"] = error.detach().reshape(1)
        loss = loss + 0.5 * error
    loss.backward()
    tensors[f"{name}.loss"] = loss.detach().reshape(1)
    tensors |= {f"{name}.gradient.{n}": p.grad.clone() for n, p in model.named_parameters()}
tensors["both.gradient.value_head"] = head.grad.clone()
stored = {n: (t.to(torch.int32) if t.dtype == torch.int64 else t.float()).contiguous() for n, t in tensors.items()}
path = pathlib.Path(__file__).parent / "fixtures" / "masked-step.safetensors"
save_file(stored, str(path), metadata={"made_by": f"test/oracle/masked_step_fixture.py, torch {torch.__version__}"})
print(path.stat().st_size, "bytes;", {n: round(t.item(), 4) for n, t in tensors.items() if n.endswith("loss")})
