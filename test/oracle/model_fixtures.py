"""Oracle for src/model and src/train: tiny models of each family in transformers, in float64.

    python3 -m venv VENV && VENV/bin/pip install torch==2.13.0 transformers safetensors numpy
    VENV/bin/python test/oracle/model_fixtures.py [NAME…]        # writes test/oracle/fixtures/NAME.safetensors

Each file contains one model: its parameters, one batch with its logits, loss and gradients, and the parameters and moments
after twenty clipped steps of AdamW, and of Muon for the projections with AdamW for the rest. Assertions exclude two traps.
With the usual small weights attention is almost uniform and a wrong rotation would pass, so weights are large. The script
checks that logits have a standard deviation of at least 1, that attention is peaked and that other positions change the
logits. And a trajectory that float32 cannot follow would test luck, so PyTorch's own float32 run must stay well inside the
tolerance.

torch.optim.Muon rounds to bfloat16 inside (its error there is about 1e-2 of an update); here the same code runs with
`Tensor.bfloat16` replaced by a float64 copy, so that the test compares its formula.

One thing no float32 run can follow: GPT-2's biases of the keys. Softmax does not see them (all scores of a query move
alike), their gradient is 0 but for rounding, and Adam makes steps of full size of rounding. They are left out.
"""
import contextlib
import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, Qwen3Config
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

STEPS, DECAY, BETAS, EPSILON, CLIP = 20, 0.1, (0.9, 0.95), 1e-8, 0.5

MODELS = {
    # grouped queries, tied head, and a head width that is not width / heads
    "llama-grouped-tied": dict(family="llama", layers=2, width=32, heads=4, kv_heads=2, head_width=12, hidden=48, vocab=83,
                               epsilon=1e-5, tied=True, batch=2, sequence=24, seed=1),
    # one key/value head per query head, untied head, another theta and epsilon; no size is a multiple of a vector or tile
    "llama-full-free": dict(family="llama", layers=2, width=36, heads=3, kv_heads=3, head_width=12, hidden=41, vocab=67,
                            theta=500.0, epsilon=1e-6, tied=False, batch=3, sequence=37, seed=1),
    # all biases, and three ways of scaling rotations; these few pairs cover llama3's middle range and YaRN's ramp
    "llama-biases-llama3": dict(family="llama", layers=2, width=16, heads=4, kv_heads=2, head_width=8, hidden=20, vocab=31,
                                theta=100.0, epsilon=1e-5, tied=False, batch=2, sequence=21, seed=1, biases=True,
                                scaling=dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                             original_max_position_embeddings=32),
                                muon=dict(adjust_lr_fn="match_rms_adamw")),
    "llama-linear": dict(family="llama", layers=2, width=18, heads=3, kv_heads=1, head_width=6, hidden=23, vocab=29,
                         theta=50.0, epsilon=1e-5, tied=True, batch=2, sequence=19, seed=1,
                         scaling=dict(rope_type="linear", factor=2.0), muon=dict(nesterov=False, momentum=0.9)),
    "qwen3-grouped-tied": dict(family="qwen3", layers=2, width=18, heads=4, kv_heads=2, head_width=6, hidden=23, vocab=29,
                               theta=1000.0, epsilon=1e-6, tied=True, batch=2, sequence=23, seed=3, muon=dict()),
    "qwen3-biases-yarn": dict(family="qwen3", layers=2, width=16, heads=2, kv_heads=2, head_width=10, hidden=20, vocab=31,
                              theta=300.0, epsilon=1e-6, tied=False, batch=2, sequence=22, seed=2, biases=True,
                              scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16,
                                           beta_fast=2.0, beta_slow=0.5),
                              muon=dict(adjust_lr_fn="match_rms_adamw", ns_steps=4)),
    "gpt2-tied": dict(family="gpt2", layers=2, width=15, heads=3, hidden=34, vocab=31, epsilon=1e-5, tied=True, batch=2,
                      sequence=25, seed=1, muon=dict()),
    "gpt2-free": dict(family="gpt2", layers=2, width=20, heads=2, hidden=80, vocab=37, epsilon=1e-3, tied=False, batch=2,
                      sequence=18, seed=2),
}


def is_query_or_key(name):
    return any(part in name for part in ("q_proj", "k_proj", "q_norm", "k_norm", "c_attn"))


