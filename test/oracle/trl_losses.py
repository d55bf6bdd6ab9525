"""Losses and gradients of TRL's GRPO and RLOO for given log-probabilities in float64, and advantages of given rewards; one batch
of TRL's KTO, and of DPO weighted as WPO does, on the tiny policy and reference.

    VENV/bin/python test/oracle/trl_losses.py     # writes test/oracle/fixtures/align/trl-losses.json

The tensors are those of losses.json. TRL's losses are methods of its trainers, which are built on the tiny policy; a stub gives
them the log-probabilities and entropies. trl 1.16, torch 2.13.
"""
import json
import pathlib
import tempfile
import warnings

import torch
import trl
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import (DPOConfig, DPOTrainer, GRPOConfig, GRPOTrainer, KTOConfig, KTOTrainer, RLOOConfig, RLOOTrainer)
from trl.trainer.grpo_trainer import add_fused_lm_head

warnings.filterwarnings("ignore")
fixtures = pathlib.Path(__file__).parent / "fixtures" / "align"
given = json.loads((fixtures / "losses.json").read_text())["grpo"]
tensor = lambda name: torch.tensor(given[name], dtype=torch.float64)
B, T = len(given["advantages"]), given["max_completion_length"]
numbers = lambda t: [[float(f"{v:.10g}") for v in row] for row in t.tolist()]

data = Dataset.from_list([{"prompt": "a"}] * B)
common = dict(output_dir=tempfile.mkdtemp(), report_to=[], per_device_train_batch_size=B, num_generations=4,
              max_completion_length=T, use_cpu=True, bf16=False)


def case(kind, options, truncated=()):
    config, trainer = (GRPOConfig, GRPOTrainer) if kind == "grpo" else (RLOOConfig, RLOOTrainer)
    made = trainer(model=str(fixtures / "policy"), reward_funcs=lambda completions, **_: [0.0] * len(completions),
                   args=config(**common, **options), train_dataset=data)
    mask = tensor("completion_mask") * tensor("tool_mask")
    for row in truncated:
        mask[row] = 0
    log_p = tensor("per_token_logps").requires_grad_()
    entropy = tensor("entropies").requires_grad_()
    made._get_per_token_logps_and_entropies = lambda *_, **__: (log_p, entropy, None)
    made.current_gradient_accumulation_steps = 1
    old = tensor("old_per_token_logps")
    inputs = dict(prompt_ids=torch.zeros(B, 1, dtype=torch.long), prompt_mask=torch.ones(B, 1, dtype=torch.long),
                  completion_ids=torch.zeros(B, T, dtype=torch.long), completion_mask=mask, advantages=tensor("advantages"),
                  old_per_token_logps=old, ref_per_token_logps=tensor("ref_per_token_logps"), num_items_in_batch=mask.sum(),
                  old_logps=(old * mask).sum(1))
    made.model.train()
    loss = made._compute_loss(made.model, inputs)
    loss.backward()
    metrics = {name: values[-1] for name, values in made._metrics["train"].items()}
    gradients = dict(grad=numbers(log_p.grad))
    if entropy.grad is not None:
        gradients["entropy_grad"] = numbers(entropy.grad)
    return dict(kind=kind, options=options, truncated=list(truncated), loss=loss.item(), **gradients, metrics=metrics)


names = ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]
grid = [("grpo", dict(loss_type=name, beta=0.04, importance_sampling_level="sequence" if name == "luspo" else "token"))
        for name in names]
