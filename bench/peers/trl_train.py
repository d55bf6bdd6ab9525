"""Peer of bench/align.ts: TRL's SFT and DPO trainers on the CPU, on the folder and the rows that Quern trains on.

    VENV/bin/python bench/peers/trl_train.py '{"work": "sft", "model": DIR, "data": FILE, "batch": 8, "tokens": 256,
        "steps": 8, "threads": 2, "dtype": "fp32", "lora": 16, "scratch": DIR}'

VENV has torch 2.13, transformers 5.24, trl 1.16 and peft 0.21. Prints one JSON line: the median tokens/s of the steps after
the first, and the peak of the resident memory.
"""
import json
import logging
import os
import resource
import statistics
import sys
import time
import warnings

job = json.loads(sys.argv[1])
os.environ.update(OMP_NUM_THREADS=str(job["threads"]), HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
import datasets
import torch
import transformers
import trl

datasets.disable_progress_bars()
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(job["threads"])


class Seconds(transformers.TrainerCallback):
    """Seconds of each optimizer step."""

    def __init__(self):
        self.steps = []

    def on_step_begin(self, *_, **__):
        self.start = time.perf_counter()

    def on_step_end(self, *_, **__):
        self.steps.append(time.perf_counter() - self.start)


rows = datasets.Dataset.from_json(job["data"])
tokenizer = transformers.AutoTokenizer.from_pretrained(job["model"])
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
model = transformers.AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32)
peft_config = None
if job.get("lora"):
    from peft import LoraConfig
    peft_config = LoraConfig(r=job["lora"], lora_alpha=2 * job["lora"], target_modules="all-linear", task_type="CAUSAL_LM")
common = dict(output_dir=os.path.join(job["scratch"], "trl"), use_cpu=True, report_to="none", bf16=job["dtype"] == "bf16", fp16=False,
              disable_tqdm=True, save_strategy="no", per_device_train_batch_size=job["batch"], max_steps=job["steps"],
              gradient_checkpointing=False, logging_steps=10**6, learning_rate=1e-4, max_length=job["tokens"])
seconds = Seconds()
rest = dict(train_dataset=rows, processing_class=tokenizer, callbacks=[seconds], peft_config=peft_config)
if job["work"] == "sft":
    trainer = trl.SFTTrainer(model=model, args=trl.SFTConfig(**common), **rest)
else:
    reference = None
    if peft_config is None:
        reference = transformers.AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.float32)
    trainer = trl.DPOTrainer(model=model, ref_model=reference, args=trl.DPOConfig(**common), **rest)
trainer.train()
tokens = next(iter(trainer.get_train_dataloader()))["input_ids"].numel()
expected = job["batch"] * job["tokens"] * (2 if job["work"] == "dpo" else 1)
assert tokens == expected, f"a batch of TRL has {tokens} tokens, not {expected}"
print(json.dumps({
    "peer": f"trl {trl.__version__}, torch {torch.__version__}",
    "tokens_per_second": tokens / statistics.median(seconds.steps[1:]),
    "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
