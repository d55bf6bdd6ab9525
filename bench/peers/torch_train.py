"""Peer of bench/train.ts: trains the same model with PyTorch on the same machine.

    python3 -m venv VENV && VENV/bin/pip install torch==2.13.0 numpy
    VENV/bin/python bench/peers/torch_train.py --layers 4 --heads 6 --width 192 --hidden 512 --vocab 8192 \
        --batch 16 --sequence 256 --threads 2 --steps 10 [--dtype bf16] [--compile] [--tokens RUN/tokens]
    VENV/bin/python bench/peers/torch_train.py --family gpt2 --layers 12 --heads 12 --width 768 --vocab 50257 \
        --positions 1024 --batch 4 --sequence 256 --threads 2 --steps 5

With --ranks N it starts N processes on this machine, which train by DistributedDataParallel with gloo; --batch and --threads are
then of each, tokens_per_second of all, peak_rss_mb of rank 0.

A step = forward, mean token cross-entropy, backward, clip to norm 1, fused AdamW. bf16 means fp32 master weights with
autocast. With --tokens the batches are windows of a folder of token shards, otherwise random ids, which cost the same but
learn nothing. The last line is JSON; tokens_per_second is the median over the measured steps.
"""
import argparse
import json
import math
import os
import pathlib
import resource
import socket
import statistics
import subprocess
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name, default in [("layers", 4), ("heads", 6), ("kv_heads", 0), ("width", 192), ("hidden", 0), ("vocab", 8192),
                      ("batch", 16), ("sequence", 256), ("threads", 2), ("steps", 10), ("warmup", 3)]:
    parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
