"""TRL's loss curves over 20 steps on the tiny policy, in the order of the data, at a linear schedule: SFT on completions, DPO
with a reference. Run: python trl_curves.py fixtures/align/policy fixtures/align/ref fixtures/align/curves.json
(torch 2.13, transformers 5.24, trl 1.16, datasets 5.2)."""
import json, os, sys, tempfile

os.environ.update(HF_HUB_OFFLINE="1", WANDB_DISABLED="true")
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

policy, reference, out = sys.argv[1:4]
tokenizer = AutoTokenizer.from_pretrained(policy)
words = "sun moon tree river stone bird fish cloud wind fire rain snow".split()
completions = [{"prompt": f"{a} and ", "completion": f"{b} {a[::-1]}."} for a in words for b in words[:2] if a != b][:20]
preferences = [{"prompt": f"{a}? ", "chosen": f"yes, {b}!", "rejected": f"no {a} {b[::-1]}"} for a in words for b in words[3:5] if a != b][:20]


class Log(TrainerCallback):
    def __init__(self):
        self.lines = []

    def on_log(self, args, state, control, logs=None, **_):
        if logs and "loss" in logs and "grad_norm" in logs:
            self.lines.append([float(logs["loss"]), float(logs["grad_norm"])])


def run(trainer, config, data, rate, **more):
    log = Log()
    with tempfile.TemporaryDirectory() as folder:
        arguments = config(
            output_dir=folder, use_cpu=True, report_to="none", bf16=False, fp16=False, disable_tqdm=True, save_strategy="no",
            per_device_train_batch_size=4, max_steps=20, logging_steps=1, learning_rate=rate, lr_scheduler_type="linear",
            shuffle_dataset=False, train_sampling_strategy="sequential", gradient_checkpointing=False) if trainer is SFTTrainer else config(
            output_dir=folder, use_cpu=True, report_to="none", bf16=False, fp16=False, disable_tqdm=True, save_strategy="no",
            per_device_train_batch_size=4, max_steps=20, logging_steps=1, learning_rate=rate, lr_scheduler_type="linear",
            train_sampling_strategy="sequential", gradient_checkpointing=False)
        trainer(model=AutoModelForCausalLM.from_pretrained(policy), args=arguments, train_dataset=Dataset.from_list(data),
                processing_class=tokenizer, callbacks=[log], **more).train()
    # The trainer logs rounded losses; they are kept as they are.
    return {"rows": data, "batch": 4, "learning_rate": rate, "losses": [a for a, _ in log.lines], "grad_norms": [b for _, b in log.lines]}


json.dump(
    {
        "sft": run(SFTTrainer, SFTConfig, completions, 1e-3),
        "dpo": run(DPOTrainer, DPOConfig, preferences, 3e-4, ref_model=AutoModelForCausalLM.from_pretrained(reference)),
    },
    open(out, "w"),
)
