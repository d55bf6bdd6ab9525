/** Bits per byte by domain, several models on one text, and one model's nats under several tokenizers. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CommandContext } from "../../src/commands/command.js";
import command from "../../src/commands/perplexity.js";
import { comparePerplexity, perplexity } from "../../src/eval/index.js";
import { countsOf, dividedScores } from "../../src/eval/perplexity-comparison.js";
import { defineModel, initialValues, parametersOf, writeModel } from "../../src/model/index.js";
import { saveTokenizer, type Tokenizer, trainTokenizer } from "../../src/tokenizer/index.js";
import { SLOW_BUILD } from "../model/targets.js";

const TEXTS = ["aaab bbba ", "the cat   ", "sat on it.", "x y z 1 2 "];
let folder: string;
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "quern-comparison-"));
  mkdirSync(at("text/verse"), { recursive: true });
  writeFileSync(at("text/prose.txt"), TEXTS[0]);
  writeFileSync(at("text/verse/one.txt"), TEXTS[1]);
  writeFileSync(at("text/verse/two.txt"), TEXTS[2]);
  writeFileSync(at("other.txt"), TEXTS[3]);
  const rows = TEXTS.map((text, i) => JSON.stringify({ text, source: i % 2 === 0 ? "even" : "odd", year: 2000 + i }));
  writeFileSync(at("rows.jsonl"), rows.join("\n"));
  for (const [name, vocabSize, seed] of [
    ["a", 280, 1],
    ["b", 264, 2],
  ] as const) {
    const tokenizer = await trainTokenizer(["the cat sat on it. the cat sat on it. aaab bbba"], { vocabSize });
    const model = defineModel({ layers: 1, width: 16, heads: 2, vocabSize: tokenizer.vocabSize, sequence: 64 });
    const values = new Map(parametersOf(model).map((each) => [each.name, initialValues(each, seed)]));
    await writeModel(at(name), model, (key) => values.get(key)!, { endOfText: tokenizer.endOfText ?? null });
    await saveTokenizer(tokenizer, at(name));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("perplexity by domain", { timeout: SLOW_BUILD }, () => {
  it("takes the parts of a folder, or the file itself, as domains", async () => {
    const { domains, total } = await perplexity({ model: at("a"), files: [at("text"), at("other.txt")] });
    expect(domains.map(({ domain, documents, bytes }) => [domain, documents, bytes])).toEqual([
      [at("text/prose.txt"), 1, 10],
      [at("text/verse"), 2, 20],
      [at("other.txt"), 1, 10],
    ]);
    const sum = domains.reduce((bits, each) => bits + each.bits_per_byte * each.bytes, 0);
    expect(total.bits_per_byte).toBeCloseTo(sum / 40, 10);
    expect(domains[0].bits_per_byte_error).toBeNull();
  });

  it("gives the standard error over documents", async () => {
    const { domains, total } = await perplexity({ model: at("a"), files: [at("rows.jsonl")], by: "year" });
    expect(domains.map(({ domain }) => domain)).toEqual(["2000", "2001", "2002", "2003"]);
    // Of texts of equal length it is that of a mean.
    const mean = total.bits_per_byte;
    const squares = domains.reduce((all, each) => all + (each.bits_per_byte - mean) ** 2, 0);
    expect(squares).toBeGreaterThan(0);
    expect(total.bits_per_byte_error).toBeCloseTo(Math.sqrt(squares / 3 / 4), 10);
    const bySource = await perplexity({ model: at("a"), files: [at("rows.jsonl")], by: "source" });
    expect(bySource.domains.map(({ domain, documents }) => [domain, documents])).toEqual([
      ["even", 2],
      ["odd", 2],
    ]);
    await expect(perplexity({ model: at("a"), files: [at("rows.jsonl")], by: "topic" })).rejects.toThrow(
      /the document .*rows\.jsonl:0 has no "?topic"? that could name its domain/,
    );
  });
});

describe("one text", { timeout: SLOW_BUILD }, () => {
  it("has a perplexity for every tokenizer, and one number of bits per byte", async () => {
    const files = [at("text")];
    const result = await comparePerplexity({ model: at("a"), files, tokenizers: [at("b")], against: [at("b")] });
    const [own, other, words, bytes] = result.tokenizers;
    expect([own, other, words, bytes].map(({ kind }) => kind)).toEqual(["model", "tokenizer", "unit", "unit"]);
    expect(own.perplexity).toBeCloseTo(result.total.perplexity, 10);
    expect(bytes.tokens).toBe(30);
    expect(words.tokens).toBe(2 + 2 + 3);
    expect(other.tokens).toBeGreaterThan(own.tokens);
    expect(other.perplexity).toBeLessThan(own.perplexity);
    expect(bytes.perplexity).toBeCloseTo(2 ** own.bits_per_byte, 10);
    for (const row of result.tokenizers) expect(row.bits_per_byte).toBeCloseTo(result.total.bits_per_byte, 12);
    // The other model is scored, not only its tokenizer.
    const alone = await perplexity({ model: at("b"), files });
    expect(result.models[1].total).toEqual(alone.total);
    expect(result.models[0].total).toEqual(result.total);
  });

  it("is written as a page", async () => {
    const html = at("page.html");
    const given = { files: [at("text")], tokenizers: [at("b")], against: [at("b")], html };
    const lines: string[] = [];
    const context = { print: (line = "") => void lines.push(line), log: () => {}, onProgress: () => {} };
    const options = command.options.parse({ model: at("a"), ...given });
    await command.run(options, { ...context, signal: new AbortController().signal } as unknown as CommandContext);
    const text = lines.join("\n");
    expect(text).toMatch(/\n {2}\S+verse +\d+ +20 /);
    expect(text).toMatch(/\ntotal of \S+b +\d+ +30 /);
    expect(text).toMatch(/in tokens of +tokens .*\nthe model's own +\d+/);
    const page = readFileSync(html, "utf8");
    for (const part of [
      "Models",
      "Domains",
      "One model, several tokenizers",
      at("text/verse"),
      "predicts the text best",
    ]) {
      expect(page).toContain(part);
    }
    // One model has no table of models.
    await comparePerplexity({ model: at("a"), files: [at("text")], html, force: true });
    expect(readFileSync(html, "utf8")).not.toContain("<h2>Models</h2>");
    await expect(comparePerplexity({ model: at("a"), files: [at("text")], tokenizers: [at("none")] })).rejects.toThrow(
      /none/,
    );
  });
});

it("reproduces the example of docs/evaluation.md", async () => {
  const docs = readFileSync(new URL("../../docs/evaluation.md", import.meta.url), "utf8");
  const [, text, bytes, nats] = /An example: \*(.+?)\* has (\d+) bytes\. Let a model spend\s+(\d+) nats/.exec(docs)!;
  const rows = [...docs.matchAll(/^\| (bytes|words|BPE with (\d+) entries) \| (\d+) \| ([\d.]+) \| ([\d.]+) \|$/gm)];
  expect(rows).toHaveLength(5);
  const tokenizers = new Map<string, Tokenizer>();
  for (const [, name, entries] of rows) {
    if (entries !== undefined) tokenizers.set(name, await trainTokenizer([text], { vocabSize: Number(entries) }));
  }
  writeFileSync(at("example.txt"), text);
  const counts = await countsOf({ files: [at("example.txt")], textField: "text", strict: true }, tokenizers);
  const total = { ...(await exampleTotal(Number(nats), Number(bytes))) };
  expect(Buffer.byteLength(text)).toBe(Number(bytes));
  const scores = new Map(dividedScores(total, counts).map((score) => [score.tokenizer, score]));
  for (const [, name, , tokens, perplexityShown, bits] of rows) {
    const score = scores.get(name)!;
    expect([name, score.tokens]).toEqual([name, Number(tokens)]);
    expect(score.perplexity.toFixed(2)).toBe(perplexityShown);
    expect(score.bits_per_byte.toFixed(3)).toBe(`0${bits}`);
  }
});

/** The total of a model that spends so many nats, in tokens of one nat each. */
async function exampleTotal(nats: number, bytes: number) {
  const { total } = await perplexity({ model: at("a"), files: [at("other.txt")] });
  return { ...total, tokens: nats, nats_per_token: 1, bytes };
}
