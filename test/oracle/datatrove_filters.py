"""Oracle for src/data/filters: datatrove's own filters on texts that this script generates, and on the shared documents.

    python3 -m venv VENV && VENV/bin/pip install datatrove==0.10.1 spacy==3.8.18 regex numpy tldextract pyahocorasick
    VENV/bin/python test/oracle/datatrove_filters.py [SHARED]

Writes test/oracle/fixtures/datatrove-filters.json.gz: texts with the result of each filter, once with datatrove's own
spaCy words and once with a simple word and sentence split that both sides implement. For each rule it searches for two
neighbouring texts between which the result changes. With SHARED, a folder that contains data/documents, it also writes
datatrove-shared.json.gz: the results by id of those documents, without their texts.
"""
import gzip
import json
import pathlib
import random
import re
import sys

import numpy
from datatrove.data import Document
from datatrove.pipeline.filters import (C4ParagraphFilter, C4QualityFilter, FineWebQualityFilter, GopherQualityFilter,
                                        GopherRepetitionFilter)
from datatrove.utils.text import split_into_words
from datatrove.utils.word_tokenizers import WordTokenizer

HERE = pathlib.Path(__file__).parent
numpy.seterr(all="ignore")


class Simple(WordTokenizer):
    """Words are split at white space; sentences end at . ! ? before white space. The test does the same."""

    def word_tokenize(self, text):
        return text.split()

    def sent_tokenize(self, text):
        return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]

    def span_tokenize(self, text):
        return [(0, i + 1) for i, _ in enumerate(self.sent_tokenize(text))]


SIMPLE = Simple("simple")


def filters(words):
    return {
        "gopher-repetition": GopherRepetitionFilter(language=words),
        "gopher-quality": GopherQualityFilter(language=words),
        "c4-quality": C4QualityFilter(language=words, filter_no_terminal_punct=False),
        "c4-strict": C4QualityFilter(language=words),
        "c4-paragraphs": C4ParagraphFilter(),
        "fineweb-quality": FineWebQualityFilter(language=words),
    }


def judge(filter_, text):
    """Returns the reason, `keep`, or the edited text."""
    document = Document(text=text, id="0", metadata={})
    try:
        result = filter_.filter(document)
    except (ZeroDivisionError, ValueError):
        return "error"
    if isinstance(result, tuple):
        return result[1]
    if not result:
        return "dropped"
    return "keep" if document.text == text else "edit " + document.text


CHAIN = ("gopher-repetition", "gopher-quality", "c4-quality", "fineweb-quality")


def chain(by_name, text):
    document = Document(text=text, id="0", metadata={})
    for name in CHAIN:
        try:
            result = by_name[name].filter(document)
        except (ZeroDivisionError, ValueError):
            return name + " error"
        if isinstance(result, tuple):
            return name + " " + result[1]
    return "keep"


WORDS = ("the be to of and that have with a river stone house light morning people walked slowly over bridge when water rose "
         "they could hear its voice under wooden floor nobody knew why old miller never came back from market although he "
         "had promised his daughter ribbons salt lamp oil for winter don't can't it's we'll U.S. Mr. 3.5 10% 5kg $20 e.g. "
         "well-known and/or 24/7 https://example.com/a-b?c=d user@example.org naïve café 東京 ภาษาไทย 😀 o'clock #tag (see) "
         "“quoted” …").split()


