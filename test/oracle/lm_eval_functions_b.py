"""Writes test/fixtures/eval/functions-b.json: what lm-eval's own Python makes of made-up documents, for the functions of tasks on
knowledge, reasoning, mathematics, code and instructions.

    PYTHONPATH=LM_EVAL/src:PACKAGES python test/oracle/lm_eval_functions_b.py [CODE_EVAL]

Needs lm_eval 0.4.13 with datasets, word2number, regex, sympy, math_verify, antlr4-python3-runtime 4.11, langdetect and nltk with
its punkt_tab data. CODE_EVAL is a copy of the metric script `code_eval` of Hugging Face's `evaluate`.
"""

import hashlib
import importlib.util
import json
import os
import random
import sys

import datasets
import lm_eval

datasets.disable_progress_bars()
TASKS = os.path.join(os.path.dirname(lm_eval.__file__), "tasks")
FIXTURES = os.path.join(os.path.dirname(__file__), "..", "fixtures", "eval")
sets, cases, modules = {}, [], {}


def function(key):
    """`bbh/zeroshot/utils.MapRegexFilter` -> the function, loaded from its file as lm-eval does."""
    path, name = key.rsplit(".", 1)
    if path not in modules:
        spec = importlib.util.spec_from_file_location(path.replace("/", "_").replace("-", "_"), f"{TASKS}/{path}.py")
        modules[path] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(modules[path])
    return getattr(modules[path], name)


def shortened(value):
    """Long texts become hashes."""
    if isinstance(value, str) and len(value.encode()) > 20:
        return "#" + hashlib.sha1(value.encode()).hexdigest()[:8]
    if isinstance(value, dict):
        return {k: shortened(v) for k, v in value.items()}
    return [shortened(v) for v in value] if isinstance(value, list | tuple) else value


def add(key, name, output, **case):
    """The first output stays readable. An output that an earlier case has names that case."""
    output = [*output[:1], *shortened(output[1:])]
    for i, other in enumerate(cases):
        if output == other["output"]:
            output = i
            break
    cases.append({"function": key, "set": name, **case, "output": output})


def documents(key, name, file=None):
    """process_docs: keeps the fields that changed, and the `id` if documents are left out."""
    random.seed(0)
    before = {doc["id"]: doc for doc in sets[name]}
    made = function(file or key)(datasets.Dataset.from_list(sets[name], features=None))
    output = [
        {k: v for k, v in doc.items() if k == "id" or k not in before[doc["id"]] or before[doc["id"]][k] != v}
        for doc in made
    ]
    if len(output) == len(before):
        for doc in output:
            del doc["id"]
    add(key, name, output)


def document(key, name, file=None):
    add(key, name, [function(file or key)(dict(doc)) for doc in sets[name]])


def results(key, name, answers):
    """process_results, of one list of results per document."""
    output = [function(key)(dict(doc), answer) for doc, answer in zip(sets[name], answers, strict=True)]
    add(key, name, output, results=answers)


def responses(key, name, answers, options=None):
    """A filter: a class, or a function of `custom`."""
    made = function(key)
    made = made(**(options or {})).apply if isinstance(made, type) else made
    output = [list(one) for one in made(answers, sets[name])]
    add(key, name, output, results=answers, **({"options": options} if options else {}))


TEXTS = [
    "", " ", "Plain words.", "  two  spaces  ", "a [title] b", "[x] [title][y]", "Äpfel & Öl", "数学の問題", "line\nbreak\n\n",
    "ends with, ", "None", "0", "π ≈ 3.14", "tab\there", "\u00a0nbsp\u00a0", "emoji 🧮 here", '"quoted"', "back\\slash",
    "A: Let's think step by step. So A: Let's", "{braces} {{x}}",
]  # fmt: skip


def text(i, step=1):
    return TEXTS[(i * step + step) % 20]


def row(i, **fields):
    return {"id": i, **fields}