def config_of(m):
    common = dict(vocab_size=m["vocab"], tie_word_embeddings=m["tied"])
    if m["family"] == "gpt2":
        return GPT2Config(n_layer=m["layers"], n_embd=m["width"], n_head=m["heads"], n_inner=m["hidden"], n_positions=28, bos_token_id=0, eos_token_id=0,
                          layer_norm_epsilon=m["epsilon"], attn_pdrop=0, embd_pdrop=0, resid_pdrop=0, **common)
    rope = dict(m.get("scaling", dict(rope_type="default")), rope_theta=m.get("theta", 10000.0))
    biases = m.get("biases", False)
    if m["family"] == "llama":
        common |= dict(mlp_bias=biases)
    return {"llama": LlamaConfig, "qwen3": Qwen3Config}[m["family"]](
        num_hidden_layers=m["layers"], hidden_size=m["width"], num_attention_heads=m["heads"],
        num_key_value_heads=m["kv_heads"], head_dim=m["head_width"], intermediate_size=m["hidden"],
        rms_norm_eps=m["epsilon"], max_position_embeddings=64, attention_bias=biases, hidden_act="silu",
        rope_parameters=rope, **common)


def build(m, attention="sdpa"):
    config = config_of(m)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).double()
    generator = torch.Generator().manual_seed(m["seed"])
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            if name.endswith(".bias"):
                p.copy_(0.3 * noise)
            elif p.dim() == 1:  # norm weights away from 1, so that a missing norm shows; large queries and keys, so that attention is peaked
                p.copy_((2.2 if is_query_or_key(name) else 1) + 0.3 * noise)
            else:
                inner = "layers" in name or ".h." in name
                fan = p.shape[0] if m["family"] == "gpt2" and inner else p.shape[1]
                scale = 2.0 if is_query_or_key(name) else 1.0 if inner else 1.3
                p.copy_(noise * scale / fan ** 0.5)
        for p in model.parameters():
            p.copy_(p.float().double())  # rounded to float32, so that both sides start from the same numbers
    return model


@contextlib.contextmanager
def replaced(owner, **values):
    before = {name: getattr(owner, name) for name in values}
    for name, value in values.items():
        setattr(owner, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(owner, name, value)


def frequencies_of(model):
    """The rotations of transformers' own functions, which compute in float32, computed in float64."""
    config = model.config
    rope = config.rope_parameters
    if rope["rope_type"] == "default":
        return rope["rope_theta"] ** (-torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim), 1.0
    with replaced(torch, float=torch.float64, float32=torch.float64):
        frequencies, factor = ROPE_INIT_FUNCTIONS[rope["rope_type"]](config)
    assert frequencies.dtype == torch.float64
    assert (frequencies / model.model.rotary_emb.inv_freq.double() - 1).abs().max() < 1e-6
    plain = rope["rope_theta"] ** (-torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim)
    print("  rotations are at", [round(x, 3) for x in (frequencies / plain).tolist()], "of the plain ones, times", factor)
    return frequencies, factor


def in_float64(model):
    """Keeps norms and rotations in the model's dtype; transformers converts to float32 inside them."""
    if model.config.model_type != "gpt2":
        frequencies, factor = frequencies_of(model)

        def angles(x, position_ids):
            angle = position_ids[..., None].double() * frequencies
            angle = torch.cat((angle, angle), dim=-1)
            return (angle.cos() * factor).to(x.dtype), (angle.sin() * factor).to(x.dtype)

        model.model.rotary_emb.forward = angles
    for module in model.modules():
        if type(module).__name__ in ("LlamaRMSNorm", "Qwen3RMSNorm"):
            module.forward = lambda x, m=module: m.weight * (
                x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + m.variance_epsilon))
    return model


def loss_of(model, batch):
    logits = model(batch[:, :-1], use_cache=False).logits
    return torch.nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), batch[:, 1:].reshape(-1)), logits


def optimizers_of(model, muon):
    """Decay on matrices (two and more dimensions, the embedding too), none on norms and biases. Muon
    updates the projections of the layers, AdamW the rest."""
    named = list(model.named_parameters())
    own = [p for n, p in named if muon is not None and p.dim() == 2 and ("layers" in n or ".h." in n)]
    rest = [p for _, p in named if not any(p is q for q in own)]
    groups = [{"params": [p for p in rest if p.dim() >= 2], "weight_decay": DECAY},
              {"params": [p for p in rest if p.dim() < 2], "weight_decay": 0.0}]
    found = [torch.optim.AdamW(groups, lr=1.0, betas=BETAS, eps=EPSILON)]
    return found + ([torch.optim.Muon(own, lr=1.0, weight_decay=DECAY, **muon)] if own else [])


def comparable(name, tensor):
    """A tensor without GPT-2's key biases."""
    width = tensor.shape[0] // 3
    return torch.cat((tensor[:width], tensor[2 * width:])) if name.endswith("c_attn.bias") else tensor