def prose(rng, sentences, lines=False):
    out = []
    for _ in range(sentences):
        words = [rng.choice(WORDS[:60] if rng.random() < .8 else WORDS) for _ in range(rng.randint(4, 18))]
        if rng.random() < .3:
            words.insert(len(words) // 2, ",")
        out.append(" ".join(words).capitalize().replace(" ,", ",") + rng.choice([".", ".", ".", "!", "?", "...", '."']))
    return ("\n" if lines else " ").join(out)


def spoil(rng, text):
    """Alters a text the way web pages do."""
    lines = text.split("\n")
    kind = rng.randrange(16)
    if kind == 0:
        lines += [rng.choice(lines)] * rng.randint(1, 6)
    elif kind == 1:
        lines = ["- " + line for line in lines]
    elif kind == 2:
        lines = [line.rstrip(".!?") + "..." for line in lines]
    elif kind == 3:
        lines = [line.replace(" ", " # ", rng.randint(1, 6)) for line in lines]
    elif kind == 4:
        lines = [re.sub(r"[a-z]{4,}", lambda m: str(len(m[0]) * 37), line) for line in lines]
    elif kind == 5:
        lines.insert(rng.randrange(len(lines)), rng.choice(["Lorem ipsum dolor sit amet.", "if (x) { y(); }",
                                                            "Please enable JavaScript to go on.", "We use cookies here now.",
                                                            "Read our privacy policy [1] for more.", "[edit] Name [12] [citation needed] of it."]))
    elif kind == 6:
        lines = "\n\n".join(lines).split("\n")
    elif kind == 7:
        lines = [line[:rng.randint(3, 40)] for line in lines]
    elif kind == 8:
        lines = [line.replace(" ", rng.choice(["\u00a0", "\t", "  ", "\u2003"]), 2) for line in lines]
    elif kind == 9:
        lines.append(" ".join(["one two three four five six"] * rng.randint(1, 9)))
    elif kind == 10:
        return rng.choice(["\r\n", "\x85", "\u2028", "\x0c", "\r"]).join(lines)
    elif kind == 11:
        lines = [re.sub(r"\b(the|be|to|of|and|that|have|with)\b", "zu", line, flags=re.I) for line in lines]
    elif kind == 12:
        lines = [line + " " + "y" * rng.choice([999, 1000, 1001]) for line in lines[:1]] + lines[1:]
    elif kind == 13:
        lines = ["•" + line if rng.random() < .95 else line for line in lines]
    elif kind == 14:
        lines = [line.upper() + "։" for line in lines] + ["  "]
    return "\n".join(lines)


def texts():
    rng = random.Random(10)
    out = ["", " ", "\n", ".", "one", "...", "a b", "😀 😀", "\u2028", "# # #"]
    for i in range(220):
        text = "\n".join(prose(rng, rng.randint(1, 4)) for _ in range(rng.randint(2, 12)))
        for _ in range(rng.choice([0, 1, 1, 2, 3])):
            text = spoil(rng, text)
        out.append(text)
    return out


def unique(n, length=5, start=0):
    """n different words of letters, without stop words."""
    letters = "bcdfghjklmnpqrstvwxz"
    out = []
    for i in range(start, start + n):
        word = ""
        for _ in range(length):
            word += letters[i % 20]
            i //= 20
        out.append(word)
    return out


GOOD = "the of " + " ".join(unique(58))


def edges():
    """For each rule, texts indexed by a number; the result must change exactly once between two neighbours."""
    q, r, f, c, s, p = "gopher-quality", "gopher-repetition", "fineweb-quality", "c4-quality", "c4-strict", "c4-paragraphs"
    lines = lambda n, start=0: [" ".join(unique(6, 6, start + 6 * i)) + "." for i in range(n)]
    return [
        (q, "gopher_short_doc", lambda k: " ".join(["the", "of"] + unique(k)), 40, 60),
        (q, "gopher_long_doc", lambda k: " ".join(["the", "of"] + unique(k)), 99_990, 100_010),
        (q, "gopher_below_avg_threshold", lambda k: " ".join(unique(60, 3)[:60 - k] + ["be", "to"] + ["zz"] * k + unique(8, 4)), 0, 30),
        (q, "gopher_above_avg_threshold", lambda k: " ".join(["the", "of"] + unique(60, 10) + unique(k, 11, 90)), 0, 60),
        (q, "gopher_too_many_hashes", lambda k: GOOD.replace(" ", "# ", k), 0, 20),
        (q, "gopher_too_many_ellipsis", lambda k: GOOD.replace(" ", "... ", k), 0, 20),
        (q, "gopher_too_many_ellipsis", lambda k: GOOD.replace(" ", "… ", k), 0, 20),
        (q, "gopher_too_many_bullets", lambda k: "\n".join([" - " + x for x in lines(k)] + [GOOD, "and that"]), 5, 40),
        (q, "gopher_too_many_bullets", lambda k: "\n".join(["•" + x for x in lines(k)] + [GOOD, "and that"]), 5, 40),
        (q, "gopher_too_many_end_ellipsis", lambda k: "\n".join([GOOD] * 6 + ["so it be..."] * k), 0, 12),
        (q, "gopher_below_alpha_threshold", lambda k: GOOD + " " + " ".join(str(1000 + i) for i in range(k)), 0, 40),
        (q, "gopher_enough_stop_words", lambda k: " ".join(unique(60) + ["the", "be", "to"][k:]), 0, 3),
        (r, "dup_para_frac", lambda k: "\n\n".join(lines(14) + ["z."] * k), 0, 20),
        (r, "dup_para_char_frac", lambda k: "\n\n".join(lines(20) + ["q " * 30] + ["q " * k + "z"] * 2), 5, 200),
        (r, "dup_line_frac", lambda k: "\n".join(lines(14) + ["z."] * k), 0, 20),
        (r, "dup_line_char_frac", lambda k: "\n".join(lines(20) + [" ".join(unique(k, 4, 900))] * 2), 5, 200),
        (r, "top_2_gram", lambda k: " ".join(x + " aa bb" for x in unique(20, 12)) + " " + " ".join(unique(120 - k, 5, 500)), 0, 118),
        (r, "top_3_gram", lambda k: " ".join(x + " aa bb c" for x in unique(20, 14)) + " " + " ".join(unique(120 - k, 5, 500)), 0, 118),
        (r, "top_4_gram", lambda k: " ".join(x + " a b c d" for x in unique(20, 16)) + " " + " ".join(unique(160 - k, 5, 500)), 0, 158),
    ] + [
        (r, f"duplicated_{n}_n_grams",
         lambda k, n=n: " ".join(w for i in range(12) for w in unique(n, 6, 700 + i % 6 * n) + unique(max(1, 80 - k), 5, i * 100))
         + " x" * (k % 5), 0, 79)
        for n in (5, 6, 7, 8, 9, 10)
    ] + [
        (f, "line_punct_ratio", lambda k: "\n".join(lines(6) + [x[:-1] for x in lines(k, 100)]), 30, 60),
        (f, "short_line_ratio", lambda k: "\n".join(lines(33) + [f"b{i} d e f." for i in range(k)]), 50, 90),
        (f, "short_line_ratio", lambda k: "\n".join("x" * (k - 4) + f"{i:03}." for i in range(10)), 20, 40),
        (f, "char_dup_ratio", lambda k: "\n".join(lines(40) + ["w" * k + "."] * 2), 2, 60),
        (f, "list_ratio", lambda k: "\n".join(["a" * 40 + f" {i} b c." for i in range(20)] + ["\n" * k + "z" * 40 + "."]), 0, 10),
        (c, "too_few_sentences", lambda k: "\n".join(["One two three."] * k), 0, 9),
        (c, "words", lambda k: "\n".join(lines(6) + [" ".join(unique(k))]), 0, 6),
        (c, "word length", lambda k: "\n".join(lines(6) + ["a b c " + "y" * k]), 995, 1005),
        (s, "terminal", lambda k: "\n".join(lines(6) + ["so it is" + ["", ".", "...", "!", "?", '"', "'", ";", "…", " "][k]]), 0, 9),
        (p, "< 3 paragraphs", lambda k: "\n".join(["é" * k] * 3), 195, 205),
        (p, "< 3 paragraphs", lambda k: "\n".join(["y" * 200] * k), 1, 5),
    ]


def main():
    own, simple = filters("en"), filters(SIMPLE)
    documents = [{
        "text": text,
        "own": {name: judge(f, text) for name, f in own.items()},
        "simple": {name: judge(f, text) for name, f in simple.items()},
        "chain": [chain(own, text), chain(simple, text)],
        "words": split_into_words(text) if i < 120 else None,
    } for i, text in enumerate(texts())]
    pairs = []
    for name, rule, make, first, last in edges():
        verdicts = [judge(simple[name], make(k)) for k in range(first, last + 1)] if rule != "gopher_long_doc" else None
        ks = list(range(first, last + 1))
        if verdicts is None:
            verdicts = [judge(simple[name], make(k)) for k in ks]
        # An edit counts as another result only if the edited text differs.
        kinds = [v if not v.startswith("edit") else ("edit" if rule not in ("words", "word length", "terminal") else
                                                     f"edit {len(v.splitlines())}") for v in verdicts]
        changes = [i for i in range(1, len(ks)) if kinds[i] != kinds[i - 1]]
        assert changes, (name, rule, set(kinds))
        if rule not in ("words", "word length", "terminal"):
            assert any(rule in (kinds[i], kinds[i - 1]) for i in changes), (name, rule, set(kinds))
        for i in changes:
            for j in (i - 1, i):
                text = make(ks[j])
                shown = text if len(text) < 20_000 else None
                pairs.append({"filter": name, "rule": rule, "text": shown, "long": None if shown else ks[j], "verdict": verdicts[j]})
    save("datatrove-filters", {"documents": documents, "edges": pairs})
    if len(sys.argv) > 1:
        shared(pathlib.Path(sys.argv[1]) / "data" / "documents", own, simple)


def shared(folder, own, simple):
    result = {}
    for name, words in (("web.en", True), ("udhr", False)):
        for line in gzip.open(folder / f"{name}.jsonl.gz", "rt"):
            document = json.loads(line)
            text = document["text"]
            entry = [chain(simple, text)] + [judge(simple[f], text)[:40].split("\n")[0].split(" ")[0] for f in sorted(simple)]
            if words:
                entry.append(chain(own, text))
            result[document["id"]] = entry
    save("datatrove-shared", result)


def save(name, value):
    data = json.dumps(value, ensure_ascii=False).encode("utf8", "surrogatepass")
    with open(HERE / "fixtures" / f"{name}.json.gz", "wb") as file:
        with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
            packed.write(data)


main()
