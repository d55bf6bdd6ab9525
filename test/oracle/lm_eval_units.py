#!/usr/bin/env python3
"""Writes test/fixtures/eval/lm-eval-units.json: inputs and outputs of Python's random and json and of lm-eval's filters,
metrics, aggregations, standard errors, samplers and windows, on made-up inputs. Needs Python 3.11 and

    pip install --no-deps lm_eval==0.4.13 sacrebleu==2.6.0 portalocker regex tabulate colorama dill more_itertools evaluate
    pip install numpy scikit-learn==1.9.1 jinja2 pyyaml requests tqdm

    DISABLE_MULTIPROC=1 python test/oracle/lm_eval_units.py
"""
import json
import os
import random
import re
import sys

os.environ["DISABLE_MULTIPROC"] = "1"
from lm_eval.api import metrics as M
from lm_eval.api import samplers as S
from lm_eval.filters.extraction import MultiChoiceRegexFilter, POSFilter, RegexFilter, WhitespaceFilter
from lm_eval.filters.selection import MajorityVoteFilter, TakeFirstFilter, TakeKFilter
from lm_eval.filters.transformation import LowercaseFilter, MapFilter, SPANFilter, UppercaseFilter
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

out = {}

# random
cases = []
for seed in [0, 1, -7, 1234, 2**31, 2**53 - 1, 2**80 + 12345, "", "abc", "Zürich 🎲", "1234"]:
    r = random.Random(seed)
    c = {"seed": str(seed) if isinstance(seed, int) else seed, "text": isinstance(seed, str)}
    c["random"] = [r.random() for _ in range(3)]
    c["getrandbits"] = [[k, str(r.getrandbits(k))] for k in (1, 7, 32, 33, 53, 64, 100)]
    c["randrange"] = [r.randrange(10), r.randrange(5, 50, 7), r.randrange(10, -20, -3), r.randrange(2**40), r.randint(1, 6)]
    x = list(range(20))
    r.shuffle(x)
    c["shuffle"] = x
    c["sample"] = [r.sample(range(n), k) for n, k in ((21, 5), (22, 5), (1000, 6), (85, 6), (86, 6), (30, 30), (5, 0))]
    c["choice"] = [r.choice("abcdefg") for _ in range(5)]
    c["choices"] = [r.choices(range(9), k=6), r.choices("abc", weights=[1, 0.5, 3], k=8)]
    c["gauss"] = [r.gauss(0, 1), r.gauss(3, 2), r.gauss(0, 1)]
    c["uniform"] = r.uniform(-2, 5)
    for _ in range(700):
        r.random()
    c["later"] = r.random()
    cases.append(c)
out["random"] = cases

# json
values = [
    {"a": 1, "b": [1.5, None, True, "x"], "c": {}, "d": []}, "é\U0001f600\u007f\u2028 \"q\" \\ \t\b\f\n\r\x00\x1f/", [], {},
    [1e16, 1e-5, 0.1, 123456789.125, 1e22, -2.5e-7, 1e100, 5e-324, 0.0001, 1234567890123456.7], {"z": 1, "ä": {"y": [[]]}, "B": False},
]
options = [{}, {"ensure_ascii": False}, {"indent": 2}, {"indent": 4, "ensure_ascii": False}, {"separators": [",", ":"]}, {"sort_keys": True}]
out["json"] = [{"value": v, "options": o, "text": json.dumps(v, **o)} for v in values for o in options]
out["floats"] = [[repr(x), x] for x in (1e15, 1e16, 9999999999999998.0, 123456.789, 1e-4, 9.999e-5, 1.7976931348623157e308, 0.30000000000000004, 100.5)]

# samplers
out["samplers"] = []
for seed in (1234, 7):
    for pool, n in ((12, 3), (400, 5), (6, 5)):
        docs = [{"i": i} for i in range(pool)]
        a = S.ContextSampler(docs, rnd=seed)
        b = S.ContextSampler(docs, rnd=seed)
        f = S.FirstNSampler(docs)
        out["samplers"].append({
            "seed": seed, "pool": pool, "count": n,
            "other_split": [[d["i"] for d in a.sample(n)] for _ in range(3)],
            "same_split": [[d["i"] for d in b.sample(n, eval_doc={"i": e})] for e in range(4)],
            "first": [d["i"] for d in f.sample(n)], "first_without": [d["i"] for d in f.sample(n, eval_doc={"i": 1})],
        })
