import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Chain } from "../../src/data/clean/chain.js";
import {
  c4Paragraphs,
  c4Quality,
  finewebQuality,
  gopherQuality,
  gopherRepetition,
  Passage,
  type Splitter,
  type Step,
  splitWords,
} from "../../src/data/recipes/recipe-steps.js";

/** The output of test/oracle/datatrove_filters.py. */
const fixtures = join(import.meta.dirname, "..", "oracle", "fixtures");
const read = (name: string): unknown => JSON.parse(gunzipSync(readFileSync(join(fixtures, name))).toString("utf8"));

interface Judged {
  readonly text: string;
  readonly own: Readonly<Record<string, string>>;
  readonly simple: Readonly<Record<string, string>>;
  readonly chain: readonly [own: string, simple: string];
  readonly words: readonly string[] | null;
}
interface Edge {
  readonly filter: string;
  readonly rule: string;
  readonly text: string | null;
  readonly long: number | null;
  readonly verdict: string;
}
const oracle = read("datatrove-filters.json.gz") as {
  readonly documents: readonly Judged[];
  readonly edges: readonly Edge[];
};

const FILTERS: Readonly<Record<string, Step>> = {
  "gopher-repetition": gopherRepetition(),
  "gopher-quality": gopherQuality(),
  "c4-quality": c4Quality({ requireTerminalMark: false }),
  "c4-strict": c4Quality(),
  "c4-paragraphs": c4Paragraphs(),
  "fineweb-quality": finewebQuality(),
};
const CHAIN = ["gopher-repetition", "gopher-quality", "c4-quality", "fineweb-quality"].map((name) => FILTERS[name]);

const SEPARATORS = "\u001c-\u001f\u0085";
const PYTHON_SPACE = new RegExp(`[\\t-\\r ${SEPARATORS}\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+`, "u");
/** Splits words and sentences as simply as the oracle does. */
const SIMPLE: Splitter = {
  words: (text) => text.split(PYTHON_SPACE).filter((word) => word !== ""),
  sentences: (text) => {
    const split = new RegExp(`(?<=[.!?])${PYTHON_SPACE.source}`, "u");
    return text.split(split).filter((part) => part.split(PYTHON_SPACE).join("") !== "");
  },
};

function candidate(text: string, splitter?: Splitter) {
  return { id: "0", source: "test", passage: new Passage(text, splitter) };
}

function applyStep(step: Step, text: string, splitter?: Splitter): string {
  const verdict = step.judge(candidate(text, splitter));
  if (!verdict.keep) return verdict.reason;
  return "text" in verdict && verdict.text !== text ? `edit ${verdict.text}` : "keep";
}

function runChain(text: string, splitter?: Splitter): string {
  const outcome = new Chain(CHAIN).run(candidate(text, splitter));
  return outcome.keep ? "keep" : `${outcome.step} ${outcome.reason}`;
}

describe("filters compared with datatrove's", () => {
  it("return the same result, reason and text for the same words and sentences", () => {
    const differ = oracle.documents.flatMap(({ text, simple }) =>
      Object.entries(simple)
        // "error": Python divided by zero, so there is no result to compare with.
        .filter(([name, verdict]) => verdict !== "error" && applyStep(FILTERS[name], text, SIMPLE) !== verdict)
        .map(([name, verdict]) => ({ name, verdict, ours: applyStep(FILTERS[name], text, SIMPLE), text })),
    );
    expect(differ).toEqual([]);
  });

  it("return the same results with Quern's words as datatrove with spaCy's", () => {
    const all = oracle.documents.flatMap(({ text, own }) =>
      Object.entries(own).map(([name, verdict]) => ({ name, verdict, text })),
    );
    const differ = all.filter(
      ({ name, verdict, text }) => verdict !== "error" && applyStep(FILTERS[name], text) !== verdict,
    );
    expect(differ).toEqual([]);
  });

  it("run in the same order and stop at the same step", () => {
    for (const { text, chain } of oracle.documents) {
      if (!chain[0].endsWith("error")) expect(runChain(text)).toBe(chain[0]);
      if (!chain[1].endsWith("error")) expect(runChain(text, SIMPLE)).toBe(chain[1]);
    }
  });

  it("change their result at the same thresholds", () => {
    const long = (words: number) => ["the", "of", ...Array.from({ length: words }, (_, i) => unique(i))].join(" ");
    for (const { filter, rule, text, long: words, verdict } of oracle.edges) {
      const given = text ?? long(words as number);
      expect({ filter, rule, verdict: applyStep(FILTERS[filter], given, SIMPLE) }).toEqual({ filter, rule, verdict });
    }
    // The oracle covers both sides of every threshold.
    const rules = new Map<string, Set<string>>();
    for (const { filter, rule, verdict } of oracle.edges) {
      const name = `${filter} ${rule}`;
      rules.set(name, (rules.get(name) ?? new Set()).add(verdict));
    }
    expect(rules.size).toBeGreaterThanOrEqual(32);
    for (const sides of rules.values()) expect(sides.size).toBeGreaterThan(1);
  });
});

