"""Oracle for linearTokenStatistics: log-probability, entropy, greedy choice and log Σ p², and gradients, from PyTorch.

    VENV/bin/python test/oracle/token_statistics.py     # writes test/oracle/fixtures/token-statistics.json

Inputs are rounded to float32, everything else is float64. The first gradient is that of PPO's clipped objective, which depends
on the log-probability itself; the second one adds weighted entropies (of dw the first 60 rows). Target -100 is ignored.
"""
import json
import pathlib

import torch
import torch.nn.functional as F

found = []
for N, C, V, most in [(12, 6, 19, 1.5), (5, 4, 1100, 2.0), (6, 3, 11, 40.0)]:
    generator = torch.Generator().manual_seed(N * C + V)
    uniform = lambda *shape: (2 * torch.rand(*shape, generator=generator) - 1)
    x, w = (most * uniform(N, C)).double().requires_grad_(), uniform(V, C).double().requires_grad_()
    logits = x @ w.T
    targets = torch.randint(0, V, (N,), generator=generator)
    targets[::3] = logits.argmax(-1)[::3]
    targets[1] = -100
    counted = targets >= 0
    log_p = -F.cross_entropy(logits, targets, reduction="none", ignore_index=-100)
    distribution = torch.distributions.Categorical(logits=logits)
    old = (log_p + 0.4 * uniform(N)).detach().float().double()
    advantages = uniform(N).double()
    ratio = torch.exp(log_p - old)
    objective = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)[counted].sum()
    objective.backward(retain_graph=True)
    dx, dw = x.grad.clone(), w.grad.clone()
    weights = uniform(N).float().double()
    (distribution.entropy() * weights * counted).sum().backward()
    numbers = lambda t: [float(f"{v:.9g}") for v in t.detach().double().flatten().tolist()]
    found.append({
        "shape": [N, C, V], "x": numbers(x), "w": numbers(w), "targets": targets.tolist(),
        "old": numbers(old), "advantages": numbers(advantages),
        "log_probability": numbers(log_p), "entropy": numbers(distribution.entropy() * counted),
        "is_greedy": ((logits.argmax(-1) == targets) & counted).int().tolist(),
        "dx": numbers(dx), "dw": numbers(dw),
        "log_squares": numbers(torch.log((distribution.probs ** 2).sum(-1)) * counted), "weights": numbers(weights),
        "dx_entropy": numbers(x.grad), "dw_entropy": numbers(w.grad[:60]),
    })
path = pathlib.Path(__file__).parent / "fixtures" / "token-statistics.json"
path.write_text(json.dumps({"made_by": f"test/oracle/token_statistics.py, torch {torch.__version__}", "cases": found}) + "\n")