copies = S.ContextSampler([{"i": i % 4} for i in range(12)], rnd=3)
out["sampler_copies"] = [[d["i"] for d in copies.sample(6, eval_doc={"i": e})] for e in range(4)]

# windows
out["windows"] = []
for n, ml, cl in ((0, 4, 1), (9, 4, 1), (9, 4, 3), (4, 4, 4), (3, 8, 2), (20, 6, 2)):
    w = list(get_rolling_token_windows(list(range(n)), 99, ml, cl))
    out["windows"].append({"tokens": n, "window": ml, "context": cl, "rolling": w, "disjoint": [make_disjoint_window(x) for x in w]})

# regular expressions
patterns = [
    r"#### (\-?[0-9\.\,]+)", r"(-?[$0-9.,]{2,})|(-?[0-9]+)", r"(?i)answer:?\s*([a-d])\b", r"^\s*([A-D])", r"(?m)^(\w+)$", r"(?s)<(.*?)>",
    r"((?<=The answer is )(.*)(?=.)|(?<=the answer is )(.*)(?=.))", r"\b(Yes|No|yes|no)\b", r"(?=(female|woman|man|male))", r"a*", r"|a",
    r"(?P<x>\w)(?P=x)", r"[]a-]+", r"[^]x]", r"\d+", r"\w+", r"\W", r"\S+\Z", r"x{,2}y", r"{\w}", r"(?x) (\d+) \s # digits" "\n" r" (\w)", r"\x41|\u0042|\103", r"[\w.-]+@[\w-]+",
    r"(?<= )([\" \[\(<{}>\)\]]+)|([\" \[\(<{}>\)\]]+)", r"答えは(\-?[0-9\.\,]+)です。", r".", r"(a)|(b)|c", r"\$\$?", r"(?:^|\n)(.*)$", r"\\boxed{(.*)}", r"[a-c\d_]+?", r"(?a)\w+", r"\B.", r"(ab)?c", r"[^\W\d]+", r"(?i)straße",
]
texts = [
    "The answer is 42.\n#### 42", "so $1,234.50 in total, #### -7", "answer: B then Answer c", "Yes, no noo\nYes", "a woman and a man", "baac", "aab  letter xx-]a", "12 ab\n٣４ ü_x", "", "xxy {w} A B C a.b@c-d STRASSE straße",
    "<b\nold> [\"(x)\"] 答えは18です。", "\\boxed{3} $$ y\n", "e\u0301 \U0001f600 end", "abc c", "line\r\nnext\u2028x\x85\x1cz\ufeffw",
]
out["regex"] = []
for p in patterns:
    r = re.compile(p)
    out["regex"].append({"pattern": p, "find": [r.findall(t) for t in texts], "sub": [r.sub("<\\g<0>>", t) for t in texts[:6]], "split": [r.split(t) for t in texts[:6]]})
out["regex_texts"] = texts
out["sub"] = [[p, s, t, re.sub(p, s, t)] for p, s, t in [(r"(\w+) (\w+)", r"\2 \1", "ab cd ef gh"), (r"(?P<n>\d)", r"[\g<n>]\n", "a1b22"), (r"x*", "-", "abxd"), (r"(a)|(b)", r"<\1\2>", "ab")]]

