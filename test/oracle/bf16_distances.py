"""Oracle for bf16 products: the error of PyTorch's own bf16 on the models of model_fixtures.py.

    VENV/bin/python test/oracle/bf16_distances.py        # writes test/oracle/fixtures/bf16-distances.json

Each model runs in float64, and in float32 under autocast to bfloat16 on the CPU. The fixture stores ‖Δ‖ / ‖exact‖ of the logits,
of all gradients together, and of each parameter's gradient. Quern's error may be at most twice as large.
"""
import json
import pathlib

import torch
from model_fixtures import MODELS, STEPS, build, comparable, in_float64, loss_of

found = {}
for name, m in MODELS.items():
    generator = torch.Generator().manual_seed(100 + m["seed"])
    batch = torch.randint(0, m["vocab"], (STEPS, m["batch"], m["sequence"] + 1), generator=generator)[0]
    exact, rounded = in_float64(build(m)), in_float64(build(m)).float()
    loss, logits = loss_of(exact, batch)
    loss.backward()
    with torch.autocast("cpu", torch.bfloat16):
        rounded_loss, rounded_logits = loss_of(rounded, batch)
    rounded_loss.backward()
    gradients = {n: (comparable(n, p.grad), comparable(n, q.grad.double())) for (n, p), (_, q)
                 in zip(exact.named_parameters(), rounded.named_parameters())}
    far = lambda pairs: (sum((b - a).norm() ** 2 for a, b in pairs) / sum(a.norm() ** 2 for a, _ in pairs)).sqrt().item()
    found[name] = {
        "loss": abs(rounded_loss.item() - loss.item()),
        "logits": far([(logits.detach(), rounded_logits.detach().double())]),
        "all_gradients": far(gradients.values()),
        "gradients": {n: far([pair]) for n, pair in gradients.items()},
    }
    print(name, {k: v for k, v in found[name].items() if k != "gradients"})
path = pathlib.Path(__file__).parent / "fixtures" / "bf16-distances.json"
path.write_text(json.dumps({"made_by": f"test/oracle/bf16_distances.py, torch {torch.__version__}", "models": found}, indent=1) + "\n")
