"""Peer of bench/align.ts: completions by transformers' `generate`, as TRL's trainers sample them without a server.

    VENV/bin/python bench/peers/trl_rollouts.py '{"model": DIR, "prompts": [[ids], ...], "samples": 8, "tokens": 64,
        "threads": 2, "dtype": "fp32"}'

All prompts have the same length, so that nothing is padded. Prints one JSON line.
"""
import json
import os
import resource
import sys
import time
import warnings

job = json.loads(sys.argv[1])
os.environ.update(OMP_NUM_THREADS=str(job["threads"]), HF_HUB_OFFLINE="1")
warnings.filterwarnings("ignore")
import torch
import transformers

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(job["threads"])
torch.manual_seed(0)
model = transformers.AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.bfloat16 if job["dtype"] == "bf16" else torch.float32)
model.eval()
prompts = torch.tensor(job["prompts"])


def sample(tokens):
    with torch.inference_mode():
        return model.generate(prompts, attention_mask=torch.ones_like(prompts), do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                              num_return_sequences=job["samples"], min_new_tokens=tokens, max_new_tokens=tokens, pad_token_id=0)


sample(2)
start = time.perf_counter()
drawn = sample(job["tokens"])
seconds = time.perf_counter() - start
assert drawn.shape == (len(prompts) * job["samples"], prompts.shape[1] + job["tokens"])
print(json.dumps({
    "peer": f"transformers {transformers.__version__}, torch {torch.__version__}",
    "tokens_per_second": drawn.shape[0] * job["tokens"] / seconds,
    "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
}))
