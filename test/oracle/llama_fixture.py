"""Oracle for src/model and src/train: tiny Llama models in transformers, in float64.

    python3 -m venv VENV && VENV/bin/pip install torch==2.13.0 transformers safetensors numpy
    VENV/bin/python test/oracle/llama_fixture.py        # writes test/oracle/fixtures/llama-*.safetensors

Each file holds one model: its parameters, one batch with its logits, loss and gradients, and the parameters and
AdamW moments after twenty clipped steps. Two traps are ruled out by assertion. With the usual small weights attention
is almost uniform and a wrong rotation passes, so the weights are drawn large and the script measures that logits have
a standard deviation of at least 1, that attention is peaked and that other rotations give other logits. And a
trajectory that float32 cannot follow would test luck, so PyTorch's own float32 run must stay well inside the tolerance.
"""
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm

STEPS, DECAY, BETAS, EPSILON, CLIP = 20, 0.1, (0.9, 0.95), 1e-8, 0.5

MODELS = {
    # grouped queries, tied head, and a head width that is not width / heads
    "llama-grouped-tied": dict(layers=2, width=32, heads=4, kv_heads=2, head_width=12, hidden=48, vocab=83, theta=10000.0,
                               epsilon=1e-5, tied=True, batch=2, sequence=24, seed=1),
    # full heads, free head, another theta and epsilon, and no size that is a multiple of a vector or a tile
    "llama-full-free": dict(layers=2, width=36, heads=3, kv_heads=3, head_width=12, hidden=41, vocab=67, theta=500.0,
                            epsilon=1e-6, tied=False, batch=3, sequence=37, seed=1),
}


def is_query_or_key(name):
    return "q_proj" in name or "k_proj" in name


def build(m, attention="sdpa"):
    config = LlamaConfig(num_hidden_layers=m["layers"], hidden_size=m["width"], num_attention_heads=m["heads"],
                         num_key_value_heads=m["kv_heads"], head_dim=m["head_width"], intermediate_size=m["hidden"],
                         vocab_size=m["vocab"], rms_norm_eps=m["epsilon"], tie_word_embeddings=m["tied"],
                         max_position_embeddings=64, attention_bias=False, mlp_bias=False, hidden_act="silu",
                         rope_parameters={"rope_type": "default", "rope_theta": m["theta"]})
    config._attn_implementation = attention
    model = LlamaForCausalLM(config).double()
    generator = torch.Generator().manual_seed(m["seed"])
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            if p.dim() == 1:  # norms away from 1, so that a forgotten one is seen
                p.copy_(1 + 0.3 * noise)
            else:
                scale = 2.0 if is_query_or_key(name) else 1.3 if "layers" not in name else 1.0
                p.copy_(noise * scale / p.shape[1] ** 0.5)
        for p in model.parameters():
            p.copy_(p.float().double())  # what float32 can hold, so that both sides start from the same numbers
    return model


def in_float64(model, theta):
    """transformers drops to float32 inside norms and rotations: here they stay in the dtype of the model."""
    width = model.config.head_dim
    frequencies = theta ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)

    def angles(x, position_ids):
        angle = position_ids[..., None].double() * frequencies
        angle = torch.cat((angle, angle), dim=-1)
        return angle.cos().to(x.dtype), angle.sin().to(x.dtype)

    model.model.rotary_emb.forward = angles
    for module in model.modules():
        if isinstance(module, LlamaRMSNorm):
            module.forward = lambda x, m=module: m.weight * (
                x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + m.variance_epsilon))
    return model


def loss_of(model, batch):
    logits = model(batch[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1)), logits


def train(model, batches, rates):
    """Twenty steps, starting with queries and keys at half (at full, float32 drifts by up to 2 % in as many steps).

    AdamW as in PyTorch: decay on matrices (two and more dimensions, the embedding too), none on norms.
    """
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.mul_(0.5 if is_query_or_key(name) else 1.0)
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    norms = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": DECAY}, {"params": norms, "weight_decay": 0.0}],
                                  lr=1.0, betas=BETAS, eps=EPSILON)
    losses, gradient_norms = [], []
    for batch, rate in zip(batches, rates):
        optimizer.zero_grad()
        loss, _ = loss_of(model, batch)
        loss.backward()
        gradient_norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        losses.append(loss.item())
    return optimizer, losses, gradient_norms


