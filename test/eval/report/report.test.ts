import { createHash } from "node:crypto";
import { inflateRawSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { type EvaluationRun, evaluationReport, resultRows, tokenPieces } from "../../../src/eval/index.js";
import { settingsThatDiffer } from "../../../src/eval/report/comparison-section.js";
import { FIRST_CODE, type PageData, type PageDocument, pageData } from "../../../src/eval/report/page-data.js";
import { viewDocuments } from "../../../src/eval/report/sample-view.js";
import { tokenLengths } from "../../../src/eval/report/token-lengths.js";
import { trainTokenizer } from "../../../src/tokenizer/index.js";
import { madeRun, sampleOf } from "./made-runs.js";

const run = madeRun(1);
const oneTask = (
  samples: EvaluationRun["samples"] extends ReadonlyMap<string, infer S> ? S : never,
): EvaluationRun => ({
  ...run,
  samples: new Map([["questions", samples]]),
});
/** Scored choices after one prompt. */
const choiceSample = (
  texts: readonly string[],
  scores: readonly number[],
  values: object,
  target: unknown,
  prompts = texts.map(() => "Q:"),
) =>
  sampleOf(
    0,
    texts.map((text, i) => [prompts[i], text]),
    scores.map((score) => [[String(score), "False"]]),
    { ...values },
    { target },
  );
const viewOf = (sample: ReturnType<typeof sampleOf>) => viewDocuments(oneTask([sample]), "questions")[0];

describe("what a reader sees of a document", () => {
  it("prefers by log-likelihood, per character of the choice, and per byte", () => {
    const { choices, preferred, right } = viewOf(
      choiceSample([" ab", " abcdef", " üü"], [-2, -3, -2.5], { acc: 0 }, "1"),
    );
    expect(choices.map(({ characters, bytes }) => [characters, bytes])).toEqual([
      [2, 2],
      [6, 6],
      [2, 4],
    ]);
    // Per character −1, −.5, −1.25; per byte −1, −.5, −.625.
    expect([preferred, right]).toEqual([[0, 1, 1, null], [1]]);
  });

  it("splits off the choices without their prompt", () => {
    const sample = choiceSample([" a", " b", " a", " b"], [-3, -2, -6, -2.5], { acc: 0, acc_mutual_info: 1 }, "0", [
      "Q:",
      "Q:",
      "",
      "",
    ]);
    const { choices, preferred, prompt } = viewOf(sample);
    expect(prompt).toBe("Q:");
    expect(choices.map(({ unconditional }) => unconditional)).toEqual([-6, -2.5]);
    expect(preferred).toEqual([1, 1, 1, 0]);
  });

  it("finds the right choice by position, list and text, where acc agrees", () => {
    const right = (target: unknown, acc: number, texts = [" no", " yes", " 7"]) =>
      viewOf(choiceSample(texts, [-1, -2, -3], { acc }, target)).right;
    expect(right(1, 0)).toEqual([1]);
    expect(right("0", 1)).toEqual([0]);
    expect(right("[0, 2]", 1)).toEqual([0, 2]);
    expect(right([1, 2], 0)).toEqual([1, 2]);
    expect(right("yes", 0)).toEqual([1]);
    expect(right("7", 0)).toEqual([2]);
    // A target that contradicts acc is no position.
    expect(right("0", 0)).toBeNull();
    expect(right("other", 1)).toEqual([0]);
    expect(right("other", 0, [" no", " yes"])).toEqual([1]);
  });

  it("shares the beginning of two contexts and leaves lengths out", () => {
    const [view] = viewDocuments(run, "names");
    expect(view.prompt).toBe("Anna met Anton 0 times because");
    expect(view.choices.map(({ before, text, characters }) => [before, text, characters])).toEqual([
      [" Anna", " asked for it.", null],
      [" Anton", " asked for it.", null],
    ]);
    for (const { right, preferred, values } of viewDocuments(run, "names")) {
      expect(right?.includes(preferred[0] as number)).toBe(values["acc,none"] === 1);
    }
  });

  it("has each document once with all its filters", () => {
    const views = viewDocuments(run, "numbers");
    expect(views).toHaveLength(12);
    expect(views[0].filtered).toEqual([
      { filter: "strict", results: ["[invalid]"] },
      { filter: "flexible", results: [expect.stringMatching(/^[01]$/)] },
    ]);
    expect(Object.keys(views[0].values)).toEqual([
      "exact_match,strict",
      "f1,strict",
      "exact_match,flexible",
      "f1,flexible",
    ]);
  });
});

describe("token borders", () => {
  const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
  it("follow the tokens' texts", () => {
    expect(tokenLengths("a cat", ["a", " c", "at"])).toEqual([1, 2, 2]);
    expect(tokenLengths("", [])).toEqual([]);
  });
  it("give a shared character to its first token", () => {
    expect(tokenLengths("a 🌾 b", ["a", " ", "\ufffd", "\ufffd", " b"])).toEqual([1, 1, 2, 0, 2]);
    expect(tokenLengths("🌾b", ["🌾", "", "b"])).toEqual([2, 0, 1]);
    expect(tokenLengths("x\ufffd\ufffdy", ["x", "\ufffd", "\ufffd", "y"])).toEqual([1, 2, 0, 1]);
  });
  it("cover the text whatever the tokens are", () => {
    for (const pieces of [["zzz"], ["a", "q", "c"], ["", "\ufffd"], ["abc", "abc"]]) {
      expect(sum(tokenLengths("a b c", pieces))).toBe(5);
      expect(tokenLengths("a b c", pieces)).toHaveLength(pieces.length);
    }
  });
  it("are those of a tokenizer", async () => {
    const tokenizer = await trainTokenizer(["a quern grinds corn, a quern grinds rye"], { vocabSize: 280 });
    const pieces = tokenPieces(tokenizer);
    for (const text of ["a quern 🌾🌾 grinds", "ünïcode\n\n\nrye", ""]) {
      const list = pieces(text);
      expect(list).toHaveLength(tokenizer.encode(text).length);
      expect(list.join("")).toBe(text);
      expect(tokenLengths(text, list)).toEqual(list.map(({ length }) => length));
    }
  });
});

/** Unpacks the page's blocks as the browser does. */
function unpacked(data: PageData) {
  const [texts, documents] = [[] as (readonly [string, string?])[], [] as PageDocument[]];
  for (const block of data.blocks) {
    const { s, x } = JSON.parse(inflateRawSync(Buffer.from(block, "base64")).toString());
    texts.push(...s);
    documents.push(...x);
  }
  return { texts, documents, textOf: ([parts]: PageDocument["p"]) => parts.map((part) => texts[part][0]).join("") };
}

describe("the samples in the page", () => {
  const pieces = (text: string) => text.match(/\n\n|\s?\S{1,4}|\s/g) ?? [];

  it("are whole, with repeated examples stored once", () => {
    for (const options of [{}, { pieces }, { pieces, against: madeRun(2) }]) {
      const data = pageData(run, options);
      const { texts, documents, textOf } = unpacked(data);
      expect([data.documents, data.cutTo, data.missing]).toEqual([70, null, []]);
      expect(documents).toHaveLength(70);
      const views = data.tasks.flatMap(({ name }) => viewDocuments(run, name));
      documents.forEach((document, i) => {
        expect(textOf(document.p)).toBe(views[i].prompt);
        expect(document.c?.map(([, text]) => textOf(text)) ?? []).toEqual(views[i].choices.map(({ text }) => text));
        expect(document.a ?? []).toEqual(views[i].answers);
        expect(document.p[1]).toBe("pieces" in options ? pieces(views[i].prompt).length : null);
      });
      expect(texts.filter(([text]) => text.includes("What grinds corn?"))).toHaveLength(1);
      if ("pieces" in options) {
        for (const [text, codes = ""] of texts) {
          const lengths = [...codes].map((code) => code.charCodeAt(0) - FIRST_CODE);
          expect(lengths).toEqual(pieces(text).map(({ length }) => length));
        }
      }
    }
  });

  it("have the other run beside them", () => {
    const { documents } = unpacked(pageData(run, { against: madeRun(2) }));
    const other = (task: number, id: number) => documents.find(({ t, i }) => t === task && i === id)?.o;
    expect(other(0, 3)).toMatchObject({ x: "prompt" });
    expect(other(0, 4)).not.toHaveProperty("x");
    expect(other(0, 4)?.l).toHaveLength(3);
    expect(other(3, 7)).toBeNull();
    expect(other(3, 6)?.l).toHaveLength(1);
    expect(unpacked(pageData(run)).documents[0]).not.toHaveProperty("o");
  });

  it("are cut, longest texts first, to fit the page", () => {
    // Text that deflate cannot make small.
    const noise = (i: number) => {
      const parts = Array.from({ length: 210 }, (_, j) => createHash("sha256").update(`${i} ${j}`).digest("base64"));
      return parts.join("").slice(0, i === 0 ? 40 : 9000);
    };
    const samples = Array.from({ length: 60 }, (_, i) => sampleOf(i, [[noise(i)]], [["-1"]], { acc: 1 }));
    const whole = pageData(oneTask(samples));
    expect(whole.cutTo).toBeNull();
    const data = pageData(oneTask(samples), { mostBytes: 200_000 });
    expect(data.cutTo).toBe(2000);
    expect(data.blocks.join("").length).toBeLessThan(200_000);
    const { documents, textOf } = unpacked(data);
    expect(documents.map(({ p }) => textOf(p).length)).toEqual(samples.map((_, i) => (i === 0 ? 40 : 2005)));
  });
});

describe("the table of results", () => {
  const rows = resultRows(run);
  const row = (name: string, key: string) => {
    const found = rows.find((each) => each.name === name && each.key === key);
    if (found === undefined) throw new Error(`no row ${name} ${key}`);
    return found;
  };

  it("has groups before their tasks", () => {
    expect([...new Set(rows.map(({ name, depth, isGroup }) => `${name} ${depth} ${isGroup}`))]).toEqual([
      "both 0 true",
      "questions 1 false",
      "names 1 false",
      "numbers 0 false",
      "texts 0 false",
    ]);
  });

  it("has Wilson's interval for shares and the normal one for others", () => {
    const { value, interval } = row("questions", "acc,none");
    // The ends of Wilson's interval are where (p − value)² = z²·p·(1 − p)/n.
    for (const end of [interval?.lower, interval?.upper] as number[]) {
      expect((end - value) ** 2).toBeCloseTo((1.959963984540054 ** 2 * end * (1 - end)) / 40, 12);
    }
    expect(interval?.kind).toBe("Wilson");
    const f1 = row("numbers", "f1,strict");
    expect(f1.interval?.kind).toBe("normal");
    expect(f1.interval?.upper).toBeCloseTo(f1.value + 1.959963984540054 * 0.05, 12);
    expect(row("both", "acc,none").interval?.kind).toBe("normal");
    expect(row("texts", "bits_per_byte,none")).toMatchObject({ interval: null, higherIsBetter: false, chance: null });
  });

  it("knows the chance level of choices, in groups too", () => {
    expect(row("questions", "acc,none").chance).toBeCloseTo(1 / 3, 12);
    expect(row("names", "acc,none").chance).toBe(0.5);
    expect(row("both", "acc,none").chance).toBeCloseTo((40 / 3 + 10 / 2) / 50, 12);
    expect(row("numbers", "exact_match,strict").chance).toBeNull();
  });
});

it("names the settings that differ", () => {
  expect(settingsThatDiffer(run, madeRun(2))).toEqual([
    ["config.model", "model <1>", "model <2>"],
    ["versions of numbers", "1", "2"],
  ]);
});

it("is one page whose data no text can break out of", () => {
  const hostile = "</script><script>alert(1)</script><!--";
  const named = { ...run, samples: new Map([[hostile, run.samples.get("questions") ?? []]]) };
  const html = evaluationReport(
    { ...named, results: { ...run.results, model_name: hostile } },
    { against: madeRun(2) },
  );
  expect(html).not.toContain("<script>alert");
  expect(html).toContain("default-src 'none'");
  expect(html).not.toMatch(/(?:src|href)=/);
});
