#!/usr/bin/env python3
"""Writes test/fixtures/eval/functions-a.json and functions-c.json: made-up documents, and what the Python functions of lm-eval's task files make of
them. Long outputs are stored as hashes, texts
that occur often as "@" and their index in `texts`, documents by column. Needs Python 3.11 and

    pip install lm_eval==0.4.13 rouge_score==0.1.2 sacrebleu==2.6.0 scikit-learn scipy numpy datasets evaluate

Its CoQA, ReCoRD and XQuAD import transformers.data.metrics.squad_metrics, which transformers 5 lacks: give that file of 4.57.

    python test/oracle/lm_eval_functions_a.py TASKS_FOLDER SQUAD_METRICS.py
"""
import collections
import copy
import hashlib
import importlib.util
import json
import math
import os
import random
import sys
import types

import numpy as np
from datasets import Dataset
from rouge_score import rouge_scorer, scoring

TASKS, SQUAD = sys.argv[1:3]
FIXTURES = os.path.join(os.path.dirname(__file__), "../fixtures/eval")


def load(path, name=None):
    spec = importlib.util.spec_from_file_location(name or "m" + hashlib.md5(path.encode()).hexdigest(), path)
    module = importlib.util.module_from_spec(spec)
    if name:
        sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


import transformers.data  # noqa: E402

metrics = types.ModuleType("transformers.data.metrics")
metrics.__path__ = []
sys.modules["transformers.data.metrics"] = metrics
source = open(SQUAD).read().replace("from ...utils", "from transformers.utils").replace("from ...models", "from transformers.models")
squad = types.ModuleType("transformers.data.metrics.squad_metrics")
try:
    exec(compile(source, SQUAD, "exec"), squad.__dict__)
except ImportError:
    head = source.replace("from transformers.models.bert import BasicTokenizer\n", "")
    exec(compile(head, SQUAD, "exec"), squad.__dict__)
sys.modules["transformers.data.metrics.squad_metrics"] = squad
metrics.squad_metrics = squad

modules = {}


def function(name):
    """folder/module.function of the tasks folder; super_glue's are one deeper."""
    path, _, attribute = name.rpartition(".")
    folder, _, module = path.rpartition("/")
    for parent in ("", "super_glue/", "glue/", "okapi/"):
        file = f"{TASKS}/{parent}{folder}/{module}.py"
        if os.path.exists(file):
            modules.setdefault(file, None)
            modules[file] = modules[file] or load(file)
            return getattr(modules[file], attribute)
    raise SystemExit(f"no module for {name}")


def plain(value):
    if isinstance(value, (np.bool_, bool)):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray) and value.ndim == 0:
        return plain(value.item())
    if isinstance(value, (np.floating, float)):
        if math.isnan(value):
            return "@NaN"
        # Twelve digits: the test compares to 1e-9.
        return float(f"{value:.12g}")
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def has_float(value):
    if isinstance(value, list):
        return any(map(has_float, value))
    if isinstance(value, dict):
        return any(map(has_float, value.values()))
    return isinstance(value, float)