/** The oracle's artificial words of five letters. */
function unique(index: number): string {
  const letters = "bcdfghjklmnpqrstvwxz";
  let word = "";
  for (let i = 0, rest = index; i < 5; i++, rest = Math.floor(rest / 20)) word += letters[rest % 20];
  return word;
}

describe("words", () => {
  it("are the same as spaCy's", () => {
    let total = 0;
    let same = 0;
    const differ: string[] = [];
    for (const { text, words } of oracle.documents) {
      if (words === null) continue;
      const own = splitWords(text);
      total += words.length;
      const wanted = new Set(words);
      same += own.filter((word) => wanted.has(word)).length;
      if (own.join(" ") !== words.join(" ")) differ.push(text);
    }
    expect(total).toBeGreaterThan(10_000);
    // Quern cuts Chinese, Japanese and Thai with a dictionary; spaCy's English tokenizer has none.
    expect(differ.filter((text) => !/[\p{Script=Han}\p{Script=Thai}]/u.test(text))).toEqual([]);
    expect(same / total).toBeGreaterThan(0.97);
  });

  it("of scripts without spaces come from the segmenter", () => {
    expect(splitWords("我喜欢喝茶。")).toEqual(["我", "喜欢", "喝茶", "。"]);
    expect(splitWords("ภาษาไทยง่าย").length).toBeGreaterThan(1);
    expect(splitWords("吾輩は猫である。名前はまだ無い。").length).toBeGreaterThan(8);
  });

  it("are found after the table was emptied", () => {
    const passage = new Passage("the quick brown fox");
    expect(passage.words.ids.length).toBe(4);
    const { generation } = passage.words.table;
    for (let i = 0; i < 2; i++) {
      const many = Array.from({ length: 40_000 }, (_, n) => unique(n).repeat(12) + "bc"[i]).join(" ");
      expect(new Passage(many).wordCount).toBe(40_000);
    }
    new Passage("").words;
    expect(passage.words.table.generation).toBeGreaterThan(generation);
    expect(passage.countPresent(["the", "fox", "wolf"])).toBe(2);
    expect(passage.words.ids.length).toBe(4);
  });
});

const shared = process.env.QUERN_SHARED;
const folder = shared === undefined ? "" : join(shared, "data", "documents");
const has = shared !== undefined && existsSync(folder) && existsSync(join(fixtures, "datatrove-shared.json.gz"));

describe.skipIf(!has)("real documents (set QUERN_SHARED to the folder that contains data/)", () => {
  const verdicts = has ? (read("datatrove-shared.json.gz") as Record<string, readonly string[]>) : {};
  const documents = (name: string) =>
    gunzipSync(readFileSync(join(folder, name)))
      .toString("utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly id: string; readonly text: string });
  const names = Object.keys(FILTERS).sort();
  const short = (verdict: string) => verdict.slice(0, 40).split("\n")[0].split(" ")[0];

  it("have datatrove's results with the same words and sentences", () => {
    for (const { id, text } of [...documents("web.en.jsonl.gz"), ...documents("udhr.jsonl.gz")]) {
      const ours = [runChain(text, SIMPLE), ...names.map((name) => short(applyStep(FILTERS[name], text, SIMPLE)))];
      expect({ id, verdicts: ours }).toEqual({ id, verdicts: verdicts[id].slice(0, ours.length) });
    }
  });

  it("in English have the results of spaCy's words in at least 97 % of cases", () => {
    const all = documents("web.en.jsonl.gz");
    const same = all.filter(({ id, text }) => runChain(text) === verdicts[id].at(-1));
    expect(same.length / all.length).toBeGreaterThanOrEqual(0.97);
  });
});