def state_of(model, optimizer):
    state = {}
    for name, p in model.named_parameters():
        state[f"after.{name}"] = p.detach()
        state[f"moment1.{name}"] = optimizer.state[p]["exp_avg"]
        state[f"moment2.{name}"] = optimizer.state[p]["exp_avg_sq"]
    return state


def make(name, m):
    model = in_float64(build(m), m["theta"])
    generator = torch.Generator().manual_seed(100 + m["seed"])
    batches = torch.randint(0, m["vocab"], (STEPS, m["batch"], m["sequence"] + 1), generator=generator)
    rates = [1e-2 * min(1.0, (step + 1) / 5) for step in range(STEPS)]
    tensors = {f"parameter.{n}": p.detach().clone() for n, p in model.named_parameters()}

    # the traps
    inputs = batches[0][:, :-1]
    logits = model(inputs, use_cache=False).logits.detach()
    deviation = logits.std().item()
    untouched = build(m, "eager").float()(inputs, use_cache=False, output_attentions=True)
    assert (untouched.logits - logits).abs().max().item() < 1e-4 * deviation
    peaks = [a[:, :, 4:].max(dim=-1).values.mean().item() for a in untouched.attentions]
    positions = torch.arange(m["sequence"])[None].expand(m["batch"], -1)
    unlike = min((model(inputs, use_cache=False, position_ids=other).logits - logits).norm().item() / logits.norm().item()
                 for other in (positions * 0, positions * 2, -positions))
    assert deviation >= 1, deviation
    assert min(peaks) > 0.5, peaks
    assert unlike > 0.3, unlike

    loss, _ = loss_of(model, batches[0])
    loss.backward()
    tensors |= {f"gradient.{n}": p.grad.clone() for n, p in model.named_parameters()}
    rows = torch.arange(0, m["batch"] * m["sequence"], 3)
    tensors["loss"] = loss.detach().reshape(1)
    tensors["logit_rows"] = rows
    tensors["logits"] = logits.reshape(-1, m["vocab"])[rows]
    tensors["batches"] = batches

    twin = in_float64(build(m), m["theta"]).float()
    optimizer, losses, gradient_norms = train(model, batches, rates)
    assert min(gradient_norms) > CLIP, "the clip must be active"
    state = state_of(model, optimizer)
    twin_state = state_of(twin, train(twin, batches, rates)[0])
    drift = max(((twin_state[n].double() - s).norm() / s.norm()).item() for n, s in state.items())
    assert drift < 3e-5, drift
    tensors |= state
    tensors["losses"] = torch.tensor(losses)
    tensors["gradient_norms"] = torch.tensor(gradient_norms)
    tensors["learning_rates"] = torch.tensor(rates)

    stored = {n: (t.to(torch.int32) if t.dtype == torch.int64 else t.float()).contiguous() for n, t in tensors.items()}
    path = pathlib.Path(__file__).parent / "fixtures" / f"{name}.safetensors"
    about = {"config": model.config.to_json_string(use_diff=False), "optimizer": json.dumps(
        {"decay": DECAY, "beta1": BETAS[0], "beta2": BETAS[1], "epsilon": EPSILON, "clip": CLIP}),
        "made_by": f"test/oracle/llama_fixture.py, torch {torch.__version__}"}
    save_file(stored, str(path), metadata=about)
    print(f"{path.name}: {path.stat().st_size} bytes; logits std {deviation:.2f}, attention peaks "
          f"{[round(p, 2) for p in peaks]}, other rotations differ by {unlike:.2f}, float32 drift {drift:.1e}, "
          f"loss {losses[0]:.3f} -> {losses[-1]:.3f}, gradient norms {min(gradient_norms):.2f}..{max(gradient_norms):.2f}")


for name, m in MODELS.items():
    make(name, m)