def whole(value):
    """Floats without a fraction as JavaScript writes them."""
    if isinstance(value, list):
        return [whole(v) for v in value]
    if isinstance(value, dict):
        return {k: whole(v) for k, v in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def stored(value):
    value = plain(value)
    exact = whole(value)
    text = json.dumps(exact, ensure_ascii=False, separators=(",", ":"))
    if len(text) <= 14 or has_float(exact):
        return value
    return "#" + hashlib.sha256(text.encode()).hexdigest()[:8]


def attempt(run):
    try:
        return stored(run())
    except Exception as error:
        return {"raises": type(error).__name__}


cases = []


def documents(docs, *names, whole=False):
    """Rules of a document; with `whole` functions of the data set, also in one call."""
    case = {"documents": docs, "rules": {}, "datasets": {}}
    for name in names:
        f = function(name)
        if whole:
            case["datasets"][name] = [stored(row) for row in f(Dataset.from_list(copy.deepcopy(docs))).to_list()]
        else:
            case["rules"][name] = [attempt(lambda d=d: f(copy.deepcopy(d))) for d in docs]
    cases.append(case)


def results(docs, answers, *names):
    """Log-likelihoods are pairs [number, greedy]."""
    case = {"documents": docs, "answers": answers, "results": {}}
    given = [[tuple(a) if isinstance(a, list) and len(a) == 2 and isinstance(a[1], bool) else a for a in row] for row in answers]
    for name in names:
        f = function(name)
        case["results"][name] = [attempt(lambda d=d, r=r: f(copy.deepcopy(d), list(r))) for d, r in zip(docs, given)]
    cases.append(case)


def metric(pairs, *names):
    case = {"pairs": pairs, "metrics": {}}
    for name in names:
        f = function(name)
        case["metrics"][name] = [attempt(lambda a=a, b=b: f(predictions=[b], references=[a])) for a, b in pairs]
    cases.append(case)


def items(lists, *names):
    case = {"items": plain(lists), "aggregations": {}}
    for name in names:
        f = function(name)
        case["aggregations"][name] = [attempt(lambda x=x: f([tuple(i) for i in x])) for x in lists]
    cases.append(case)


rnd = random.Random(7)
ODD = [
    "The cat's mat.", " a  double  space ", "naïve “café”—x", "1,000.50", "日本語の文。", "🎲 dice 🎲", "İstanbul Ünal",
    "the THE An a", "tab\tand\nline", "I do n't 've", "( in ) [ it ]", "\u00a0nbsp\u2003em", "Σίσυφος ΟΔΟΣ", "a-b c--d", "!!!",
    "$5 & 50%", "_un_der_", "{x} \\1 $1 $&", "x", "ﬁne ß. Straße",
]
N = len(ODD)


def odd(i, step=1, add=0):
    return ODD[(i * step + add) % N]


def lls(n, ties=False):
    row = [[-rnd.randrange(1, 4) * 1.5 if ties else round(-rnd.expovariate(0.1), 3), rnd.random() < 0.3] for _ in range(n)]
    return row


# completions
copa = [{"premise": odd(i) + ("." if i % 2 else " "), "choice1": odd(i, 3, 1), "choice2": odd(i, 7, 2) if i != 4 else "",
         "question": "cause" if i % 3 else "effect", "label": i % 2} for i in range(N)]
languages = "et ht it id qu sw zh ta th tr vi".split()
documents(copa, *(f"copa/utils.doc_to_{x}" for x in ("text", "target", "choice")), *(f"xcopa/utils.doc_to_text_{x}" for x in languages),
          "xcopa/utils.doc_to_choice", "copal_id/utils.doc_to_text_id", "copal_id/utils.doc_to_choice")
winograd = [{"sentence": odd(i) + ("_" if i != 9 else "") + odd(i, 3), "option1": odd(i, 7), "option2": odd(i, 9, 1), "answer": "12"[i % 2] if i != 5 else "3"}
            for i in range(N)]
documents(winograd, *(f"{m}.doc_to_{x}" for m in ("winogrande/preprocess_winogrande", "xwinograd/utils") for x in ("text", "target", "choice")))
documents([{"activity_label": odd(i), "ctx_a": odd(i, 3) + " [title] [step]x", "ctx_b": odd(i, 7), "endings": [odd(i, 9) + "[a\nb]", " [header] " + odd(i, 11), ""],
            "label": str(i % 4)} for i in range(N)], "hellaswag/utils.process_docs", whole=True)
kobest = [{"question": ["원인", " 결과\n", "x"][i % 3], "premise": odd(i), "alternative_1": odd(i, 3), "alternative_2": odd(i, 7), "label": i % 2}
          for i in range(N)]
documents(kobest, *(f"kobest/utils.copa_doc_to_{x}" for x in ("text", "target", "choice")))
documents([{"sentence": odd(i, 3), "context_1": odd(i), "context_2": odd(i, 7), "word": odd(i, 9)} for i in range(N)], "kobest/utils.sentineg_doc_to_text", "kobest/utils.wic_doc_to_text")
documents([{"context": odd(i), **{f"ending_{k}": odd(i, 3, k) for k in range(1, 5)}, "label": i % 4} for i in range(N)], "kobest/utils.hellaswag_process_doc", whole=True)

# exams
race = []
for i in range(N):
    problems = [{"question": odd(i + k, 3) + ("  _  ." if (i + k) % 2 else ""), "answer": "ABCD"[(i + k) % 4], "options": [odd(i + k, s) for s in (1, 3, 7, 9)]}
                for k in range(1 + i % 2)]
    race.append({"article": odd(i), "problems": str(problems)})
documents(race, *(f"race/preprocess_race.doc_to_{x}" for x in ("text", "target", "choice")))
documents([{"options": "a ) %s , b ) %s , c ) 5 , , d ) , e ) %s" % (odd(i), odd(i, 3), odd(i, 7)) + ["", "\n", " ,"][i % 3]} for i in range(N)], "mathqa/utils.doc_to_choice")
documents([{"sent1": odd(i), **{f"ending{k}": odd(i, 3, k) if i != k else None for k in range(4)}, "label": i % 4} for i in range(N)],
          "medqa/preprocess_medqa.doc_to_text", "medqa/preprocess_medqa.doc_to_target")
documents([{"question": odd(i), **{f"op{c}": odd(i, 7, k) for k, c in enumerate("abcd")}} for i in range(N)], "medmcqa/utils_medmcqa.doc_to_text")
documents([{"CONTEXTS": [odd(i, 3, k) for k in range(i % 4)], "QUESTION": odd(i)} for i in range(N)], "pubmedqa/preprocess_pubmedqa.doc_to_text")
documents([{"context": odd(i), "text": odd(i, 3), "question": odd(i, 7), "options": [odd(i, 9, k) for k in range(i % 6)], "label": [" a\n", "b", "c", "d ", "E"][i % 5]}
           for i in range(N)], "logiqa/utils_logiqa.doc_to_text", "logiqa/utils_logiqa.doc_to_target", "logiqa2/utils_logiqa2.doc_to_text")
webqs = [{"answers": [odd(i, 3, k * 3) + ["", "s", " of"][(k + i) % 3] for k in range(i % 5)] + ["x", "x y", "\uffee", "\U0001f600"][: i % 4 + 1]} for i in range(N)]
documents(webqs, "webqs/utils.doc_to_choice", "webqs/utils.doc_to_target")
documents([{"premise": odd(i), "hypothesis": odd(i, 3)} for i in range(N)], "mnli/utils.doc_to_text")
documents([{"activity": odd(i), "baseline": odd(i, 7)} for i in range(N)], "hendrycks_ethics/utils.doc_to_text", "hendrycks_ethics/utils.doc_to_target")
documents([{"inputs": odd(i), "multiple_choice_targets": ["a"] * (i % 3)} for i in range(N)], "bigbench/utils.filter_multiple_choice", whole=True)
documents([{"context": "\n Q: " + odd(i) + "\n\n\nQ:A: " + odd(i, 3) + "\nA:", "completion": str(i)} for i in range(N)], "arithmetic/utils.process_docs", whole=True)

# detokenized
pieces = [" = Title = \n \n", "the cats ' toys ", "5 @-@ 6 @,@ 000 @.@ 5", " : ; . ! ? , ", " ( a ( b ) c ) [ x ] ", '" said " ', "' he ' s ' ", "= = = H = = =\n ", " 3 \u00b0 C ",
          " N of N N ", "/' 5/", "{ b } { } ", "naïve\u2003日本", " 's ", "it 's "]
pages = [{"page": "".join(pieces[(i * 3 + k * k) % len(pieces)] for k in range(i % 7)) + odd(i)} for i in range(N)]
documents(pages, "wikitext/preprocess_wikitext.wikitext_detokenizer")
results(pages, [[round(-rnd.random() * 99, 2)] for _ in pages], "wikitext/preprocess_wikitext.process_results")
dialogue = ["m : i do n't know . ", "`` hi '' , f ; no ! ", "what ? \n it 's", " \n ok", ""]
mutual = [{"answers": "ABCD"[i % 4], "article": dialogue[i % 5] + odd(i), "options": [dialogue[(i + k) % 5] for k in range(4)]} for i in range(N)]
documents(mutual, "mutual/utils.process_docs", whole=True)
results([{"answers": d["answers"]} for d in mutual], [lls(4, i % 2) for i in range(N)], "mutual/utils.process_results")
paws = [{"sentence1": [odd(i) + " .", odd(i) + ";", None, odd(i), ""][i % 5], "sentence2": odd(i, 3) if i != 8 else None, "label": i % 2} for i in range(N)]
documents(paws, "paws-x/utils.process_docs_paraphrases", whole=True)
wsc = []
for i in range(N):
    pronoun = ["he", "His", "it", "Their", "She"][i % 5]
    start = odd(i) + [". ", ".  ", " and "][i % 3]
    wsc.append({"text": start + pronoun + " saw  it.", "pronoun": pronoun, "pronoun_loc": len(start), "options": [["The man", "My The a", "they", "An elephant", "Bob"][(i * 3) % 5], odd(i, 3)], "label": i % 2})
documents(wsc, "wsc273/utils.process_doc", whole=True)

# bias
toxigen = [{"toxicity_ai": i / 4 + 1, "toxicity_human": float(i % 5 + 1)} for i in range(N)]
documents(toxigen, "toxigen/utils.doc_to_target")
documents([{"gender": ["male", "female", "neutral", "Male"][i % 4], "id": i} for i in range(N)], *(f"winogender/utils.filter_{g}" for g in ("male", "female", "neutral")), whole=True)
kinds = ["race-color", "socioeconomic", "gender", "age", "religion", "disability", "sexual-orientation", "nationality", "physical-appearance", "autre", "ages", "Gender"]
crows = [{"bias_type": kinds[i % 12], "sent_more": odd(i), "sent_less": odd(i, 3)} for i in range(N)]
documents(crows, *(f"crows_pairs/utils.filter_{x}" for x in "race_color socio gender age religion disability orientation nationality appearance autre".split()), whole=True)
documents(crows, "crows_pairs/utils.doc_to_choice")
results([{}] * N, [lls(2, i % 2) for i in range(N)], "crows_pairs/utils.process_results")
results([{}] * N, [lls(4, i % 2) for i in range(N)], "simple_cooccurrence_bias/utils.process_results")
words = ["male", "man", "female", "woman", "[invalid]", "Man", "x"]
results([{}] * N, [[[words[(i + k * k) % 7] for k in range(i % 5)]] for i in range(N)], "simple_cooccurrence_bias/utils.process_results_gen")

# SuperGLUE
labels = [[[(i * k + k) % 3, (i + k * k) % 3] for k in range(n)] for i, n in ((1, 20), (2, 7), (3, 5))] + [[[2, 2], [2, 2]], [[0, 1]]]
items(labels, "cb/aggregate.cb_multi_fi", "cb/t5_utils.agg_mean_3class_f1", "kobest/utils.macro_f1_score")
cb = ["entailment", "contradiction", "neutral", " neutral", "Neutral", ""]
metric([[cb[i % 3], cb[(i * i) % 6]] for i in range(19)] + [["x", "neutral"]], "cb/t5_utils.mean_3class_f1")
multirc = [[f"{i // 3}_{['False', 'True'][i % 2]}", ["False", "True", "true", "", "yes"][(i * i) % 5]] for i in range(18)] + [["3_4_True", "True"], ["3_x", "True"]]
metric(multirc, "multirc/t5_utils.f1", "multirc/t5_utils.em")
items([[[(i * k) % 2, (i + k // 2) % 2] for k in range(12)] for i in range(4)] + [[[0, 0]], [[1, 0], [1, 0]]], "multirc/t5_utils.agg_f1")
items([[[str(k // (i + 1)), k % 2, (k * i) % 2] for k in range(12)] for i in range(4)] + [[["a", 1, 1], ["b", 0, 1], ["a", 0, 0]]], "multirc/t5_utils.agg_em")
record = [{"passage": "\n" + odd(i) + ["", ".", "?", '"', "'"][i % 5] + "\n@highlight\n" + odd(i, 3) + "\n@highlight\n" * (i % 2) + odd(i, 7), "query": "@placeholder and @placeholder" if i % 3 else odd(i),
           "entities": [odd(i, 3, k % 3) for k in range(i % 5 + 1)], "answers": [odd(i, 3, k % 2) for k in range(i % 4)], "idx": {"passage": i // 2, "query": i}} for i in range(N)]
documents(record, "record/util.process_docs", "record/t5_utils.process_docs", whole=True)
documents(record, "record/util.doc_to_text", "record/util.doc_to_target", "record/util.doc_to_choice", "record/t5_utils.doc_to_text")
results([{"entities": d["entities"], "answers": [odd(i, 3), "The " + odd(i, 7) + "!"][: i % 3]} for i, d in enumerate(record)],
        [lls(len(d["entities"]), True) for d in record], "record/util.process_results")
squad_items = [[["the " + odd(k), f"q{k // 2}_" + odd(k, 1, (k * i) % 2).replace("_", " ")] for k in range(12)] for i in range(3)] + [[["x", "a_b_c"]], [["", "a_the"], ["b", "a_B!"]]]
items(squad_items, "record/t5_utils.squad_em_agg", "record/t5_utils.squad_f1_agg")
metric([[odd(i), odd(i, 3)] for i in range(N)], "record/t5_utils.em", "record/t5_utils.f1")
sentences = ["Mark told  Pete lies about himself , which he did n't like .", "“ Ünal ” said ( to her ) , \" no \" .", " it X it", "🎲 🎲 saw it . it fell ."]
wsc_docs = []
for i in range(N):
    text = sentences[i % 4]
    at = [9, 5, 2, 4][i % 4] if i < 12 else i - 11
    parts = text.split(" ") if i % 2 else text.split()
    wsc_docs.append({"text": text, "span1_text": odd(i), "span2_text": parts[at] if at < len(parts) else "it", "span2_index": at if i != 19 else 99, "label": i % 2})
wsc_docs[0]["span2_index"] = 0
wsc_docs[4]["span2_text"] = "other"
wsc_docs[8] |= {"text": 'The boy continued to whip the pony , and eventually the pony threw him over. John laughed out quite loud. "Good for him," he said. ', "span2_text": "him", "span2_index": 22}
wsc_docs[12] |= {"text": "When they had eventually calmed down a bit , and had gotten home, Mr. Farley put the magic pebble in an iron safe . Some day they might want to use it , but really for now, what more could they wish for?",
                 "span2_text": "it", "span2_index": 28}
documents(wsc_docs, "wsc/preprocess_wsc.default_doc_to_text", "wsc/t5_utils.doc_to_text")
nouns = ["The fuzzy bunny", "Bob's hat", "bunny", "bob", "his  hat", "", "the", "ÜNAL"]
results([{"span1_text": nouns[i % 8], "label": i // 2 % 2} for i in range(24)], [[nouns[(i * i + i // 8) % 8] + ["", " "][i % 2]] for i in range(24)], "wsc/t5_utils.process_results")

# TruthfulQA
results([{"mc2_targets": {"labels": [(k * k + i) % 2 for k in range(i % 12 + 1)]}} for i in range(N)], [lls(i % 12 + 1) for i in range(N)], "truthfulqa/utils.process_results_mc2")
truth = [{"question": odd(i) + "\n", "correct_answers": [" " + odd(i, 3), "", "I have no comment" + "." * (i % 2)][: i % 4], "incorrect_answers": ["  ", odd(i, 7) + "."][i % 2 :]} for i in range(N)]
documents(truth, "truthfulqa/utils.process_docs_gen", whole=True)
said = ["The quick brown fox jumps over the lazy dog.", "the quick fox . jumped over a dog .", "I have no comment.", "Nothing happens at 3.5% (or so) — it's «fine».", "It costs $5, i.e. 5€, 日本語。", "No . Yes . No .", ""]
results([{"correct_answers": [said[(i + k) % 7] for k in range(1 + i % 2)], "incorrect_answers": [said[(i * 3 + k) % 7] for k in range(i % 3)] or ["Yes it does not."]}
         for i in range(N)], [[said[(i * i + i // 7) % 7] + [" ", "\n"][i % 2] + said[(i + 3) % 7]] if i % 3 else [said[i % 7]] for i in range(N)], "truthfulqa/utils.process_results_gen")

# reading
coqa = []
for i in range(N):
    turns = i % 3 + 1
    doc = {"story": odd(i), "questions": {"input_text": [odd(i, 3, k) for k in range(turns)]}, "answers": {"input_text": [odd(i, 7, k) for k in range(turns)]}}
    if i % 4:
        doc["additional_answers"] = {str(k): {"input_text": [odd(i, 7, k + j * 2).upper() if k else odd(i, 7, j) for j in range(turns)]} for k in range(i % 4)}
    coqa.append(doc)
documents(coqa, "coqa/utils.doc_to_text", "coqa/utils.doc_to_target")
results(coqa, [["\n" * (i % 2) + [odd(i, 7, (i % 3)), "the " + odd(i, 7, i % 3) + "!", "x", ""][i % 4] + "\nmore"] for i in range(N)], "coqa/utils.process_results")
empty = {"day": "", "month": "", "year": ""}
drop = []
for i in range(N):
    answer = [{"number": ["5", "1,000", "٣.5"][i % 3], "date": empty, "spans": []}, {"number": "", "date": {"day": "3", "month": "May", "year": ""}, "spans": []},
              {"number": "", "date": empty, "spans": [odd(i), odd(i, 3)][: i % 2 + 1]}, {"number": "", "date": empty, "spans": []}][i % 4]
    others = [answer, {"number": "", "date": empty, "spans": [odd(i, 7)]}][: i % 3]
    drop.append({"query_id": f"q{i}", "passage": odd(i), "question": odd(i, 3), "answer": answer, "validated_answers": {k: [o[k] for o in others] for k in ("number", "date", "spans")}})
documents(drop, "drop/utils.process_docs", whole=True)
golds = [["5"], ["1,000.50"], ["the Cat", "An owl"], ["May 3"], [""], ["5-6 yards"], ["1e3"], ["nan"], ["Ünal's hat", "5", "x"], ["3 May 2020"], [" "], ["!"]]
given = ["5.0", "1000.5 yards", "owl and a cat", "3 may", "", "5 6 yard", "1000", "NaN", "ünals 5 hat", "٣ May 2020", "an", "inf 1_0"]
results([{"answers": [golds[(i + k * 5) % 12] for k in range(i % 3 + 1)]} for i in range(36)], [[given[(i + (i // 12) * 5) % 12]] for i in range(36)], "drop/utils.process_results")
qasper = []
for i in range(N):
    blobs = [{"unanswerable": (i + k) % 5 == 0, "yes_no": [True, False, None][(i + k) % 3], "free_form_answer": odd(i + k, 3) if (i + k) % 2 else "", "extractive_spans": [odd(i), odd(k)] if (i + k) % 4 == 0 or (i + k) % 3 == 2 else []}
             for k in range(i % 3 + 1)]
    qasper.append({"id": str(i), "title": odd(i), "abstract": odd(i, 7), "qas": {"question": [odd(i, 9), "x"][: i % 3], "answers": [{"answer": blobs}, {"answer": blobs[:1]}][: i % 3]}})
documents(qasper, "qasper/utils.process_docs_bool", "qasper/utils.process_docs_freeform", whole=True)
metric([[odd(i), ["the " + odd(i) + " x x", odd(i, 3)][i % 2]] for i in range(N)] + [["", ""], ["a", "the"]], "qasper/metrics.f1_abstractive")
results([{"answers": {"text": [odd(i), "x"]}} for i in range(N)], [[["The " + odd(i) + "?", odd(i, 3), "", "a an"][i % 4]] for i in range(N)], "xquad/utils.process_results_qa")

# classes
for name, path in (("squadv2", "SQuAD2"), ("squad_completion", "SQUADCompletion"), ("fda", "FDA"), ("swde", "SWDE")):
    modules[name] = load(f"{TASKS}/{name}/task.py")


def of_class(name, attribute, docs, answers):
    owner = getattr(modules[name], attribute)
    self = owner.__new__(owner)
    prefix = f"{name}/task/{attribute}"
    case = {"documents": docs, "answers": answers, "rules": {}, "results": {}}
    for method in ("doc_to_text", "doc_to_target"):
        case["rules"][f"{prefix}.{method}"] = [attempt(lambda d=d: getattr(owner, method)(self, d)) for d in docs]
    given = [[tuple(a) if isinstance(a, list) else a for a in row] for row in answers]
    values = [owner.process_results(self, d, r) for d, r in zip(docs, given)]
    if name != "squadv2":
        case["results"][f"{prefix}.process_results"] = [stored(v) for v in values]
    cases.append(case)
    return values


completions = [{"text": odd(i) + "\n", "value": " " + odd(i, 3)} for i in range(N)]
for name, attribute in (("squad_completion", "SQUADCompletion"), ("fda", "FDA"), ("swde", "SWDE")):
    of_class(name, attribute, completions, [[["so " + odd(i, 3).upper() + " it", odd(i, 3), odd(i), ""][i % 4]] for i in range(N)])
squad_docs = [{"id": str(i), "title": odd(i), "context": odd(i, 3), "question": odd(i, 7), "answers": {"text": [odd(i, 9), ["the", "!!!"][i % 2]][: (i * 2) % 3], "answer_start": [0, 1][: (i * 2) % 3]}} for i in range(N)]
squad_values = of_class("squadv2", "SQuAD2", squad_docs, [[["a " + odd(i, 9), "", odd(i), "unanswerable"][(i * i + i // 4) % 4], [-(i % 6) * 0.25, False]] for i in range(N)])


def squad_v2(pairs):
    """What evaluate's squad_v2 computes: the same functions as in transformers, with probabilities in float32."""
    examples = [types.SimpleNamespace(qas_id=r["id"], answers=[{"text": t} for t in r["answers"]["text"]]) for _, r in pairs]
    preds = {p["id"]: p["prediction_text"] for p, _ in pairs}
    return squad.squad_evaluate(examples, preds, {p["id"]: float(np.float32(p["no_answer_probability"])) for p, _ in pairs})


case = {"items": [], "aggregations": {}}
for chosen in (range(N), range(0, N, 3), range(1, N, 3), range(5)):
    pairs = [squad_values[i]["exact"] for i in chosen]
    case["items"].append(list(chosen))
    # squad_evaluate names them without has_ans when there are none; lm-eval takes 0 then.
    value = squad_v2(pairs)
    for key in ("exact", "f1", "HasAns_exact", "HasAns_f1", "NoAns_exact", "NoAns_f1", "best_exact", "best_f1"):
        case["aggregations"].setdefault(f"squadv2/task/SQuAD2.{key}", []).append(value.get(key, 0))
case["values"] = [stored(v["exact"][0]["no_answer_probability"]) for v in squad_values]
squad_case = case

# ROUGE
scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"])
texts = [[said[i % 7].replace(" . ", ".\n"), (said[(i * i + 2) % 7] + "\n" + said[(i * 3) % 7])] for i in range(N)]
scores = [scorer.score(a, b) for a, b in texts]
np.random.seed(1234)
aggregator = scoring.BootstrapAggregator()
for score in scores:
    aggregator.add_scores(score)
total = aggregator.aggregate()
np.random.seed(7)
draws = {str(n): np.random.choice(np.arange(n), size=30).tolist() for n in (1, 2, 3, 20, 256, 1000)}
rouge = {"texts": texts, "scores": {k: [list(s[k]) for s in scores] for k in scores[0]},
         "intervals": {k: [list(total[k].low), list(total[k].mid), list(total[k].high)] for k in total}, "draws": draws}

INPUTS = ("documents", "answers", "pairs", "items")


def strings(value):
    if isinstance(value, str):
        yield value
    for v in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from strings(v)


def shared(value, table):
    if isinstance(value, str):
        return f"@{table[value]}" if value in table else value
    if isinstance(value, list):
        return [shared(v, table) for v in value]
    return {k: shared(v, table) for k, v in value.items()} if isinstance(value, dict) else value


def columns(docs):
    """Documents with the same keys as lists by key."""
    keys = list(docs[0])
    return {k: [d[k] for d in docs] for k in keys} if keys and all(list(d) == keys for d in docs) else docs


PARTS = ("rules", "datasets", "results", "metrics", "aggregations")


def write(name, cases, **others):
    firsts = {}
    packed = []
    for i, c in enumerate(cases):
        c = {k: v for k, v in c.items() if v or k not in PARTS}
        if "documents" in c:
            # The same documents once; later cases have the index of the first.
            first = firsts.setdefault(json.dumps(c["documents"]), i)
            c["documents"] = columns(c["documents"]) if first == i else first
        packed.append(c)
    counts = collections.Counter(text for c in packed for part in INPUTS for text in strings(c.get(part, [])))
    often = [text for text, n in counts.most_common() if n * len(text.encode()) > len(text.encode()) + 6 * n or text[:1] == "@"]
    table = {text: i for i, text in enumerate(often)}
    packed = [{k: shared(v, table) if k in INPUTS else v for k, v in c.items()} for c in packed]
    out = os.path.join(FIXTURES, name)
    json.dump({"texts": often, "cases": packed, **others}, open(out, "w"), ensure_ascii=False, separators=(",", ":"))
    names = {n for c in [*cases, *(v for k, v in others.items() if k == "squad")] for part in PARTS for n in c.get(part, {})}
    print(name, len(names), "functions", os.path.getsize(out), "bytes")
    for c in cases:
        for part in PARTS:
            for n, outputs in c.get(part, {}).items():
                raised = [(i, o["raises"]) for i, o in enumerate(outputs) if isinstance(o, dict) and "raises" in o]
                if raised:
                    print(n, raised)


write("functions-a.json", cases, squad=squad_case, rouge=plain(rouge))

# A second file: other languages, BBQ and texts to measure perplexity on
cases = []
gold = [["the Owl!", odd(3)], ["Die Katze des Manns"], ["un gato, la casa", "x"], ["\u0627\u0644\u0642\u0637\u0629 \u0648\u0627\u0644\u0628\u064a\u062a"], ["东京的 塔 x"], ["những con mèo"], ["!!!", "«»"], [""]]
said = ["Owl", "katze der  manns", "Gato casa", " \u0627\u0644\u0642\u0637\u0629 \u0627\u0644\u0628\u064a\u062a", "东京塔", "con mèo của", "?", "a"]
qa = [{"id": f"{['arabic', 'english', 'finnish', 'telugu', 'bengali', 'indonesian', 'korean', 'russian', 'swahili'][i % 9]}-{i}", "title": odd(i), "context": odd(i, 3), "question": odd(i, 7),
       "answers": {"text": gold[i % 8], "answer_start": [0] * len(gold[i % 8])}} for i in range(N)]
documents(qa, "mlqa/utils.process_docs", *(f"tydiqa/utils.process_docs_{x}" for x in "ar bn en fi id ko ru sw te".split()), whole=True)
flat = [{"answers": gold[i % 8]} for i in range(24)]
answered = [[[said[i % 8], gold[i % 8][0], said[(i * 3) % 8] + "\n " + said[i % 8]][i // 8]] for i in range(24)]
results(flat, answered, *(f"mlqa/utils.process_results_{x}" for x in "ar de en es hi vi zh".split()),
        *(f"tydiqa/utils.process_results_{x}" for x in "ar bn en fi id ko ru sw te".split()))
documents([{"id": str(i), "instruction": odd(i) + " [title] [x]", **{f"option_{c}": [odd(i, 3, k), None, ""][(i + k) % 5 // 2 if k > 1 else 0] for k, c in enumerate("abcde")}, "answer": "ABCDE"[i % 5]} for i in range(N)],
          "arc_multilingual/utils.process_docs", whole=True)
documents([{"activity_label": odd(i), "ctx_a": odd(i, 3) + " [title] [step]x", "ctx_b": odd(i, 7), "ctx": odd(i, 9), "endings": [odd(i, 9) + "[a\nb]", odd(i, 11)], "label": str(i % 4)} for i in range(N)],
          "hellaswag_multilingual/utils.process_docs", "egyhellaswag/utils.process_docs", "darijahellaswag/utils.process_docs", whole=True)
documents([{"question": odd(i) + " [x]" if i % 7 else None, "mc1_targets_choices": [odd(i, 3)], "mc2_targets_choices": [odd(i, 7), "x"], "mc2_targets_labels": [1, 0]} for i in range(N)], "truthfulqa_multilingual/utils.process_docs", whole=True)
results([{"mc2_targets": {"labels": [(k * k + i) % 2 for k in range(i % 6 + 1)]}} for i in range(N)], [lls(i % 6 + 1) for i in range(N)], "truthfulqa_multilingual/utils.process_results_mc2", "truthfulqa-multi/utils.process_results_mc2")
documents([{"question": odd(i) + "\n", "best_answer": "x", "lang": ["en", "ca", "es", "eu", "gl", "fr"][i % 6], "correct_answers": [" " + odd(i, 3), "", "Iruzkinik ez"][: i % 4], "incorrect_answers": ["  ", odd(i, 7) + "."][i % 2 :]} for i in range(N)],
          "truthfulqa-multi/utils.process_docs_gen", whole=True)
sentences = ["The quick brown fox jumps over the lazy dog.", "the quick fox jumps over a dog .", "No tinc cap comentari.", "It costs 5€, i.e. $5.", ""]
results([{"correct_answers": [sentences[(i + k) % 5] for k in range(1 + i % 2)], "incorrect_answers": [sentences[(i * 3 + k) % 5] for k in range(i % 3)]} for i in range(N)],
        [[sentences[(i * i) % 5] + [" ", "\n"][i % 2] + sentences[(i + 3) % 5]] for i in range(N)], "truthfulqa-multi/utils.process_results_gen")
documents([{"norm": odd(i), "situation": odd(i, 3), "intention": odd(i, 7), "moral_action": odd(i, 9), "immoral_action": odd(i, 11), "label": i % 2} for i in range(N)],
          "moral_stories/utils.process_docs", "histoires_morales/utils.process_docs", whole=True)
documents([{"candidates": [odd(i), "", "", ""][: 4] if i % 5 else [""] * 4, "answer": [0, 3, 4, -1, 2, None][i % 6]} for i in range(N)], "eus_exams/utils.process_docs", whole=True)
documents([{"context": odd(i), "question": odd(i, 3), "candidates": [odd(i, 7, k) for k in range(i % 5)]} for i in range(N)],
          "eus_trivia/utils.doc_to_text", "eus_trivia/utils.doc_to_choice", "eus_reading/utils.doc_to_text_context", "eus_reading/utils.doc_to_choice")
documents([{"input": " " + odd(i), "has_image": i % 5 == 0, "target_scores": {c: int(i % 4 == k) for k, c in enumerate("ABC")} if i % 7 else None} for i in range(N)], "physics_gre/utils.process_docs", whole=True)
documents([{"sentence": odd(i) + ("_" if i != 9 else "") + ["", " ", ". "][i % 3] + (odd(i, 3) if i % 4 else "."), "option1": odd(i, 7), "option2": odd(i, 9, 1), "answer": "12"[i % 2] if i != 5 else "3"} for i in range(N)],
          *(f"icelandic_winogrande/preprocess_winogrande.doc_to_{x}" for x in ("text", "target", "choice")))
texts = [{"text": p["page"], "category": ["ao3_english", "arxiv_cs", "github_other", "bbc_news"][i % 4]} for i, p in enumerate(pages)]
documents(texts, "c4/preprocess_c4.c4_detokenizer", "paloma/paloma_utils.doc_to_target")
results(texts, [[round(-rnd.random() * 99, 2)] for _ in texts], "c4/preprocess_c4.process_results")
sources = "ao3_english ao3_nonenglish arxiv_cs arxiv_math arxiv_other arxiv_physics bbc_news biorxiv_all github_cpp github_javascript github_markdown github_other github_python wikipedia_english wikipedia_nonenglish".split()
documents([{"id": i, "category": (sources + ["github"])[(i * 7) % 16]} for i in range(20)], *(f"uncheatable_eval/uncheatable_eval_utils.filter_{x}" for x in sources), whole=True)

unknown = ["Cannot answer", "Not known", "Can't be determined", "Unknown"]
people = [["the grandson", "nonOld"], ["Maria", "F-Latino"], ["the rich man", "M-highSES"], ["A girl", "lowSES-girl"], ["The nonDisabled woman", "nonDisabled"], ["Bo-Li", "Asian"]]
categories = ["Age", "Disability_status", "Race_x_SES", "SES", "Nationality"]
bbq = []
for i in range(24):
    first, second = people[i % 6], people[(i * 5 + 1) % 6]
    answers = [first, second, [unknown[i % 4], "unknown"]]
    answers = answers[i % 3:] + answers[: i % 3]
    info = {f"ans{k}": [a[0], a[1]] for k, a in enumerate(answers)}
    doc = {f"ans{k}": a[0] for k, a in enumerate(answers)}
    if i == 7:
        doc["ans0"], info["ans0"] = "The Latina woman", ["", ""]
    bbq.append({**doc, "answer_info": info, "additional_metadata": {"stereotyped_groups": [second[1].split("-")[-1], "F"]}, "question_polarity": ["neg", "nonneg"][i // 2 % 2],
                "context_condition": ["ambig", "disambig"][i % 2], "category": categories[i % 5], "label": (i // 3) % 3})
documents(bbq, "bbq/utils.process_docs", "bbq/utils.process_docs_ambig", "bbq/utils.process_docs_disambig", whole=True)
grouped = function("bbq/utils.process_docs")(Dataset.from_list(copy.deepcopy(bbq))).to_list()
grouped = [{k: v for k, v in d.items() if k not in ("answer_info", "additional_metadata", "question_polarity")} for d in grouped]
grouped.append({**grouped[0], "ans0": "x", "ans1": "y", "ans2": "z"})
grouped.append({**grouped[1], "category": "Other"})
documents(grouped, "bbq/utils.doc_to_choice", "bbq/utils.doc_to_target", "bbq/utils.doc_to_targets")
results(grouped, [lls(12, i % 2) for i in range(len(grouped))], "bbq/utils.process_results_multiple_choice")
replies = ["Maria, I think", "we do not know", "The e he grandson", "a highSES man", "f girl", "not answerable!", "", "Bo-Li", "rich"]
results(grouped, [[replies[(i * i + i // 5) % 9]] for i in range(len(grouped))], "bbq/utils.process_results_generate_until")
nan = float("nan")
items([[[k % 2, (k * i) % 3 == 0] for k in range(9)] for i in range(3)], "bbq/utils.agg_accuracy_amb", "bbq/utils.agg_accuracy_disamb")
scores = [[[k % 2, (k * i) % 3 // 2, int(k % 4 > 0), k % 3 == 0] if k % 5 else [1, nan, nan, nan] for k in range(14)] for i in range(1, 4)]
items(scores + [[[1, nan, nan, nan]], [[1, 0, 0, False]], [[0, 1, 1, True]], [[0, 1, 1, False], [1, 0, 1, False]]], "bbq/utils.agg_amb_bias_scores", "bbq/utils.agg_disamb_bias_scores")

# benches of neighbouring languages
import evaluate  # noqa: E402


class Rouge:
    """evaluate's metric, which seeds NumPy with the first word of its state: 1234 in lm-eval."""

    def compute(self, predictions, references):
        np.random.seed(1234)
        scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"])
        aggregator = scoring.BootstrapAggregator()
        for reference, prediction in zip(references, predictions):
            given = scorer.score_multi(reference, prediction) if isinstance(reference, list) else scorer.score(reference, prediction)
            aggregator.add_scores(given)
        return {k: v.mid.fmeasure for k, v in aggregator.aggregate().items()}


evaluate.load = {"rouge": Rouge()}.__getitem__
pairs = [{"premise": odd(i) + ["!", " .", ""][i % 3], "hypothesis": odd(i, 3) + ["", ".", "?"][i % 3], "sentence1": [odd(i) + " .", odd(i) + ";", None, odd(i), ""][i % 5], "sentence2": odd(i, 3) if i != 8 else None}
         for i in range(N)]
benches = ("catalan_bench", "spanish_bench")
documents(pairs, *(f"{b}/utils.process_doc_nli" for b in benches), *(f"{b}/utils.process_docs_paraphrases" for b in benches), "galician_bench/utils.process_docs_paws", "basque_bench/utils.paws_process_docs", whole=True)
documents([{"Frase": p["sentence1"], "Paráfrase": p["sentence2"]} for p in pairs], "galician_bench/utils.process_docs_paraphrases", whole=True)
documents([{"sentence1": p["premise"], "sentence2": p["hypothesis"], "gold_label": ["entailment", "neutral", "contradiction"][i % 3]} for i, p in enumerate(pairs)], "galician_bench/utils.process_doc_nli", whole=True)
choices = [{"premise": odd(i), "choice1": odd(i, 3, 1), "choice2": odd(i, 7, 2), "question": "cause" if i % 3 else "effect"} for i in range(N)]
documents(choices, "catalan_bench/utils.process_docs_copa_ca", "spanish_bench/utils.process_docs_copa_es", whole=True)
documents(choices, "basque_bench/utils.xcopa_doc_to_text", "basque_bench/utils.xcopa_doc_to_choice")
documents([{"text": odd(i) + "   x  \n y", "summary": odd(i, 3) + "  "} for i in range(N)], "spanish_bench/utils.process_xlsum", "galician_bench/utils.process_summarization", whole=True)
documents([{"content": odd(i) + "  x", "summaries": {kind: {f"a{k}": odd(i, 3, k) + "   ." for k in (1, 2, 3)} for kind in ("abstractive", "extractive", "extreme")}} for i in range(N)], "catalan_bench/utils.process_doc_cabreu", whole=True)
results([{"answers": [{"text": odd(i)}, {"text": "x"}]} for i in range(N)], [[["The " + odd(i) + "?", odd(i, 3), "", "a an"][i % 4]] for i in range(N)], "catalan_bench/utils.process_results_qa")
results([{**d, "questions": ["q"] * len(d["questions"]["input_text"])} for d in coqa], [["\n" * (i % 2) + [odd(i, 7, (i % 3)), "the " + odd(i, 7, i % 3) + "!", "x", ""][i % 4] + "\nmore"] for i in range(N)], "catalan_bench/utils.process_results_coqcat")
french = ["Le chat, la maison", "chat maison", "un des", "", "Élève l'école", "x"]
metric([[french[i % 6], french[(i * i + i // 6) % 6]] for i in range(24)], "french_bench/utils.exact", "french_bench/utils.f1")
documents([{"activity_label": odd(i), "ctx_a": odd(i, 3) + " [title] [step]x", "ctx_b": odd(i, 7), "endings": [odd(i, 9), odd(i, 11)], "label": str(i % 4)} for i in range(N)], "french_bench/utils.process_docs", whole=True)
paragraphs = [{"paragraph": p["page"]} for p in pages]
documents(paragraphs, "french_bench/preprocess_wikitext.wikitext_detokenizer")
results(paragraphs, [[round(-rnd.random() * 99, 2)] for _ in pages], "french_bench/preprocess_wikitext.process_results")
# lm-eval calls these with one list of the right answer and the text.
case = {"pairs": [[odd(i), ["so " + odd(i) + "!", odd(i, 3)][i % 2]] for i in range(N)], "metrics": {}}
for name in ("french_bench/utils.is_included", "french_bench/utils.rouge1", "catalan_bench/utils.rouge1", "noticia/utils.average_len"):
    case["metrics"][name] = [stored(function(name)([a, b])) for a, b in case["pairs"]]
cases.append(case)
items([[[sentences[(i + k) % 5], sentences[(i * k + k) % 5] + " " + odd(k)] for k in range(n)] for i, n in ((1, 12), (2, 5), (3, 1))],
      *(f"{b}/utils.rouge1_agg" for b in ("catalan_bench", "spanish_bench", "galician_bench", "french_bench", "noticia")), "noticia/utils.average_len_agg")
documents(truth, "galician_bench/utils.process_docs_gen", whole=True)
results([{"mc2_targets": {"labels": [(k * k + i) % 2 for k in range(i % 6 + 1)]}} for i in range(N)], [lls(i % 6 + 1) for i in range(N)], "galician_bench/utils.process_results_mc2")
results([{"correct_answers": [sentences[(i + k) % 5] for k in range(1 + i % 2)], "incorrect_answers": [sentences[(i * 3 + k) % 5] for k in range(i % 3)]} for i in range(N)],
        [[sentences[(i * i) % 5] + " " + sentences[(i + 3) % 5]] for i in range(N)], "galician_bench/utils.process_results_gen")
similar = ["3", "4,5 de 5", "nota 7", "", "x 2.25.", "15", "1", "5,9", "٣", "a 4"]
results([{"relatedness_score": 1 + i / 7} for i in range(N)], [[similar[i % 10] + " " * (i % 3)] for i in range(N)], "portuguese_bench/assin2_utils.process_results_sts")
items([[[1 + (k * i) % 5, 1 + k / 3] for k in range(9)] for i in (0, 1, 2)] + [[[2.5, 1.5], [3, 4.5]]], "portuguese_bench/assin2_utils.pearson_corr")
items([[[(k * i) % 2, k % 2] for k in range(9)] for i in (1, 2, 3)], "portuguese_bench/assin2_utils.macro_f1")

# LongBench, EQ-Bench and two exams; LongBench's other metrics need packages that these do not
for module in ("jieba", "fuzzywuzzy", "rouge"):
    sys.modules[module] = types.ModuleType(module)
sys.modules["fuzzywuzzy"].fuzz = sys.modules["rouge"].Rouge = None
said = ["Paragraph 3", "3 of 3 and 4", "段落12", "", "The Owl!", "joy joyful sad", "12", "an owl"]
results([{"answers": [["the owl", "3"], ["4"], ["12"], ["3", ""], ["owl"]][i % 5]} for i in range(N)], [[said[(i * i + i // 5) % 8] + " "] for i in range(N)],
        "longbench/metrics.get_qa_f1_with_score", "longbench/metrics.get_count_with_score")
results([{"answers": [["Paragraph 3"], ["Paragraph 12", "Paragraph 4"], ["x"]][i % 3]} for i in range(N)], [[said[(i * i + i // 3) % 8]] for i in range(N)], "longbench/metrics.get_retrieval_with_score")
results([{"answers": [["段落3"], ["段落12", "段落4"]][i % 2]} for i in range(N)], [[said[(i * i + i // 2) % 8]] for i in range(N)], "longbench/metrics.get_retrieval_zh_with_score")
results([{"answers": [["joyful", "sad"][i % 2]], "all_classes": [["joy", "ful", "joyful", "sad", "sa"], ["joyful", "joy"], ["sad"]][i % 3]} for i in range(N)],
        [[said[5] if i % 4 else said[i % 8]] for i in range(N)], "longbench/metrics.get_classification_with_score")
feelings = ["Joy", "Fear", "Relief", "Überraschung"]
references = [{**{f"emotion{k}": feelings[(k + i) % 4] for k in range(1, 5)}, **{f"emotion{k}_score": [3, "7", 0, 10][(k * i) % 4] for k in range(1, 5)}} for i in range(N)]
results([{"reference_answer_fullscale": str(r)} for r in references],
        [["\n".join(f"{f}: {(i * k * 3) % 11}" for k, f in enumerate(feelings[: 3 + (i % 5 > 0)])) + ["", " Anger: 3", "\nJoy: 9"][i % 3 if i > 9 else 0]] for i in range(N)], "eq_bench/utils.calculate_score_fullscale")
documents([{"context": odd(i), "question": odd(i, 3), **{f"option#{k}": odd(i, 7, k) for k in range(1, 6)}, "gold": i % 5 + 1} for i in range(N)], "csatqa/utils.process_docs", whole=True)
documents([{"question": odd(i), **{c: odd(i, 3, k) for k, c in enumerate("ABCD")}, "E": [None, "", "e"][i % 3], "F": "f" if i % 6 == 2 else None, "answer": "ABCDE"[i % 5] if i % 3 == 2 else "ABCD"[i % 4]} for i in range(N)], "tmlu/default/utils.process_docs", whole=True)
write("functions-c.json", cases)
