/** @file Compares corpora read as blocks of bytes with the same documents as strings. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isBuilt } from "../../src/built-module.js";
import { readDocuments } from "../../src/documents/index.js";
import { IdBuffer, PADDING } from "../../src/tokenizer/encode/encoder.js";
import { byteBorder } from "../../src/tokenizer/encode/text-parts.js";
import {
  encodeCorpus,
  openShards,
  publishedTokenizer,
  trainTokenizer,
  writeShards,
} from "../../src/tokenizer/index.js";
import { countPretokens } from "../../src/tokenizer/learn/count-pretokens.js";
import type { PretokenCounts } from "../../src/tokenizer/learn/pretoken-counts.js";
import { fixture } from "./random-text.js";

const folder = mkdtempSync(join(tmpdir(), "quern-corpus-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const texts = JSON.parse(readFileSync(fixture("training.json"), "utf8"))[0].texts as string[];
const sample = `${texts.join("\r\n")} naïve “quotes” 猫が好き、とても。 🙂 don't\u00a0stop`;
const tokenizer = await trainTokenizer([...texts, sample], { vocabSize: 700 });
const corpus = join(folder, "corpus");
const threadsHere = isBuilt() ? [1, 2] : [1];

/** A text of at least `units` UTF-16 units that does not repeat. */
function long(units: number, salt: number): string {
  let text = "";
  for (let i = 0; text.length < units; i++) text += `${sample} ${(i * 7919 + salt) % 10_007}\n`;
  return text;
}

const jsonl = (documents: readonly string[]) => documents.map((text) => JSON.stringify({ text })).join("\r\n");

beforeAll(() => {
  mkdirSync(join(corpus, "sub"), { recursive: true });
  writeFileSync(join(corpus, "a.txt"), `\ufeff${long(3_500_000, 1)}`);
  // Cannot be cut: a run of letters followed by a run of digits.
  writeFileSync(join(corpus, "b.txt"), "猫".repeat(500_000) + "7".repeat(100));
  writeFileSync(join(corpus, "c.txt"), "");
  writeFileSync(join(corpus, "d.md"), " \u00a0\r\n");
  for (let i = 0; i < 60; i++) writeFileSync(join(corpus, "sub", `${i}.txt`), `${i} ${texts[i % texts.length]}`);
  const documents = Array.from({ length: 2500 }, (_, i) => `${i}\r\n${sample.slice(0, 900 + (i % 300))}`);
  documents.splice(1000, 0, long(2_500_000, 2), "", " ", "\ud800 alone");
  writeFileSync(join(corpus, "e.jsonl"), `\n\r\n${jsonl(documents)}`);
  writeFileSync(join(corpus, "f.jsonl"), "");
  writeFileSync(join(corpus, "g.jsonl"), `${jsonl(documents.slice(0, 40))}\n`);
});

async function textsOf(path: string): Promise<string[]> {
  const all: string[] = [];
  for await (const { text } of readDocuments([path])) all.push(text);
  return all;
}

function openedHeader(folder: string) {
  const shards = openShards(folder);
  shards.close();
  return shards.header;
}

function expectSame(mine: string, theirs: string): void {
  const shown = (at: string) =>
    readdirSync(at)
      .filter((name) => name !== ".quern.json")
      .sort();
  expect(shown(mine)).toEqual(shown(theirs));
  for (const name of shown(theirs)) {
    if (name === "shards.json") expect(openedHeader(mine)).toEqual(openedHeader(theirs));
    else expect(readFileSync(join(mine, name)).equals(readFileSync(join(theirs, name))), name).toBe(true);
  }
}

