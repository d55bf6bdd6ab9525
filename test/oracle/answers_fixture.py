"""Answers of MATH and GSM8K as lm-eval 0.4.13 normalises and compares them.
Run: PYTHONPATH=<unpacked lm_eval wheel> python answers_fixture.py fixtures/align/answers.json
(needs numpy; `datasets`, `math_verify`, `antlr4` and `sacrebleu` are stubs, because only string functions are called)."""
import importlib.util, json, os, sys, types

for name in ("datasets", "sacrebleu", "math_verify", "antlr4"):
    sys.modules.setdefault(name, types.ModuleType(name))
sys.modules["math_verify"].parse = sys.modules["math_verify"].verify = None
sys.modules["datasets"].Dataset = object
import importlib.metadata as metadata
version = metadata.version
metadata.version = lambda name: "4.11.0" if name == "antlr4-python3-runtime" else version(name)
import lm_eval
from lm_eval.api.metrics import exact_match_hf_evaluate
from lm_eval.filters.extraction import MultiChoiceRegexFilter, RegexFilter

def task(path):
    spec = importlib.util.spec_from_file_location("utils", os.path.join(os.path.dirname(lm_eval.__file__), "tasks", path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

hendrycks, minerva = task("hendrycks_math/utils.py"), task("minerva_math/utils.py")

ANSWERS = [
    r"\frac{1}{2}", r"\frac12", r"\dfrac{1}{2}", r"\tfrac 1 2", r"1/2", r"0.5", r".5", r"-.5", r"\frac{3}4", r"\frac3{4}", r"\frac", r"a/b", r"10/20", r"+1/2", r"1/2/3", r"1 / 2",
    r"\sqrt3", r"\sqrt{3}", r"\sqrt", r"2\sqrt 3", r"\sqrt[3]{8}", r"\sqrt[3]8", r"\sqrt{2}\sqrt3", r"90^\circ", r"90^{\circ}", r"90", r"90 degrees", r"10\%", r"10%", r"\$5.00", r"$5", r"5.00",
    r"5\text{ cm}", r"5 \text{ cm}", r"5\text{cm}", r"5 cm", r"5\text{ a}\text{ b}", r"\text{Evelyn}", r"\mbox{Evelyn}", r"\textbf{(B)}", r"x=5", r"xyz=5", r"k = 5", r"a=b=5", r"1,000", r"10,000,000", r"0,1", r"1,00", r"-1,234",
    r"\left(1,2\right)", r"(1, 2)", r"(1,2)", r"\left[ 2, 5 \right)", r"[2,5)", r"x \in [2,5)", r"\{1,2\}", r"1{,}000", r"1,\!000", r"12\!3", r"\pi", r"2\pi", r"2 \pi\text{ m}", r"2\pi cm", r"7\ ", r"\ 7",
    r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}", r"3\,000", r"\overline{AB}", r"\boxed{7}", r"the answer", r"a cat", r"an apple", r"7 dollars", r"7 feet", r"\ldots7", r"7.", r"$7.$", r"7\text{.}", r"x^2+1",
    r"x^{2}+1", r"1+x^2", r"\frac{\sqrt3}{2}", r"\frac{\sqrt{3}}{2}", r"\frac{a}{b}c", r"\fracab", r"\fracabc", r"\infty", r"-\infty", r"3\times10^{5}", r"3 \cdot 10^5", r"\text{and}", r"1,\text{and}2", r"1 and 2", r"6:30", r"{.5}", r"x = .5", "", " ", "7\n", r"\mathrm{th}7", r"7^\mathrm{th}", r"\frac{ 1 }{ 2 }", r"0.50", r"\%", r"1_0/2", r"\text{ }",
]
TEXTS = [
    r"so $x = 2$ and \boxed{\frac{1}{2}}.", r"\boxed{1} then \boxed{2}", r"\boxed 7", r"$\boxed 7$ done", r"\fbox{3}", r"none", r"\boxed{\frac{1}{2", r"\boxed{a{b}c}d}", r"\boxed{}", r"\boxed {7}", r"\boxed{1} \fbox{2}",
    "Final Answer: The final answer is $\\frac{1}{2}$. I hope it is correct.", "Final Answer: The final answer is 12. I hope it is correct. Problem: next", "Final Answer: The final answer is 12", "The final answer is $5$.", r"It is $7$.", r"first $3$ then $4$", r"7",
]
PAIRS = [(r"\frac12", r"0.5"), (r"1/2", r"\dfrac{1}{2}"), (r"0.5", r"\frac{1}{2}"), (r"2/4", r"1/2"), (r"90^\circ", r"90"), (r"10\%", "10"), (r"5\text{ cm}", "5"), ("x=5", "5"), ("1,000", "1000"), (r"\text{Evelyn}", "Evelyn"), (r"(1, 2)", "(1,2)"), (r"\left(1,2\right)", "(1,2)"), ("7", "8"), (r"\sqrt3", r"\sqrt{3}"), (r"\frac", r"\frac"), ("2", "2.0"), (r"\$5", "5"), ("0.50", "0.5")]

def guarded(function, *arguments):
    try:
        return function(*arguments)
    except Exception:
        return None

STRICT = RegexFilter(r"#### (\-?[0-9\.\,]+)", 0)
FLEXIBLE = RegexFilter(r"(-?[$0-9.,]{2,})|(-?[0-9]+)", -1)
IGNORED = [",", "\\$", "(?s).*#### ", "\\.$"]
GSM = [
    ("She sells 9 eggs for 9 * 2 = $18.\n#### 18", "x\n#### 18"), ("The answer is 18.", "#### 18"), ("It costs $1,234.50 in total.", "#### 1,234.50"), ("#### 1,000", "#### 1000"), ("#### -7", "#### -7"), ("#### $5", "#### 5"), ("#### 5 apples", "#### 5"), ("She has 5 apples and 3 pears.", "#### 3"), ("no number", "#### 3"),
    ("", "#### 3"), ("#### 17", "#### 18"), ("It is 3 or 4", "#### 3"), ("18 dollars", "#### 18"), ("minus -12", "#### -12"), ("about 3.5 pears", "#### 3.5"), ("5%", "#### 5"), ("#### 42.", "#### 42"), ("The total is 2,000,000.", "#### 2000000"), ("Answer: 7\n\n", "#### 7"), ("$.", "#### 0"),
]

def gsm(completion, answer):
    out = {}
    for name, each in (("strict", STRICT), ("flexible", FLEXIBLE)):
        [[prediction]] = each.apply([[completion]], [{}])
        out[name] = float(exact_match_hf_evaluate([prediction], [answer], IGNORED, ignore_case=True)["exact_match"])
    return out

CHOICES = ["red", "dark blue", "green", "yellow"]
LETTERS = ["The answer is (B).", "B", "(C) because", "(A) is wrong, so (D)", "I think it is dark blue", "A. yes", "green", ": C", "no idea"]
choice = MultiChoiceRegexFilter(r"(\([A-Z]\))", 0, ignore_case=True, ignore_punctuation=True)

json.dump({
    "lm_eval": "0.4.13",
    "hendrycks": [[a, guarded(hendrycks.strip_string, a)] for a in ANSWERS],
    "minerva": [[a, guarded(minerva.normalize_final_answer, a)] for a in ANSWERS],
    "boxed": [[t, guarded(hendrycks.last_boxed_only_string, t), guarded(lambda t: hendrycks.remove_boxed(hendrycks.last_boxed_only_string(t)), t), guarded(minerva.get_unnormalized_answer, t)] for t in TEXTS],
    "equivalent": [[a, b, bool(hendrycks.is_equiv(a, b))] for a, b in PAIRS],
    "gsm8k": [[completion, answer, gsm(completion, answer)] for completion, answer in GSM],
    "choices": CHOICES,
    "letters": [[t, choice.apply([[t]], [{"choices": CHOICES}])[0][0]] for t in LETTERS],
}, open(sys.argv[1], "w"), indent=0)