def dumps(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def compact(rows):
    """Fields that a row shares with an earlier one are left out; `like` is the place of that row."""
    found = []
    for i, each in enumerate(rows):
        shares = [sum(len(dumps(v)) for k, v in each.items() if k in other and other[k] == v) for other in rows[: min(i, 3)]]
        like = max(range(len(shares)), key=shares.__getitem__, default=None)
        if like is None or shares[like] < 200:
            found.append(each)
        else:
            found.append({"like": like, **{k: v for k, v in each.items() if rows[like].get(k) != v}})
    return found


def write(name):
    """Writes the cases so far, and starts a new file."""
    path = os.path.join(FIXTURES, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"sets":{\n' + ",\n".join(f"{dumps(name)}:{dumps(compact(rows))}" for name, rows in sets.items()))
        file.write('},\n"cases":[\n' + ",\n".join(dumps(case) for case in cases) + "\n]}\n")
    print(name, len(cases), "cases,", os.path.getsize(path), "bytes")
    sets.clear()
    cases.clear()


# --- subjects -----------------------------------------------------------------------------------------------------------
SUBJECTS = ["anatomy", "virology", "Anatomy", "anatomy ", "virology_test.csv_sw-KE.csv", "anatomy_test-00.parquet", ""]
CATEGORIES = ["STEM", "Social Sciences", "stem", "Business", "Humanities"]
DOMAINS = ["Arts & Humanities", "STEM", "General knowledge", "General Knowledge", "Social Science", "Health oriented education"]
PRO = ["computer science", "computer_science", "law", "Law", "math", "other"]
sets["subjects"] = [
    row(
        i, subject=SUBJECTS[i % 7], Subject=SUBJECTS[(i + 1) % 7], subject_category=CATEGORIES[i % 5], domain=DOMAINS[i % 6],
        category=PRO[i % 6], subtask_name=f"mmlu_{['de', 'fr'][i % 2]}_chat.{SUBJECTS[i % 3]}",
    )
    for i in range(20)
]  # fmt: skip
for key in [
    "global_mmlu/full/am/utils.process_anatomy", "global_mmlu/full/zh/utils.process_virology",
    "global_mmlu/default/ar/utils.process_stem", "global_mmlu/default/yo/utils.process_social_sciences",
    "include/default/Albanian/utils.process_arts_humanities", "include/few_shot_en/Hindi/utils.process_general_knowledge",
    "include/few_shot_og/North Macedonian/utils.process_health_oriented_education",
    "openai-mmmlu/default/utils.process_virology", "openai-mmmlu/default/utils.process_anatomy",
    "mmlu_pro/utils.process_computer_science", "mmlu-pro-plus/utils.process_law", "mmlu_prox/de/utils.process_other",
    "llama3/instruct/mmlu_pro/utils.process_math", "llama3/instruct/mmlu_de/utils.process_docs_anatomy",
    "llama3/instruct/mmlu_fr/utils.process_docs_virology",
]:  # fmt: skip
    documents(key, "subjects")

# --- prompts with reasoning ---------------------------------------------------------------------------------------------
sets["pro"] = [
    row(
        i, question=text(i), options=[text(i + j, 3) for j in range([4, 10, 12, 0, 1][i % 5])],
        cot_content=["A: Let's think step by step. ", "A: Let's think step by step.", ""][i % 3] + text(i, 7)
        + [" The answer is (B).", " The answer is (b).", " The answer is (A). The answer is (C)."][i % 3],
        **{f"option_{j}": text(i + j, 3) if j < [4, 10, 1, 0][i % 4] else None for j in range(10)},
    )
    for i in range(20)
]  # fmt: skip
for folder in ["mmlu_pro", "mmlu-pro-plus"]:
    for name in ["doc_to_text", "fewshot_to_text", "fewshot_to_target"]:
        document(f"{folder}/utils.{name}", "pro")
document("llama3/instruct/mmlu_pro/utils.fewshot_to_text", "pro")
for language in ["en", "zu"]:
    document(f"mmlu_prox/{language}/utils.doc_to_text", "pro")
document("mmlu_prox/fr/utils.fewshot_to_text", "pro")
document("leaderboard/mmlu_pro/utils.doc_to_text", "pro")
document("leaderboard/mmlu_pro/utils.doc_to_choice", "pro")

# --- choices ------------------------------------------------------------------------------------------------------------
sets["gpqa"] = [
    row(
        i,
        **{
            key: None if (i + j) % 9 == 8 else text(i + j, 3)
            for j, key in enumerate(["Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3", "Correct Answer"])
        },
    )
    for i in range(20)
]
for folder in ["gpqa/zeroshot", "gpqa/n_shot", "gpqa/cot_zeroshot", "leaderboard/gpqa"]:
    documents(f"{folder}/utils.process_docs", "gpqa")
sets["arabicmmlu"] = [
    row(
        i, Level=["Primary", "Middle", "High", "Univ", "Prof", "", None][i % 7], Country=["UAE", "", None, "مصر"][i % 4],
        Subject=text(i, 3), Question=text(i), Context=[None, "", "Some text"][i % 3],
        **{f"Option {j}": [text(i + j, 3), None][(i + j) % 5 == 4] for j in range(1, 6)},
    )
    for i in range(20)
]  # fmt: skip
document("arabicmmlu/utils.doc_to_text", "arabicmmlu")
document("arabicmmlu/utils.doc_to_choice", "arabicmmlu")
OPTIONS = [
    "a ) 38 , b ) 27.675 , c ) 30 , d ) data inadequate , e ) none of these", "a ) 1,000 , b ) 2 , c ) 3 , d ) 4 , e ) 5", "",
    "a ) 5 , , b ) 6 , c ) , d ) x , e )", "a ) rs . 400 , b ) rs . 300 , c ) 500 , d ) 350 , e ) none of these\n",
    "a ) a , b , b ) c ,", "e ) alone", "a ) é , b ) 🧮 ,, c ) z, d ) w , e ) v , ",
]  # fmt: skip
sets["short"] = [
    row(
        i, options=OPTIONS[i % 8] + ["", " ", ", e ) last"][i // 8], activity=text(i) + str(i), baseline=text(i, 3),
        context=["Q: What is 2 plus 3?\n\nA:", "\n\nQ: A: Q:\n\n\n\nA:  ", "", "\u00a0Q:x\u00a0"][i % 4] + text(i),
        completion=text(i, 7), narrative=text(i), question=text(i, 3),
        choices=repr([text(i, 3), text(i, 7)][: i % 3]),
    )
    for i in range(20)
]  # fmt: skip
document("mathqa/utils.doc_to_choice", "short")
documents("arithmetic/utils.process_docs", "short")
document("leaderboard/musr/utils.doc_to_text", "short")
document("hendrycks_ethics/utils.doc_to_text", "short")
document("hendrycks_ethics/utils.doc_to_target", "short")
sets["mmlusr"] = [
    row(i, answer=[None, " A", "B ", "", "C"][i % 5], **{f"choice{j}": [text(i + j), None, ""][(i * j) % 3] for j in range(1, 5)})
    for i in range(20)
]
documents("mmlusr/question_only/utils.process_docs", "mmlusr")
sets["arc"] = [
    row(
        i, question=text(i), answerKey=["A", "1", "D", "4", "2"][i % 5],
        choices={"text": [text(i, j) for j in (3, 7, 9, 11, 13)[: 4 + (i % 7 == 3)]], "label": list("12345" if i % 2 else "ABCDE")[: 4 + (i % 7 == 3)]},
    )
    for i in range(20)
]  # fmt: skip
documents("llama3/instruct/arc_challenge/utils.process_docs", "arc")
sets["agieval"] = [
    row(i, gold=[[0], [1, 2], [3], []][i % 4], choices=[text(i, 3) + "x", text(i, 7) + "🧮", "(C)", "long " * (i + 1)]) for i in range(20)
]
drawn = random.Random(5)
results(
    "agieval/utils.process_results_mcqa", "agieval",
    [[[-float(drawn.randint(1, 6)), False] for _ in range(4)] for _ in range(20)],
)  # fmt: skip

# --- the Arabic leaderboard ---------------------------------------------------------------------------------------------
sets["arabic"] = [
    row(
        i, subject=["abstract_algebra", "علم", "a_b_c"][i % 3], question=text(i), A=text(i), B=text(i, 3), C=text(i, 7), D="د",
        answer=list("ABCD")[i % 4],
    )
    for i in range(20)
]  # fmt: skip
LEADERBOARD = "arabic_leaderboard_complete/arabic_leaderboard_"
documents(LEADERBOARD + "arabic_mmlu/utils.process_docs", "arabic")
documents("arabic_leaderboard_light/arabic_leaderboard_arabic_exams_light/utils.process_docs", "arabic")
sets["alghafa"] = [
    row(str(i), query=text(i), sol1=text(i, 3), sol2=text(i, 7), label=["0", "1", " 2 "][i % 3]) for i in range(20)
]
documents(LEADERBOARD + "alghafa/utils.process_docs", "alghafa")
documents(LEADERBOARD + "arabic_mt_race/utils.process_docs", "alghafa")
sets["arabic-others"] = [
    row(
        i, question=["cause", "effect"][i % 2], premise=text(i), choice1=text(i, 3), choice2=text(i, 7), label=i % 2,
        endings=repr([text(i, 3), "[الرأس] " + text(i)]), ctx="[عنوان] كيف " + text(i), text=text(i, 9), passage=text(i, 11),
        toxicity_ai=[1.0, 5.0, 3.5][i % 3], toxicity_human=[4.5, 0.5, 2.0, 4.0][i % 4], answer=i % 3 == 0,
        support=text(i, 3), correct_answer=f"r{i % 7}", distractor1=text(i, 7), distractor2="r1", distractor3=text(i),
    )
    for i in range(20)
]  # fmt: skip
for name in ["copa", "hellaswag", "toxigen", "boolq", "sciq"]:
    documents(f"{LEADERBOARD}arabic_mt_{name}/utils.process_docs", "arabic-others")
sets["acva"] = [row(i, question=text(i), answer=["صح", "خطأ"][i % 2]) for i in range(20)]
documents(LEADERBOARD + "avca/utils.process_docs", "acva")

# --- BIG-Bench Hard -----------------------------------------------------------------------------------------------------
INPUTS = [
    "When?\nOptions:\n(A) 01/02/2020\n(B) 01/02/2021\n(C) 12/31/1999",
    "Who?\nOptions:\n(A) Alice is the\n(B) Alice\n(C) Bob, or so.\n(D) (E)",
    "Sort. List: beta alpha gamma", "No options. List: one two two",
]  # fmt: skip
RESPONSES = [
    "(B)", "so the answer is (C) and not (A)", "The answer is 01/02/2021!", "answer: B", "ALICE IS THE one", "x: \nD", "", "nothing",
    "alpha, beta, gamma and alpha", "two one two", "gamma beta alpha Beta", "No, it is not plausible.", "Yes.", "plausible, no",
    "He does not tell the truth", "I count 12 and -3", "there are twenty-one", "twenty one objects", "one hundred and six things",
    "two million three thousand", "seven", "a trillion", "forty five, or six hundred", "ten thousand thousand",
]  # fmt: skip
sets["bbh"] = [row(i, input=INPUTS[i % 4]) for i in range(24)]
answers = [[RESPONSES[i], RESPONSES[(i * 5 + 3) % 24]] for i in range(24)]
LETTER = {"group_select": 0, "ignore_case": True, "ignore_punctuation": True, "regex_pattern": "(\\([A-Z]\\))"}
PLAUSIBLE = {
    "group_select": 0, "ignore_case": True,
    "regex_pattern_to_value": {"\\b(no|not plausible)\\b": "no", "\\b(yes|plausible)\\b": "yes"},
}  # fmt: skip
responses("bbh/zeroshot/utils.MultiChoiceRegexFilter", "bbh", answers, LETTER)
responses("bbh/cot_zeroshot/utils.MultiChoiceRegexFilter", "bbh", answers, {**LETTER, "group_select": -1, "ignore_case": False})
responses("bbh/zeroshot/utils.MapRegexFilter", "bbh", answers, PLAUSIBLE)
responses("bbh/cot_zeroshot/utils.MapRegexFilter", "bbh", answers, {**PLAUSIBLE, "ignore_case": False, "regexes_to_ignore": ["No,"]})
# Two of the responses stop lm-eval: `a trillion` and `ten thousand thousand`.
sets["numbers"] = [row(i) for i in range(22)]
numbers = [[r] for r in RESPONSES if r not in ("a trillion", "ten thousand thousand")]
responses("bbh/zeroshot/utils.NumberParseRegexFilter", "numbers", numbers, {"group_select": 0, "regex_pattern": "([-0-9]+)"})
sets["lists"] = [row(i, input=INPUTS[2 + i % 2]) for i in range(24)]
responses("bbh/cot_zeroshot/utils.WordSortFilter", "lists", answers)
write("functions-b.json")

# --- competition mathematics --------------------------------------------------------------------------------------------
# A right solution's answer, and what a model answers.
PAIRS = [
    ("\\frac{1}{2}", "0.5"), ("\\frac{1}{2}", "1/2"), ("\\frac12", "\\dfrac{1}{2}"), ("12\\text{ cm}", "12"), ("x^2+2x+1", "(x+1)^2"),
    ("(1,2)", "(1, 2)"), ("[2,5)", "[2,5]"), ("\\{1,2\\}", "2,1"), ("3\\sqrt{2}", "\\sqrt{18}"), ("\\sqrt[3]{8}", "2"), ("1,000", "1000"),
    ("-\\frac{2}{3}", "\\frac{-2}{3}"), ("2\\pi", "6.283185"), ("50\\%", "50"), ("90^\\circ", "90"), ("x=5", "5"), ("5", "x=5"),
    ("\\text{Monday}", "Monday"), ("\\text{(A)}", "A"), ("2\\frac{1}{2}", "\\frac{5}{2}"), ("x\\ge 2", "2\\le x"), ("3,4", "3,5"),
    ("1\\pm\\sqrt{2}", "1+\\sqrt{2}, 1-\\sqrt{2}"), ("10!", "3628800"), ("\\binom{5}{2}", "10"), ("e^{2x}", "(e^x)^2"), ("\\sin^2x", "1-\\cos^2x"),
    ("\\log_2 8", "3"), ("0.333", "\\frac13"), ("12345678901234567890", "12345678901234567891"), ("\\sqrt{x^2}", "x"), ("a/b", "\\frac{a}{b}"),
    ("\\left(\\frac{1}{2},3\\right)", "(0.5,3)"), ("7", ""), ("\\$5.50", "5.5"), ("100,000", "100000"), ("y=2x+1", "2x+1"), ("\\infty", "\\infty"),
    ("2^{10}", "1024"), ("11\\text{ square units}", "11"), ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "3"), ("f(x)", "f(x)"), ("-1", "--1"), (".5", "0.5"),
]  # fmt: skip
FRAMES = [
    "We get ${}$.\nFinal Answer: The final answer is ${}$. I hope it is correct.", "So the answer is $\\boxed{{{}}}$.", "{}",
    "Final Answer: The final answer is {}. I hope", "The answer is ${}$", "$x$ is ${}$ and so on", "Thus \\boxed{{{}}}",
]  # fmt: skip


def framed(frame, answer):
    return frame.format(*[answer] * frame.count("{}")) if "{{" not in frame else frame.format(answer)


sets["math"] = [
    row(i, problem=f"Problem {i}?", solution=f"Some text, $a=1$, then ${['', 'x = '][i % 2]}\\boxed{{{gold}}}$.", level=f"Level {5 - i % 2}")
    for i, (gold, _) in enumerate(PAIRS)
]
sets["math"][3]["solution"] = "A $\\boxed 12$ without braces."
document("minerva_math/utils.doc_to_text", "math")
for folder in ["minerva_math", "hendrycks_math", "leaderboard/math"]:
    documents(f"{folder}/utils.process_docs", "math")
answers = [[framed(FRAMES[i % 7], given)] for i, (_, given) in enumerate(PAIRS)]
plain = [[framed(FRAMES[0], given)] for _, given in PAIRS]
results("hendrycks_math/utils.process_results", "math", answers)
results("hendrycks_math/utils.process_results", "math", [[f"${given}$"] for _, given in PAIRS])
for folder, normal in [("minerva_math", True), ("leaderboard/math", False)]:
    normalized = function(f"{folder}/utils.normalize_final_answer")
    sets[folder] = [row(i, **{**sets["math"][i], "answer": normalized(gold) if normal else gold}) for i, (gold, _) in enumerate(PAIRS)]
    for given in [plain, answers]:
        results(f"{folder}/utils.process_results", folder, given)
sets["aime"] = [row(i, **{["answer", "Answer", "ANSWER"][i % 3]: [gold, i, str(i)][i % 3]}) for i, (gold, _) in enumerate(PAIRS)]
results("aime/utils.process_results", "aime", [[[str(i), f"it is ${i}$", f"$a$ so \\boxed{{{i}}}", framed(FRAMES[2], given)][i % 4]] for i, (_, given) in enumerate(PAIRS)])
sets["cloze"] = [row(i, answer=gold) for i, (gold, _) in enumerate(PAIRS)]
results("agieval/utils.process_results", "cloze", answers)
NUMBERS = ["5", 5, 5.0, "5.0", "1e3", " 7 ", "3.140", "1_000", "nan", "Infinity", "1e400", "x", "", "1/2", "0.5", "-0.0", "1,000", ".5", "1e22", "2e-7", "\\frac{1}{2}"]
SAID = ["$\\boxed{5}$", "5.0", "so $5$", "$x = 5$", "\\boxed{1000}", "it is 7.", "= 3.14.", "1000", "\\boxed{nan}", "inf", "$inf$", "x", "", "$1/2$", "$.5$", "$-0$",
        "1,000", "\\boxed{0.5}", "10000000000000000000000", "2e-07", "$\\boxed{\\frac{1}{2}}$"]
sets["hrm8k"] = [row(i, question=text(i), original=text(i, 3), answer=str(NUMBERS[i % 21]) if i < 21 else NUMBERS[i % 21]) for i in range(24)]
for folder in ["default", "en"]:
    for name in ["doc_to_text", "doc_to_text_mmmlu", "doc_to_target"]:
        document(f"hrm8k/{folder}/utils.{name}", "hrm8k")
    results(f"hrm8k/{folder}/utils.process_results", "hrm8k", [[SAID[i % 21]] for i in range(24)])
write("functions-b-math.json")

# --- instructions -------------------------------------------------------------------------------------------------------
import langdetect  # noqa: E402

langdetect.DetectorFactory.seed = 0
INSTRUCTIONS = [
    ("keywords:existence", {"keywords": ["river", "b[ae]nk"]}),
    ("keywords:frequency", {"keyword": " the ", "frequency": 2, "relation": "at least"}),
    ("keywords:frequency", {"keyword": "a", "frequency": 5, "relation": "less than"}),
    ("keywords:forbidden_words", {"forbidden_words": ["hate", "été", "the"]}),
    ("keywords:letter_frequency", {"letter": "E", "let_frequency": 4, "let_relation": "less than"}),
    ("keywords:letter_frequency", {"letter": "o", "let_frequency": 3, "let_relation": "at least"}),
    ("language:response_language", {"language": "en"}),
    ("language:response_language", {"language": "de"}),
    ("language:response_language", {"language": "hi"}),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"}),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}),
    ("length_constraints:number_words", {"num_words": 8, "relation": "at least"}),
    ("length_constraints:number_words", {"num_words": 4, "relation": "less than"}),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Second"}),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "he"}),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}),
    ("detectable_content:postscript", {"postscript_marker": "Note"}),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}),
    ("detectable_format:constrained_response", {}),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}),
    ("detectable_format:multiple_sections", {"section_spliter": "Section", "num_sections": 2}),
    ("detectable_format:json_format", {}),
    ("detectable_format:title", {}),
    ("combination:two_responses", {}),
    ("combination:repeat_prompt", {"prompt_to_repeat": " Write a Poem. "}),
    ("startend:end_checker", {"end_phrase": "Any other questions?"}),
    ("change_case:capital_word_frequency", {"capital_frequency": 2, "capital_relation": "at least"}),
    ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": "less than"}),
    ("change_case:english_capital", {}),
    ("change_case:english_lowercase", {}),
    ("punctuation:no_comma", {}),
    ("startend:quotation", {}),
]
ANSWERS = [
    "", "  \n ", "My answer is yes.", '"The river is by the bank, he said."', "THE RIVER RUNS PAST THE BANK. A FINE DAY", "all of this is small.",
    "* one\n* two\n- three", "*a* and **b** and ** **", "Section 1\ntext\nSection 2\nmore", '```json\n{"a": [1, NaN, "x"]}\n```', '{"a": 1,}',
    "<<A title>>\nBody", "<< >>", "one\n******\ntwo", "one******one", "write a poem.\nRoses are red.", 'Well. Any other questions?"', "P.S. I forgot this",
    "p. p.s now", "Note: a [name] and [place]", "First part.\n\nSecond, part two.", "one\n***\ntwo", "***\none\n***\n\n***\ntwo",
    "Mr. Smith met Dr. No at 5 p.m. in the U.S. They talked... Then they left! Why? (He knew.) \"Yes.\" J. Bach agreed.",
    "He said hi. \"Why not?\" she asked. No. 5 is alive. It costs $3.50 e.g. today. Etc. and so on.",
    "NASA and ESA can't, won't and DON'T agree; it's A-OK: \"GO!\" I'M gonna... cannot",
    "Der schnelle braune Fuchs springt über den faulen Hund und läuft davon.", "Le renard brun saute par-dessus le chien, c'était en été.",
    "यह एक छोटा सा वाक्य है जो हिन्दी में लिखा गया है।", "これは日本語の文章です。とても短いです。", "这是一个用中文写的句子。", "Это предложение написано на русском языке.",
    "هذه جملة مكتوبة باللغة العربية", "한국어로 쓴 문장입니다.", "Đây là một câu tiếng Việt ngắn.", "12345 !!! ???", "OK", "It is. I do. A I U.",
    "I HATE THIS WEATHER SO MUCH AND I WISH THAT IT WOULD END SOON", "the end http://x.org/a,b me@x.org is near", "*Header*\nthe river bank.\n*Footer*",
    "Section1 and Section 22", "* * *\n*x\n  - y\n\n- z", "ǅ ß ŉ ª", "He's here.\n\n\n\nSecond?", "'\"he\"' goes. first", "Hello world. this is lower. And Mr. brown too. i. e. that",
]  # fmt: skip
sets["ifeval"] = [
    row(
        i, key=i, prompt="Write a poem.", instruction_id_list=[name for name, _ in INSTRUCTIONS[(i % 3) * 12 : (i % 3) * 12 + 12]],
        kwargs=[{**given, "unused": None} for _, given in INSTRUCTIONS[(i % 3) * 12 : (i % 3) * 12 + 12]],
    )
    for i in range(3 * len(ANSWERS))
]  # fmt: skip
results("ifeval/utils.process_results", "ifeval", [[ANSWERS[i // 3]] for i in range(3 * len(ANSWERS))])
results("leaderboard/ifeval/utils.process_results", "ifeval", [[ANSWERS[i // 3]] for i in range(3 * len(ANSWERS))])
sets["none"] = [row(i) for i in range(20)]
items = [[[bool((i >> k) & 1) for k in range(i % 4 + 1)] for i in range(j + 1)] for j in range(20)]
add("ifeval/utils.agg_inst_level_acc", "none", [function("ifeval/utils.agg_inst_level_acc")(each) for each in items], results=items)
write("functions-b-instructions.json")

# --- other languages ----------------------------------------------------------------------------------------------------
sets["dialects"] = [
    row(
        i, subject_darija=text(i, 3), egy_subject=text(i, 7), subject=["Physics", "Law", "law", text(i)][i % 4], question=text(i),
        context=["", " ", "Some text", "x\n"][i % 4], choices=[text(i + j, 3) for j in range(i % 5)], A=text(i), B=text(i, 3), C="c", D=None,
        answer=list("ABCD")[i % 4],
    )
    for i in range(20)
]  # fmt: skip
for folder in ["darijammlu", "egymmlu", "greekmmlu"]:
    document(f"{folder}/utils.doc_to_text", "dialects")
    document(f"{folder}/utils.doc_to_choice", "dialects")
documents("tmmluplus/default/utils.process_docs", "dialects")
sets["okapi"] = [
    row(
        i, instruction=text(i), option_a=text(i, 3), option_b=text(i, 7), option_c="[x] c", option_d=["d", "", None][i % 3], option_e=[None, "e"][i % 2],
        answer=list("ABCDE")[i % 5], ctx_a=text(i), ctx_b=text(i, 3), activity_label=text(i, 9), endings=[text(i, 7), text(i, 11)], label=str(i % 2),
    )
    for i in range(20)
]  # fmt: skip
documents("okapi/arc_multilingual/utils.process_docs", "okapi")
documents("okapi/hellaswag_multilingual/utils.process_docs", "okapi")
write("functions-b-languages.json")

# --- programs -----------------------------------------------------------------------------------------------------------
# lm-eval's modules load the metric `code_eval` from the hub; CODE_EVAL is a copy of it.
if len(sys.argv) > 1:
    import evaluate

    os.environ["HF_ALLOW_CODE_EVAL"] = "1"
    load, evaluate.load = evaluate.load, lambda name, *rest, **more: load(sys.argv[1] if name == "code_eval" else name, *rest, **more)
    CONTINUED = ["    return 1", "", "\n```", "    return 1\n```\nDone.", "```python\nx```", "a```b```c", "é🧮", "``", "`````", "x"]
    sets["programs"] = [row(i, prompt=f"def f{i}():\n" + text(i), suffix=text(i, 3)) for i in range(20)]
    continued = [[CONTINUED[i % 10], CONTINUED[(i * 3 + 1) % 10] + text(i)] for i in range(20)]
    responses("humaneval/utils.build_predictions", "programs", continued)
    responses("humaneval/utils.build_predictions_instruct", "programs", continued)
    responses("humaneval_infilling/utils.build_predictions", "programs", continued)
    BLOCKS = [
        "python\nx = 1\n```", "x = 1", "\nx = 1\n```\ntext\n```\ny\n```", "py x```", "```python\nx = 2\n```", "", "\n", "python3\n\nx\n\n```",
        "one\n```python\ntwo\n```", "c++\nx\n```",
    ]  # fmt: skip
    responses("mbpp/utils.build_predictions", "programs", [[BLOCKS[i % 10] + "\n" * (i // 10), BLOCKS[(i * 3 + 2) % 10]] for i in range(20)])
    sets["none"] = [row(i) for i in range(20)]
    for key in ["mbpp/utils.list_fewshot_samples", "minerva_math/utils.list_fewshot_samples", "leaderboard/math/utils.list_fewshot_samples"]:
        add(key, "none", function(key)())
    write("functions-b-programs.json")
    source = open(os.path.join(os.path.dirname(__file__), "..", "eval", "graders", "programs.test.ts")).read()
    listed = source[source.index("= [", source.index("const PROGRAMS")) + 2 : source.index("\n];")]
    programs = json.loads(listed.rstrip(",") + "]")
    tests = "def check(f):\n    assert f(1, 2) == 3\n    assert f(-1, 1) == 0\ncheck(add)"
    metric = evaluate.load("code_eval")
    _, found = metric.compute(references=[tests], predictions=[["def add(a, b):\n" + body for body, _ in programs]], k=[1])
    print("programs that do not pass as the test says:", [p for p, (_, r) in zip(programs, found[0]) if p[1] != r["passed"]])
