"""Writes made-up documents and lm-eval's requests for the task files of test/fixtures/eval/harness.

    python test/oracle/lm_eval_requests.py      # needs lm_eval 0.4.13, datasets; writes data/ and requests.json there
"""
import json
import os
import tempfile

os.environ.setdefault("HF_DATASETS_CACHE", tempfile.mkdtemp())
os.environ["HF_DATASETS_OFFLINE"] = "1"
import datasets
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../fixtures/eval/harness")
WORDS = "mill stone grain river wheel flour miller bread oven salt".split()


def write(path, rows):
    path = f"{ROOT}/data/made/{path}.jsonl"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def letters(n, start):
    return [{"question": f"Which word has number {i}? " + ("" if i % 3 else "\u00e9\U0001f33e "), "choices": [WORDS[(i + k) % 10] for k in range(4)], "answer": i % 4, "subject": "mills_and_grain"} for i in range(start, start + n)]


write("letters/test", letters(4, 0))
write("letters/dev", letters(5, 20))
write("fields/one/train", [{"goal": f"grind {w}", "choices": {"text": [w, w[::-1], "x y"], "label": ["A", "B", "C"]}, "answerKey": "ABC"[i % 3]} for i, w in enumerate(WORDS)])
write("fields/one/validation", [{"goal": f"bake {w}", "choices": {"text": [w.upper(), f"a {w}"], "label": ["1", "2"]}, "answerKey": "12"[i % 2]} for i, w in enumerate(WORDS[:3])])
write("blanks/test", [{"before": f"The {w} of the ", "after": "turned slowly.", "one": "wheel", "two": "stone", "right": str(i % 2)} for i, w in enumerate(WORDS[:4])])
write("prose/test", [{"page": "One line.\nTwo  lines\u3000here.\n", "text": "the miller ground the grain", "note": None}, {"page": "", "text": "bread is  baked", "note": "yes"}])
write("sums/test", [{"question": f"What is {i} + {i}?", "answer": f"{i} and {i} are <<{2 * i}>>.\n#### {2 * i}", "short": [str(2 * i), f"{2 * i}.0"]} for i in range(6)])
write("sums/train", [{"question": f"What is {i} + 1?", "answer": f"One more is {i + 1}.\n#### {i + 1}", "short": [str(i + 1)]} for i in range(8)])
write("odd/test", [{"id": 1, "score": 2, "ratio": 1, "flag": True, "nested": {"a": 1}, "list": [1, 2.5], "answer": "7", "context": "a "}, {"id": 2, "score": None, "ratio": 2.0, "flag": False, "nested": {"b": "x"}, "list": [], "answer": "12", "context": ""}, {"id": 12345678901234567, "score": 3, "ratio": 0.1, "flag": None, "nested": None, "list": [1e3], "context": "it's \"so\""}])


def download(self, dataset_kwargs=None, **kwargs):
    folder = os.path.join(ROOT, "data", self.config.dataset_path, self.config.dataset_name or "")
    files = {name[:-6]: os.path.join(folder, name) for name in os.listdir(folder)}
    self.dataset = datasets.load_dataset("json", data_files=files)


ConfigurableTask.download = download


def chat(turns, add_generation_prompt=True):
    text = "".join(f"<{turn['role']}>{turn['content']}</>" for turn in turns)
    return text + "<assistant>" if add_generation_prompt else text[:-3]


VARIANTS = {
    "plain": {},
    "shots": {"num_fewshot": 2},
    "chat": {"num_fewshot": 2, "apply_chat_template": True, "fewshot_as_multiturn": True, "system_instruction": "Be brief."},
    "one turn": {"num_fewshot": 2, "apply_chat_template": True, "fewshot_as_multiturn": False},
}
tasks = TaskManager(include_path=f"{ROOT}/tasks", include_defaults=False)
out = {}
for name in tasks.all_subtasks:
    for variant, given in VARIANTS.items():
        task = tasks.load([name])["tasks"][name]
        shots = given.get("num_fewshot")
        if task.config.num_fewshot != 0 and (shots is not None or task.config.num_fewshot is None):
            task.set_config(key="num_fewshot", value=shots or 0)
        task.set_fewshot_seed(1234)
        try:
            task.build_all_requests(chat_template=chat, **{k: v for k, v in given.items() if k != "num_fewshot"})
            made = [[each.doc_id, each.idx, each.request_type, *each.args] for each in task.instances]
        except Exception as error:
            made = {"error": f"{type(error).__name__}: {error}"[:200]}
        out.setdefault(name, {})[variant] = made
group = tasks.load(["made_group"])
out["made_group"] = {"tasks": {n: [t.config.num_fewshot, t.config.description] for n, t in group["tasks"].items()}, "groups": group["group_map"]}
json.dump(out, open(f"{ROOT}/requests.json", "w", encoding="utf-8"), ensure_ascii=False, indent=0)
print({n: {v: len(m) if isinstance(m, list) else m for v, m in t.items()} for n, t in out.items()})
