"""Peer of bench/eval.ts: lm-evaluation-harness with transformers on the same task files.

    VENV/bin/python bench/peers/lm_eval_run.py '{"model": DIR, "folder": DIR, "tasks": [NAME], "shots": 0, "threads": 2, "batch": 16}'

The time starts when the model is loaded. Prints one JSON line.
"""
import json
import os
import sys
import tempfile
import time
import warnings

job = json.loads(sys.argv[1])
os.environ.update(OMP_NUM_THREADS=str(job["threads"]), HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_DATASETS_CACHE=tempfile.mkdtemp())
warnings.filterwarnings("ignore")
import datasets
import lm_eval
import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

datasets.disable_progress_bars()
torch.set_num_threads(job["threads"])
model = HFLM(pretrained=job["model"], dtype="float32", device="cpu", batch_size=job["batch"])
tasks = TaskManager(include_path=job["folder"], include_defaults=False)
start = time.perf_counter()
run = lm_eval.simple_evaluate(
    model=model, tasks=job["tasks"], num_fewshot=job["shots"], task_manager=tasks, bootstrap_iters=0, log_samples=True
)
seconds = time.perf_counter() - start
print(json.dumps({
    "peer": "lm_eval 0.4, transformers, torch " + torch.__version__,
    "seconds": seconds,
    "requests": sum(len(sample["arguments"]) for samples in run["samples"].values() for sample in samples),
    "accuracies": {name: run["results"][name]["acc,none"] for name in job["tasks"]},
}))