grid += [
    ("grpo", dict(loss_type="grpo", importance_sampling_level="sequence", beta=0.1)),
    ("grpo", dict(loss_type="dapo", importance_sampling_level="sequence", epsilon=0.05, epsilon_high=0.08)),
    ("grpo", dict(loss_type="dapo", epsilon=0.1, epsilon_high=0.28, delta=1.5)),
    ("grpo", dict(loss_type="dapo", beta=0.1, use_bias_correction_kl=False)),
    ("grpo", dict(loss_type="grpo", entropy_coef=0.01)),
    ("grpo", dict(loss_type="dapo", entropy_coef=0.02, top_entropy_quantile=0.2, beta=0.05)),
    ("grpo", dict(loss_type="bnpo", top_entropy_quantile=0.55)),
    ("grpo", dict(loss_type="cispo", epsilon_high=1.2)),
    ("grpo", dict(loss_type="sapo", sapo_temperature_pos=2.0, sapo_temperature_neg=3.0)),
    ("grpo", dict(loss_type="vespo", vespo_k_pos=1.0, vespo_lambda_pos=1.5, vespo_k_neg=2.0, vespo_lambda_neg=2.5)),
    ("rloo", dict()),
    ("rloo", dict(epsilon=0.5, epsilon_high=0.9)),
]
cases = [case(*one) for one in grid]
cases += [case("grpo", dict(loss_type=name, beta=0.04), truncated=(1, 6)) for name in ("grpo", "dapo")]


def advantages(kind, rewards, weights, **options):
    """Advantages of rows of rewards, one column a function; the trainer's own method, with its generation replaced."""
    config, trainer = (GRPOConfig, GRPOTrainer) if kind == "grpo" else (RLOOConfig, RLOOTrainer)
    N = len(rewards)
    column = lambda k: lambda completions, **_: [row[k] for row in rewards]
    made = trainer(model=str(fixtures / "policy"), reward_funcs=[column(k) for k in range(len(weights))],
                   args=config(**{**common, "per_device_train_batch_size": N}, reward_weights=weights, **options),
                   train_dataset=Dataset.from_list([{"prompt": "a"}] * N))
    made.model.train()
    output = made._generate_and_score_completions([{"prompt": "a"}] * N)
    metrics = {name: values[-1] for name, values in made._metrics["train"].items() if "reward" in name}
    return dict(kind=kind, rewards=rewards, weights=weights, options=options, advantages=output["advantages"].tolist(),
                metrics=metrics)


nan = None
mixed = [[1.0, 0.0], [0.0, 0.5], [nan, nan], [0.25, nan], [0.0, 1.0], [0.5, 0.0], [1.0, 0.0], [2.0, 0.5]]
made = [
    advantages("grpo", mixed, [1.0, 0.5], scale_rewards="group"),
    advantages("grpo", mixed, [1.0, 0.5], scale_rewards="batch"),
    advantages("grpo", mixed, [1.0, 0.5], scale_rewards="none"),
    advantages("grpo", mixed, [1.0, 0.5], multi_objective_aggregation="normalize_then_sum"),
    advantages("rloo", mixed, [1.0, 0.5], beta=0.0),
    advantages("rloo", mixed, [1.0, 0.5], beta=0.0, normalize_advantages=True),
]


def one_batch(name, config, trainer, rows, options, models=("policy", "ref")):
    """Loss, gradient norm and metrics of the first step on all rows."""
    load = lambda folder: AutoModelForCausalLM.from_pretrained(str(fixtures / folder), dtype=torch.float32)
    made = trainer(model=load(models[0]), ref_model=load(models[1]), train_dataset=Dataset.from_list(rows),
                   processing_class=AutoTokenizer.from_pretrained(str(fixtures / "policy")),
                   args=config(output_dir=tempfile.mkdtemp(), report_to=[], per_device_train_batch_size=len(rows), use_cpu=True,
                               bf16=False, disable_dropout=True, **options))
    batch = next(iter(torch.utils.data.DataLoader(made.train_dataset, batch_size=len(rows), collate_fn=made.data_collator)))
    made.model.train()
    loss = made.compute_loss(made.model, batch)
    loss.backward()
    norm = torch.sqrt(sum((p.grad.double() ** 2).sum() for p in made.model.parameters() if p.grad is not None))
    metrics = {key: values[-1] for key, values in made._metrics["train"].items()}
    return dict(name=name, models=models, config=options, rows=rows, loss=loss.item(), grad_norm=norm.item(), metrics=metrics)