describe("a corpus in blocks", () => {
  it("becomes the same shards as its documents as strings, with any number of threads", async () => {
    const strings = join(folder, "strings");
    await writeShards(strings, { tokenizer, train: await textsOf(corpus), threads: 1, fileTokens: 400_000 });
    for (const threads of threadsHere) {
      const out = join(folder, `blocks-${threads}`);
      const { header, report } = await encodeCorpus([corpus], out, { tokenizer, threads, fileTokens: 400_000 });
      expect(header.train.files.length).toBeGreaterThan(3);
      expect(report.skipped).toEqual({ empty: 4 });
      expect(report.read).toMatchObject({ documents: header.train.documents });
      expectSame(out, strings);
    }
  });

  it("becomes the same shards if texts cannot be cut", async () => {
    const { parts } = tokenizer;
    const { Tokenizer } = await import("../../src/tokenizer/tokenizer.js");
    const { unicodeForm } = await import("../../src/tokenizer/encode/normalizers.js");
    const json = { ...parts.json, normalizer: { type: "NFC" } };
    const whole = new Tokenizer({ ...parts, json, normalizer: unicodeForm("NFC") });
    expect([tokenizer.divisible, whole.divisible]).toEqual([true, false]);
    const [mine, theirs] = [join(folder, "whole"), join(folder, "whole-strings")];
    const path = join(corpus, "a.txt");
    await writeShards(theirs, { tokenizer: whole, train: await textsOf(path), threads: 1 });
    await encodeCorpus([path], mine, { tokenizer: whole, threads: 1 });
    expectSame(mine, theirs);
  });

  it("is split by its texts, and resumes after an interruption to the same bytes", async () => {
    const options = { tokenizer, heldout: 0.2, fileTokens: 200_000 };
    const whole = join(folder, "split");
    const { header } = await encodeCorpus([corpus], whole, { ...options, threads: 1 });
    const all = (await textsOf(corpus)).length;
    expect(header.train.documents + header.heldout.documents).toBe(all);
    expect(Math.abs(header.heldout.documents - all / 5)).toBeLessThan(all / 20);
    for (const threads of threadsHere) {
      const out = join(folder, `resumed-${threads}`);
      for (const files of [1, 3, 4]) {
        const stop = new AbortController();
        const stopLater = () => {
          const partial = readdirSync(out, { recursive: true, encoding: "utf8" });
          if (partial.filter((name) => name.endsWith(".ends")).length >= files) stop.abort(new Error("stopped"));
        };
        const stopping = { ...options, threads, signal: stop.signal, onProgress: stopLater };
        await expect(encodeCorpus([corpus], out, stopping)).rejects.toThrow("stopped");
      }
      await encodeCorpus([corpus], out, { ...options, threads });
      expectSame(out, whole);
    }
  });

  it.each(threadsHere)(
    "skips damaged lines and files, and refuses the first of them if strict, with %i threads",
    async (threads) => {
      const options = { tokenizer, threads };
      const out = join(folder, `refused-${threads}`);
      const good = Array.from({ length: 3000 }, (_, i) => JSON.stringify({ text: `${i} ${sample.slice(0, 4000)}` }));
      const lines = [...good];
      lines[2200] = '{"txt":1}';
      lines[2900] = "{";
      const path = join(folder, "bad.jsonl");
      writeFileSync(path, lines.join("\n"));
      const { report: lenient } = await encodeCorpus([path], out, options);
      expect(lenient.skipped).toEqual({ no_text: 1, not_json: 1 });
      expect(lenient.skippedAt.no_text).toEqual([
        `${path}, line 2201: has no "text" that is a string; its keys are txt`,
      ]);
      expect(lenient.read).toEqual({ files: 1, documents: 2998, rows: 2998 });
      await expect(encodeCorpus([path], `${out}-strict`, { ...options, strict: true })).rejects.toMatchObject({
        exitCode: 1,
        message: `${path}, line 2201: has no "text" that is a string; its keys are txt (no_text); --strict stops at damaged input`,
      });

      const text = Buffer.from(long(9_000_000, 3));
      const at = text.length - 1_000_000;
      text[at] = 0xff;
      const broken = join(folder, `broken-${threads}`);
      mkdirSync(broken);
      const name = join(broken, "a.txt");
      writeFileSync(name, text);
      // The error names the first byte of the damaged character.
      const where = new RegExp(`a byte that is not UTF-8, at byte (${at}|${at - 1}|${at - 2}|${at - 3})`);
      await expect(encodeCorpus([name], `${out}-name`, options)).rejects.toThrow(where);
      writeFileSync(join(broken, "b.txt"), "good");
      const { header, report } = await encodeCorpus([broken], `${out}-broken`, options);
      expect(header.train.documents).toBe(1);
      expect(report.skipped).toEqual({ not_utf8: 1 });
      expect(report.skippedAt.not_utf8[0]).toMatch(where);
      await expect(encodeCorpus([join(corpus, "f.jsonl")], `${out}-empty`, options)).rejects.toThrow(
        /^no text in .*f\.jsonl/,
      );
    },
  );

  it("has the same pretoken counts as its documents as strings", async () => {
    const table = ({ size, bytes, starts, counts }: PretokenCounts) =>
      new Map(
        Array.from({ length: size }, (_, i) => [
          Buffer.from(bytes.slice(starts[i], starts[i + 1])).toString("hex"),
          counts[i],
        ]),
      );
    const strings = table(await countPretokens(await textsOf(corpus), { pattern: "o200k", threads: 1 }));
    for (const threads of threadsHere) {
      const reader = readDocuments([corpus]);
      const options = { pattern: "o200k", threads, workerThreshold: 1, maxDistinct: 300 };
      expect(table(await countPretokens(reader, options))).toEqual(strings);
      expect(reader.documents).toBe((await textsOf(corpus)).length);
    }
  });

  it("is cut only where the ids of the parts equal those of the whole", async () => {
    const cl100k = await publishedTokenizer("cl100k");
    const text = `${sample}${"\n \t x1 y2".repeat(50)} कखग ​ A\u0301 \u{1d400}. don't we'll`.repeat(3);
    const utf8 = Buffer.from(text);
    const bytes = new Uint8Array(utf8.length + PADDING);
    bytes.set(utf8);
    for (const each of [tokenizer, cl100k]) {
      const expected = [...each.encode(text)];
      for (const size of [16, 61, 700]) {
        const out = new IdBuffer();
        let pieces = 0;
        for (let start = 0; start < utf8.length; pieces++) {
          const aim = start + size;
          const end = aim < utf8.length ? byteBorder(bytes, start, aim, utf8.length) : utf8.length;
          each.encodeBytesTo(bytes, start, end, out);
          start = end;
        }
        expect(pieces).toBeGreaterThan(3);
        expect([...out.ids.subarray(0, out.length)]).toEqual(expected);
      }
    }
  });
});