def train(model, batches, rates, muon=None):
    """Twenty steps, starting with queries and keys at half (at full, float32 drifts by up to 2 % in as many steps)."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.mul_(0.5 if is_query_or_key(name) else 1.0)
    optimizers = optimizers_of(model, muon)
    losses, gradient_norms = [], []
    for batch, rate in zip(batches, rates):
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss, _ = loss_of(model, batch)
        loss.backward()
        gradient_norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP).item())
        exact = (lambda x: x.clone())
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
            with replaced(torch.Tensor, bfloat16=exact):
                optimizer.step()
        losses.append(loss.item())
    state = {}
    for name, p in model.named_parameters():
        state[f"after.{name}"] = p.detach()
        for optimizer in optimizers:
            for key, value in {"exp_avg": "moment1", "exp_avg_sq": "moment2", "momentum_buffer": "momentum"}.items():
                if key in optimizer.state.get(p, {}):
                    state[f"{value}.{name}"] = optimizer.state[p][key]
    return state, losses, gradient_norms


def make(name, m):
    print(name)
    model = in_float64(build(m))
    generator = torch.Generator().manual_seed(100 + m["seed"])
    batches = torch.randint(0, m["vocab"], (STEPS, m["batch"], m["sequence"] + 1), generator=generator)
    rates = [m.get("rate", 1e-2) * min(1.0, (step + 1) / 5) for step in range(STEPS)]
    tensors = {f"parameter.{n}": p.detach().clone() for n, p in model.named_parameters()}

    # the traps
    inputs = batches[0][:, :-1]
    logits = model(inputs, use_cache=False).logits.detach()
    deviation = logits.std().item()
    untouched = build(m, "eager").float()(inputs, use_cache=False, output_attentions=True)
    assert (untouched.logits - logits).abs().max().item() < 1e-4 * deviation
    peaks = [a[:, :, 4:].max(dim=-1).values.mean().item() for a in untouched.attentions]
    positions = torch.arange(m["sequence"])[None].expand(m["batch"], -1)
    others = [positions * 0, positions.flip(-1)] + ([] if m["family"] == "gpt2" else [positions * 2, -positions])
    unlike = min((model(inputs, use_cache=False, position_ids=other).logits - logits).norm().item() / logits.norm().item()
                 for other in others)
    if "scaling" in m:
        plain = in_float64(build(dict(m, scaling=dict(rope_type="default"))))
        stretched = (plain(inputs, use_cache=False).logits - logits).norm().item() / logits.norm().item()
        assert stretched > 0.1, stretched
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
    tensors["learning_rates"] = torch.tensor(rates)

    for optimizer in ("adamw", "muon") if "muon" in m else ("adamw",):
        prefix = "" if optimizer == "adamw" else "muon."
        muon = m["muon"] if optimizer == "muon" else None
        state, losses, gradient_norms = train(in_float64(build(m)), batches, rates, muon)
        assert min(gradient_norms) > CLIP, f"the clip must be active: {min(gradient_norms)}"
        twin_state = train(in_float64(build(m)).float(), batches, rates, muon)[0]
        drift = max((comparable(n, twin_state[n].double() - s).norm() / comparable(n, s).norm()).item()
                    for n, s in state.items())
        print(f"  {optimizer}: float32 drift {drift:.1e}, loss {losses[0]:.3f} -> {losses[-1]:.3f}, "
              f"gradient norms {min(gradient_norms):.2f}..{max(gradient_norms):.2f}")
        assert drift < 3e-5, drift
        tensors |= {prefix + n: s for n, s in state.items()}
        tensors[f"{prefix}losses"] = torch.tensor(losses)
        tensors[f"{prefix}gradient_norms"] = torch.tensor(gradient_norms)

    stored = {n: (t.to(torch.int32) if t.dtype == torch.int64 else t.float()).contiguous() for n, t in tensors.items()}
    path = pathlib.Path(__file__).parent / "fixtures" / f"{name}.safetensors"
    about = {"config": model.config.to_json_string(use_diff=False), "optimizer": json.dumps(
        {"decay": DECAY, "beta1": BETAS[0], "beta2": BETAS[1], "epsilon": EPSILON, "clip": CLIP}),
        "made_by": f"test/oracle/model_fixtures.py, torch {torch.__version__}"}
    if "muon" in m:
        group = torch.optim.Muon([torch.zeros(1, 1)], weight_decay=DECAY, **m["muon"]).param_groups[0]
        about["muon"] = json.dumps({key: group[key] for key in (
            "weight_decay", "momentum", "nesterov", "ns_coefficients", "eps", "ns_steps", "adjust_lr_fn")})
    save_file(stored, str(path), metadata=about)
    print(f"  {path.stat().st_size} bytes; logits std {deviation:.2f}, attention peaks {[round(p, 2) for p in peaks]}, "
          f"other positions differ by {unlike:.2f}")


if __name__ == "__main__":
    for name in sys.argv[1:] or MODELS:
        make(name, MODELS[name])
