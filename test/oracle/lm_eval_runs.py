"""Writes test/fixtures/eval/harness/runs.json: what lm-eval finds when the model tiny-chat runs the task files beside it.

    python test/oracle/lm_eval_runs.py     # needs lm_eval 0.4.13, torch, transformers, datasets; the data of lm_eval_requests.py
"""
import json
import os
import pathlib
import tempfile

os.environ.setdefault("HF_DATASETS_CACHE", tempfile.mkdtemp())
os.environ["HF_DATASETS_OFFLINE"] = os.environ["HF_HUB_OFFLINE"] = "1"
import datasets
import lm_eval
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

ORACLE = pathlib.Path(__file__).parent
ROOT = ORACLE / "../fixtures/eval/harness"


def download(self, dataset_kwargs=None, **kwargs):
    folder = ROOT / "data" / self.config.dataset_path / (self.config.dataset_name or "")
    self.dataset = datasets.load_dataset("json", data_files={path.stem: str(path) for path in folder.iterdir()})


ConfigurableTask.download = download

VARIANTS = {
    "plain": {},
    "shots": {"num_fewshot": 2},
    "chat": {"num_fewshot": 1, "apply_chat_template": True, "fewshot_as_multiturn": True, "system_instruction": "Be brief."},
}
model = HFLM(pretrained=str(ORACLE / "fixtures/tiny-chat"), dtype="float64", batch_size=1, device="cpu")


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return value


tasks = TaskManager(include_path=str(ROOT / "tasks"), include_defaults=False)
names = [name for name in tasks.all_subtasks] + ["made_group"]
out = {}
for variant, given in VARIANTS.items():
    for name in names:
        try:
            run = lm_eval.simple_evaluate(
                model=model, tasks=[name], task_manager=tasks, log_samples=True, bootstrap_iters=1000,
                gen_kwargs={"max_gen_toks": 12}, **given,
            )
        except Exception as error:
            out.setdefault(variant, {})[name] = {"error": f"{type(error).__name__}: {error}"[:160]}
            continue
        keys = ["results", "groups", "group_subtasks", "versions", "n-shot", "higher_is_better", "n-samples"]
        kept = {key: rounded(run[key]) for key in keys if key in run}
        kept["samples"] = {
            task: [
                rounded(
                    {
                        "doc_id": s["doc_id"],
                        "filter": s["filter"],
                        "hashes": [s[f"{what}_hash"][:16] for what in ("doc", "prompt", "target")],
                        "resps": s["resps"],
                        "values": {metric: s[metric] for metric in s["metrics"]},
                    }
                )
                for s in samples
            ]
            for task, samples in run["samples"].items()
        }
        out.setdefault(variant, {})[name] = kept
text = json.dumps(out, ensure_ascii=False, default=str)
(ROOT / "runs.json").write_text(text.replace('{"results"', '\n{"results"'), encoding="utf-8")
print({v: {n: "error" if "error" in r else "ok" for n, r in t.items()} for v, t in out.items()}, len(text))