parser.add_argument("--family", choices=["llama", "gpt2"], default="llama")
parser.add_argument("--positions", type=int, default=0, help="rows of gpt2's position table (default: the sequence length)")
parser.add_argument("--lr", type=float, default=3e-4)
parser.add_argument("--dtype", choices=["fp32", "bf16"], default="fp32")
parser.add_argument("--device", default="cpu")
parser.add_argument("--compile", action="store_true")
parser.add_argument("--ranks", type=int, default=1)
parser.add_argument("--tokens", type=pathlib.Path, help="a folder of token shards (RUN/tokens)")
a = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(a.threads)
rank = int(os.environ.get("RANK", 0))
if a.ranks > 1 and "RANK" not in os.environ:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    os.environ.update(WORLD_SIZE=str(a.ranks), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK="0")
    others = [subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, "RANK": str(i)}) for i in range(1, a.ranks)]

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(a.threads)
torch.manual_seed(0)
torch.set_float32_matmul_precision("high" if a.device == "cuda" else "highest")
kv_heads = a.kv_heads or a.heads
head = a.width // a.heads
hidden = a.hidden or (8 * a.width // 3 + 63) // 64 * 64


def rotate_half(t):
    return torch.cat((-t[..., head // 2:], t[..., :head // 2]), dim=-1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before_attention, self.before_mlp = nn.RMSNorm(a.width), nn.RMSNorm(a.width)
        self.qkv = nn.Linear(a.width, (a.heads + 2 * kv_heads) * head, bias=False)
        self.out = nn.Linear(a.heads * head, a.width, bias=False)
        self.gate_up = nn.Linear(a.width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, a.width, bias=False)

    def forward(self, x, cos, sin):
        B, T, _ = x.shape
        q, k, v = self.qkv(self.before_attention(x)).split([a.heads * head, kv_heads * head, kv_heads * head], dim=-1)
        q, k, v = (t.view(B, T, -1, head).transpose(1, 2) for t in (q, k, v))
        q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=kv_heads != a.heads)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, -1))
        gate, up = self.gate_up(self.before_mlp(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Gpt2Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(a.width), nn.LayerNorm(a.width)
        self.qkv, self.out = nn.Linear(a.width, 3 * a.width), nn.Linear(a.width, a.width)
        self.up, self.down = nn.Linear(a.width, 4 * a.width), nn.Linear(4 * a.width, a.width)

    def forward(self, x):
        B, T, _ = x.shape
        q, k, v = (t.view(B, T, -1, head).transpose(1, 2) for t in self.qkv(self.before_attention(x)).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(B, T, -1))
        return x + self.down(F.gelu(self.up(self.before_mlp(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(a.vocab, a.width)
        self.positions = nn.Embedding(max(a.positions, a.sequence), a.width)
        self.blocks = nn.ModuleList(Gpt2Block() for _ in range(a.layers))
        self.final = nn.LayerNorm(a.width)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.final(x), self.tokens.weight)
        return F.cross_entropy(logits.float().view(-1, a.vocab), targets.reshape(-1))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(a.vocab, a.width)
        self.blocks = nn.ModuleList(Block() for _ in range(a.layers))
        self.final = nn.RMSNorm(a.width)
        angle = torch.outer(torch.arange(a.sequence).float(), 10000.0 ** (-torch.arange(0, head, 2).float() / head))
        angle = torch.cat((angle, angle), dim=-1)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids, targets):
        x = self.tokens(ids)
        cos, sin = self.cos.to(x.dtype), self.sin.to(x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin)
        logits = F.linear(self.final(x), self.tokens.weight)
        return F.cross_entropy(logits.float().view(-1, a.vocab), targets.reshape(-1))


def batches():
    """Yields ids (B, T+1): windows of the shards at random positions, or random ids."""
    if a.tokens is None:
        while True:
            yield torch.randint(0, a.vocab, (a.batch, a.sequence + 1))
    header = json.loads((a.tokens / "shards.json").read_text())
    dtype = {"u16": "<u2", "u32": "<u4"}[header["dtype"]]
    if header["vocabSize"] > a.vocab:
        raise SystemExit(f"the shards have {header['vocabSize']} ids; --vocab must be at least that")
    files = [np.fromfile(a.tokens / f"{file['name']}.tokens", dtype=dtype) for file in header["train"]["files"]]
    stream = np.concatenate(files).astype(np.int64)
    random = np.random.default_rng(0)
    while True:
        starts = random.integers(0, len(stream) - a.sequence - 1, a.batch)
        yield torch.from_numpy(np.stack([stream[start:start + a.sequence + 1] for start in starts]))


model = {"llama": Llama, "gpt2": Gpt2}[a.family]().to(a.device)
parameters = sum(p.numel() for p in model.parameters())
matrices, norms = [[p for p in model.parameters() if (p.dim() > 1) is many] for many in (True, False)]
groups = [{"params": matrices, "weight_decay": 0.1}, {"params": norms, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=a.lr, betas=(0.9, 0.95), fused=True)
step_model = model
if a.ranks > 1:
    torch.distributed.init_process_group("gloo")
    torch.manual_seed(rank)  # other batches on each rank
    step_model = nn.parallel.DistributedDataParallel(model)
if a.compile:
    step_model = torch.compile(step_model)
synchronize = torch.cuda.synchronize if a.device == "cuda" else (lambda: None)
seconds, losses = [], []
data = batches()
for step in range(a.warmup + a.steps):
    batch = next(data).to(a.device)
    synchronize()
    start = time.perf_counter()
    with torch.autocast(a.device, torch.bfloat16, enabled=a.dtype == "bf16"):
        loss = step_model(batch[:, :-1], batch[:, 1:])
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    losses.append(loss.item())
    synchronize()
    if step >= a.warmup:
        seconds.append(time.perf_counter() - start)

# Counted as in the engine: 6 per weight of a product (the tied head once, look-ups never), causal attention as half of full.
matrix_weights = a.vocab * a.width + sum(p.numel() for block in model.blocks for p in block.parameters() if p.dim() > 1)
flops = 6 * matrix_weights + 6 * a.layers * a.sequence * a.heads * head
tokens = a.ranks * a.batch * a.sequence
rate = tokens / statistics.median(seconds)
if a.ranks > 1:
    torch.distributed.destroy_process_group()
if rank > 0:
    raise SystemExit(0)
print(json.dumps({
    "peer": f"torch {torch.__version__}{' compile' if a.compile else ''}{' DDP gloo' if a.ranks > 1 else ''}", "ranks": a.ranks, "dtype": a.dtype, "threads": a.threads,
    "parameters": parameters, "tokens_per_second": round(rate, 1),
    "best_tokens_per_second": round(tokens / min(seconds), 1), "gflops": round(rate * flops / 1e9, 1),
    "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    "first_loss": round(losses[0], 4), "last_loss": round(losses[-1], 4) if math.isfinite(losses[-1]) else None,  # JSON has no NaN
}))