# filters
responses = ["The answer is 12.\n#### 12", "about $3,200.75", "#### -4 and #### 5", "none", "", "9 cats, 2.5 dogs", "It is (C).", "c", "(A) since", "Answer: b", "it must be Blue!", "D: no", " padded \u2003", "５", "$,", "y = -1.5", "ẞ İ ß ǅ", "the Green one, not red"]
docs = [{"choices": ["Red", "Green", "blue!", "Red wine"]} for _ in responses]
out["filters"] = []
for name, cls, args in [
    ("regex", RegexFilter, {}), ("regex", RegexFilter, dict(regex_pattern=r"(-?[$0-9.,]{2,})|(-?[0-9]+)", group_select=-1)), ("regex", RegexFilter, dict(regex_pattern=r"(x)|(y)|(?:A)", fallback="?")),
    ("multi_choice_regex", MultiChoiceRegexFilter, dict(regex_pattern=r"(\([A-Z]\))", ignore_case=True, ignore_punctuation=True)), ("multi_choice_regex", MultiChoiceRegexFilter, dict(regex_pattern=r"(\([A-Z]\))|(zz)", group_select=-1, regexes_to_ignore=["it ", "\\s"])),
    ("remove_whitespace", WhitespaceFilter, {}), ("lowercase", LowercaseFilter, {}), ("uppercase", UppercaseFilter, {}), ("map", MapFilter, dict(mapping_dict={"c": 1, "": "empty"}, default_value="?")), ("map", MapFilter, dict(mapping_dict={"c": 1})),
    ("format_span", SPANFilter, {}), ("regex_pos", POSFilter, {}),
]:
    inputs = responses
    if name == "format_span":
        inputs = ["Person: Ada, none $$ location: Nairobi\nDate: 5 May", "places : x, y", "no label", "ORG: none", "time: noon$$org: A.B., C"]
    if name == "regex_pos":
        inputs = ["[('the', 'DET'), ('cat', 'NOUN')]", "nothing"]
    got = [x[0] for x in cls(**args).apply([[g] for g in inputs], docs[: len(inputs)])]
    out["filters"].append({"name": name, "args": args, "inputs": inputs, "choices": docs[0]["choices"] if name == "multi_choice_regex" else None, "outputs": got})
several = [["a", "b", "b", "a"], ["x", "y", "y"], ["", "q", ""]]
out["filters_of_many"] = [{"name": n, "args": a, "inputs": several, "outputs": list(c(**a).apply(several, [{}] * 3))} for n, c, a in [("take_first", TakeFirstFilter, {}), ("majority_vote", MajorityVoteFilter, {}), ("take_first_k", TakeKFilter, dict(k=2))]]

# exact match
pairs = [("18", "18"), ("1,234", "1234"), ("$5", "5"), ("foo #### 7", "7"), ("Yes.", "yes"), ("A1", "A"), ("İ", "i̇"), ("it's", "its"), ("٣", ""), ("«a»", "a"), ("x ", "x")]
out["exact_match"] = [{"args": a, "pairs": pairs, "values": [float(M.exact_match_hf_evaluate([p], [r], **a)["exact_match"]) for p, r in pairs], "mean": float(M.exact_match_hf_evaluate([p for p, _ in pairs], [r for _, r in pairs], **a)["exact_match"])} for a in [{}, dict(ignore_case=True), dict(ignore_punctuation=True), dict(ignore_numbers=True), dict(ignore_case=True, ignore_punctuation=True, ignore_numbers=True, regexes_to_ignore=[",", r"\$", "(?s).*#### ", r"\.$"])]]