pairs = [dict(prompt="ab", chosen="cdef", rejected="gh"), dict(prompt="one two ", chosen="three", rejected="four five six"),
         dict(prompt="x", chosen="yz yz", rejected="zy zy zy"), dict(prompt="hello ", chosen="world", rejected="word")]
unpaired = [dict(prompt="ab", completion="cdef", label=True), dict(prompt="one two ", completion="four five six", label=False),
            dict(prompt="x", completion="yz yz", label=True), dict(prompt="hello ", completion="world", label=True),
            dict(prompt="long prompt ", completion="no", label=False)]
trainers = dict(
    weighted=[one_batch(f"weighted {name}", DPOConfig, DPOTrainer, pairs, dict(loss_type=[name], use_weighting=True))
              for name in ("sigmoid", "ipo")],
    # The estimate of the KL is negative, which counts as 0; with the models exchanged it is positive.
    kto=[one_batch(f"{name} {weights}", KTOConfig, KTOTrainer, unpaired,
                   dict(loss_type=name, beta=0.3, desirable_weight=weights[0], undesirable_weight=weights[1]), models)
         for name, weights, models in [("kto", (1.0, 1.0), ("policy", "ref")), ("kto", (0.8, 1.5), ("ref", "policy")),
                                       ("apo_zero_unpaired", (1.0, 1.0), ("policy", "ref"))]],
)


def curve(options, steps=20):
    """Losses and gradient norms of AdamW steps of GRPO on given rollouts: two batches in turn, masks of several lengths."""
    load = lambda folder: AutoModelForCausalLM.from_pretrained(str(fixtures / folder), dtype=torch.float32)
    made = GRPOTrainer(model=load("policy"), reward_funcs=lambda completions, **_: [0.0] * len(completions),
                       args=GRPOConfig(**common, **options), train_dataset=data)
    made.current_gradient_accumulation_steps = 1
    model, reference = made.model, load("ref")
    add_fused_lm_head(reference, outputs=("log_probs", "entropy"))
    model.train()
    generator = torch.Generator().manual_seed(3)
    rows, prompt, length = 4, 5, 7
    batches = []
    for _ in range(2):
        ids = torch.randint(3, 260, (rows, prompt + length), generator=generator)
        lengths = torch.randint(1, length + 1, (rows,), generator=generator)
        mask = (torch.arange(length)[None] < lengths[:, None]).long()
        whole = torch.cat([torch.ones(rows, prompt, dtype=torch.long), mask], 1)
        score = lambda scored: made._get_per_token_logps_and_entropies(scored, ids, whole, length, compute_entropy=True)[0]
        with torch.no_grad():
            old, of_reference = score(model), score(reference)
        noise = 0.1 * torch.randn(old.shape, generator=generator)
        batches.append(dict(prompt_ids=ids[:, :prompt], prompt_mask=torch.ones(rows, prompt, dtype=torch.long),
                            completion_ids=ids[:, prompt:], completion_mask=mask, advantages=torch.randn(rows, generator=generator),
                            old_per_token_logps=old + noise, ref_per_token_logps=of_reference, num_items_in_batch=mask.sum()))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    losses, norms = [], []
    for step in range(steps):
        loss = made._compute_loss(model, batches[step % 2])
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item())
        losses.append(loss.item())
        optimizer.step()
        optimizer.zero_grad()
    inputs = [dict(ids=torch.cat([b["prompt_ids"], b["completion_ids"]], 1).tolist(), prompt=prompt, mask=b["completion_mask"].tolist(),
                   advantages=b["advantages"].tolist(), sampled=numbers(b["old_per_token_logps"]),
                   reference=numbers(b["ref_per_token_logps"])) for b in batches]
    return dict(options=options, batches=inputs, losses=losses, grad_norms=norms)


trainers["grpo"] = [curve(dict(loss_type=name, beta=0.04)) for name in ("grpo", "dapo")]
(fixtures / "trl-losses.json").write_text(
    json.dumps({"made_by": f"test/oracle/trl_losses.py, trl {trl.__version__}, torch {torch.__version__}", "cases": cases,
                "advantages": made, "trainers": trainers}, separators=(",", ":")) + "\n")