# corpus metrics
refs = ["The quick brown fox jumps over the lazy dog.", "Is it raining today in Paris, or not?", "Hello world, again", "Zürich ist schön, nicht wahr?", "A B C D E F G H", "", "one & two &amp; three - 4.5% 'x'", "日本語 の テスト です", "the cat sat on the mat while the dog slept"]
hyps = ["The brown quick fox jumped over a lazy dog.", "It is raining in Paris today, isn't it?", "Hello, world!", "Zurich ist schoen.", "E F G H A B C D", "extra words", "one & two & three-4.5 % x", "日本語 テスト の です ！", "while the dog slept the cat sat on a mat"]
pairs = list(zip(refs, hyps))
rnd = random.Random(5)
bins = [(rnd.randint(0, 1), rnd.randint(0, 1)) for _ in range(30)]
many = [(rnd.randint(0, 3), rnd.randint(0, 3)) for _ in range(40)]
lls = [round(-rnd.random() * 3, 6) for _ in range(25)]
weighted = [(round(-rnd.random() * 100, 6), rnd.randint(5, 60)) for _ in range(15)]
brier = [(1, [0.2, 0.7, 0.1]), (0, [0.6, 0.3, 0.1]), (2, [0.5, 0.25, 0.25])]
lists = [([a, b], c) for a, b, c in zip(refs, hyps[::-1], hyps)]
acc_all = [[rnd.randint(0, 1) == 1, {"idx": {"paragraph": i // 6, "question": i // 3}, "label": rnd.randint(0, 1)}] for i in range(24)]
nan = float("nan")
nans = [nan if i % 5 == 2 else x for i, x in enumerate(lls)]
metrics = [
    ("bleu", M.bleu, pairs), ("chrf", M.chrf, pairs), ("chrf++", M.chrfpp, pairs), ("ter", M.ter, pairs), ("bleu", M.bleu, lists), ("chrf", M.chrf, lists), ("chrf++", M.chrfpp, lists), ("ter", M.ter, lists),
    ("f1", M.f1_score, bins), ("matthews_corrcoef", M.matthews_corrcoef, bins), ("matthews_corrcoef", M.matthews_corrcoef, many), ("perplexity", M.perplexity, lls), ("weighted_perplexity", M.weighted_perplexity, weighted),
    ("bits_per_byte", M.bits_per_byte, weighted), ("median", M.median, lls), ("mean", M.mean, lls), ("brier_score", M.brier_score, brier), ("acc_all", M.acc_all, acc_all), ("nanmean", M.nanmean, nans), ("f1", M.f1_score, [(0, 0), (0, 0)]), ("matthews_corrcoef", M.matthews_corrcoef, [(1, 1), (1, 1)]),
]
plain = lambda items: [None if x != x else x for x in items] if items is nans else items
out["aggregations"] = [{"name": n, "items": plain(x), "value": float(f(x))} for n, f, x in metrics]
for n, f in (("bleu", M.bleu), ("chrf", M.chrf), ("chrf++", M.chrfpp), ("ter", M.ter)):
    out["aggregations"] += [{"name": n, "items": [p], "value": float(f([p]))} for p in pairs]
words = "a b c d e f g".split()
for i in range(12):
    p = [(" ".join(rnd.choices(words, k=rnd.randint(1, 25))), " ".join(rnd.choices(words, k=rnd.randint(1, 25)))) for _ in range(2)]
    out["aggregations"] += [{"name": n, "items": p, "value": float(f(p))} for n, f in (("ter", M.ter), ("bleu", M.bleu))]
ref = [rnd.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(120)]
out["aggregations"].append({"name": "ter", "items": [(" ".join(ref), " ".join(ref[60:] + ref[:20]))], "value": float(M.ter([(" ".join(ref), " ".join(ref[60:] + ref[:20]))]))})
out["aggregations"].append({"name": "ter", "items": [(" ".join(ref), "a b c")], "value": float(M.ter([(" ".join(ref), "a b c")]))})

# standard errors
out["errors"] = []
for n, f, x, iterations in [("perplexity", M.perplexity, lls, 50), ("perplexity", M.perplexity, lls, 2500), ("median", M.median, lls, 1000), ("f1", M.f1_score, bins, 60), ("matthews_corrcoef", M.matthews_corrcoef, many, 60), ("bleu", M.bleu, pairs, 40), ("chrf", M.chrf, pairs, 40), ("chrf++", M.chrfpp, pairs, 20), ("ter", M.ter, pairs, 40), ("nanmean", M.nanmean, nans, 100), ("mean", M.mean, lls, 100), ("acc_all", M.acc_all, acc_all, 100)]:
    out["errors"].append({"name": n, "iterations": iterations, "items": plain(x), "value": float(M.stderr_for_metric(f, iterations)(x))})
groups = [([0.01, 0.02, 0.05], [100, 50, 10], [0.5, 0.25, 0.75]), ([0.1, 0.003], [7, 4000], [0.9, 0.1])]
out["groups"] = [{"errors": e, "sizes": s, "values": v, "pooled": float(M.pooled_sample_stderr(e, s)), "unweighted": float(M.unweighted_mean_stderr(e)), "combined": float(M.combined_sample_stderr(e, s, v)), "weighted_mean": M.aggregate_subtask_metrics(v, s), "plain_mean": M.aggregate_subtask_metrics(v, s, False)} for e, s, v in groups]

# what a document gives to each metric: lm-eval's own process_results on a task without data
from unittest.mock import MagicMock

import numpy as np

# Only loading data needs it.
sys.modules.setdefault("datasets", MagicMock())
from lm_eval.api.task import ConfigurableTask


class Task:
    """As much of a task as process_results reads."""

    def __init__(self, output_type, metrics, choices=None, gold=None, several=False, arguments=None):
        self.OUTPUT_TYPE = output_type
        self._metric_fn_list = {m: getattr(M, {"exact_match": "exact_match_fn"}.get(m, m.replace("+", "p") + "_fn"), None) or getattr(M, m) for m in metrics}
        self._metric_fn_kwargs = {m: (arguments or {}) if m == "exact_match" else {} for m in metrics}
        self._aggregation_list = {}
        self._higher_is_better = {}
        self.config = type("Config", (), {"process_results": None, "doc_to_choice": choices if output_type == "multiple_choice" else None})()
        self.multiple_input = 0
        self.multiple_target = several
        self.doc_to_choice = lambda doc: choices
        self.doc_to_target = lambda doc: gold
        self.count_words = ConfigurableTask.count_words
        self.count_bytes = ConfigurableTask.count_bytes


def values(task, results):
    got = ConfigurableTask.process_results(task, {}, results)
    return json.loads(json.dumps(got, default=lambda o: o.tolist() if isinstance(o, (np.ndarray, np.generic)) else list(o)))


four = ["acc", "acc_norm", "acc_bytes", "exact_match", "f1", "mcc", "brier_score"]
out["choices"] = []
for lls, greedy, choices, gold, several in [
    ([-3.0, -2.5, -9.0], [False, True, False], ["yes", "no", "maybe not"], 1, False), ([-3.0, -2.5, -9.0], [False, True, False], ["yes", "no", "maybe not"], "maybe not", False),
    ([-5.0, -5.0], [False, False], ["\U0001f600\U0001f600", "ab"], 0, False), ([-5.0, -6.0], [False, False], ["é", "abc"], 1, False), ([-1.0, -2.0], [True, False], ["a", "b"], 7, False), ([-1.0, -2.0], [True, False], ["a", "b"], "c", False),
    ([-1.0, -2.0, -0.5], [False, True, False], ["a", "b", "c"], [0, 1], True), ([-1.0, -2.0, -0.5], [False, True, True], ["a", "b", "c"], [2, 9], True), ([-1.0, float("nan")], [False, False], ["a", "b"], 1, False),
]:
    wanted = four[:4] if several else four
    task = Task("multiple_choice", wanted, choices, gold, several)
    out["choices"].append({"results": [[None if x != x else x, g] for x, g in zip(lls, greedy)], "choices": choices, "gold": gold, "wanted": wanted, "values": json.loads(json.dumps(values(task, list(zip(lls, greedy)))).replace("NaN", "null"))})
task = Task("multiple_choice", ["acc", "acc_mutual_info"], ["a", "bc"], 1)
out["choices"].append({"results": [[-3, False], [-4, False], [-3.5, False], [-9, True]], "choices": ["a", "bc"], "gold": 1, "wanted": ["acc", "acc_mutual_info"], "values": values(task, [(-3, False), (-4, False), (-3.5, False), (-9, True)])})
out["rolling"] = [{"target": t, "values": values(Task("loglikelihood_rolling", ["word_perplexity", "byte_perplexity", "bits_per_byte"], gold=t), [-12.5])} for t in ("one two\n three", " é\u3000x ", "", "a\ufeffb c\x1cd")]
out["generated"] = [{"result": r, "gold": g, "several": s, "arguments": a, "metrics": m, "values": values(Task("generate_until", m, gold=g, several=s, arguments=a), [r])} for r, g, s, a, m in [
    ("7", 7, False, {}, ["exact_match"]), ("True", True, False, {}, ["exact_match"]), ("0.5", 0.5, False, {}, ["exact_match"]), ("None", None, False, {}, ["exact_match"]), ("$1,000", "1000", False, {"regexes_to_ignore": [",", "\\$"]}, ["exact_match"]),
    ("b", ["a", "b"], True, {}, ["exact_match"]), ("B.", ["a", "b"], True, {"ignore_case": True}, ["exact_match"]), ("B.", ["a", "b"], True, {"ignore_case": True, "ignore_punctuation": True}, ["exact_match"]), ("b", "b", True, {}, ["exact_match"]),
    ("hello", "hallo", False, {}, ["bleu", "chrf", "ter"]),
]]


def pass_at(n, c, k):
    return 1.0 if n - c < k else float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


out["pass_at_k"] = [[n, c, k, pass_at(n, c, k)] for n, c, k in ((1, 0, 1), (1, 1, 1), (10, 3, 1), (10, 3, 5), (200, 17, 100), (10, 10, 3), (10, 8, 3))]

path = os.path.join(os.path.dirname(__file__), "../fixtures/eval/lm-eval-units.json")
os.makedirs(os.path.dirname(path), exist_ok=True)
with open(path, "w") as file:
    file.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=True, separators=(',', ':'))}" for k, v in out.items()) + "\n}\n")
print({k: len(v) for k, v in out.items()}, os.path.getsize(path), file=sys.stderr)
