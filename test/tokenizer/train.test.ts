import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isBuilt } from "../../src/built-module.js";
import { QuernError } from "../../src/errors.js";
import { byteToUnit, toByteLevel } from "../../src/tokenizer/encode/byte-level.js";
import { tokenizerToJson, trainTokenizer } from "../../src/tokenizer/index.js";
import { countPretokens } from "../../src/tokenizer/learn/count-pretokens.js";
import { type LearnOptions, learnMerges } from "../../src/tokenizer/learn/learn-merges.js";
import { MergedText } from "../../src/tokenizer/learn/merged-text.js";
import type { PretokenCounts } from "../../src/tokenizer/learn/pretoken-counts.js";
import { TokenTable } from "../../src/tokenizer/token-table.js";
import { fixture } from "./random-text.js";

interface Corpus {
  readonly name: string;
  readonly texts: string[];
  readonly pattern: string;
  readonly vocabSize: number;
  readonly minFrequency: number;
  readonly merges: string[];
}
const corpora = JSON.parse(readFileSync(fixture("training.json"), "utf8")) as Corpus[];
const special = ["<|endoftext|>", "<pad>"];

function mergesOf(json: string): string[] {
  return (JSON.parse(json).model.merges as [string, string][]).map((pair) => pair.join(" "));
}

/** Learns merges from counted pretokens, formatted as in the fixture. */
async function learn(counts: PretokenCounts, options: Omit<LearnOptions, "tie">): Promise<string[]> {
  const tokens = new TokenTable();
  const byteIds = new Int32Array(256);
  const bytes = Array.from({ length: 256 }, (_, byte) => byte).sort((a, b) => byteToUnit[a] - byteToUnit[b]);
  bytes.forEach((byte, index) => {
    byteIds[byte] = index + 2;
    tokens.add(index + 2, Uint8Array.of(byte), 0, 1, true);
  });
  const { left, right } = await learnMerges(counts, tokens, byteIds, { tie: "id", ...options });
  return left.map((id, i) => [id, right[i]].map((each) => toByteLevel(tokens.get(each))).join(" "));
}

describe("training", () => {
  it.each(corpora.map((corpus) => [corpus.name, corpus] as const))(
    "learns the Rust trainer's merges: %s",
    async (_, corpus) => {
      const tokenizer = await trainTokenizer(corpus.texts, { ...corpus, special });
      expect(mergesOf(tokenizerToJson(tokenizer))).toEqual(corpus.merges);
      expect(tokenizer.vocabSize).toBe(258 + corpus.merges.length);
      expect([...tokenizer.special]).toEqual([
        ["<|endoftext|>", 0],
        ["<pad>", 1],
      ]);
      for (const text of corpus.texts) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    },
  );

  it("breaks ties by bytes as a textbook trainer does", async () => {
    const { texts } = corpora[0];
    const tokenizer = await trainTokenizer([texts[0]], { vocabSize: 420, pattern: "gpt2", tie: "bytes", special: [] });
    expect(mergesOf(tokenizerToJson(tokenizer))).toEqual(plainMerges(texts[0], 420 - 256));
  });

  it.skipIf(!isBuilt())("learns the same merges with any number of threads and any order of documents", async () => {
    const texts = Array.from({ length: 30 }, (_, i) => corpora.flatMap((corpus) => corpus.texts).join(`\n${i} `));
    const one = tokenizerToJson(await trainTokenizer(texts, { vocabSize: 1000, threads: 1 }));
    for (const threads of [2, 3]) {
      expect(tokenizerToJson(await trainTokenizer(texts.toReversed(), { vocabSize: 1000, threads })) === one).toBe(
        true,
      );
    }
    expect(tokenizerToJson(await trainTokenizer([texts.join(" x")], { vocabSize: 1000, threads: 2 }))).not.toBe("");
  });

  it.skipIf(!isBuilt())("counts the same pretokens when workers hand over their counts early", async () => {
    const texts = Array.from({ length: 3 }, (_, part) =>
      Array.from({ length: 100_000 }, (_, i) =>
        `${(i * 7 + part * 1000) % 30_011}`.replaceAll(
          /\d/g,
          (digit) => "abcdefghij"[+digit] + String.fromCharCode(97 + (i % 26)),
        ),
      ),
    ).map((words) => words.join(" "));
    const one = await countPretokens(texts, { pattern: "o200k", threads: 1 });
    const two = await countPretokens(texts, { pattern: "o200k", threads: 2, maxDistinct: 1000, workerThreshold: 1 });
    expect(one.size).toBeGreaterThan(100_000);
    expect(two.size).toBe(one.size);
    const sum = (counts: Float64Array) => counts.reduce((a, b) => a + b, 0);
    expect(sum(two.counts)).toBe(sum(one.counts));
    expect(two.bytes.length).toBe(one.bytes.length);
  });

  it("learns the same merges when few occurrences are listed per pass", async () => {
    const { texts, merges, vocabSize, minFrequency } = corpora[0];
    for (const occurrencesPerPass of [1, 3000, 20_000]) {
      const words = await countPretokens(texts, { pattern: "o200k", threads: 1 });
      expect(await learn(words, { vocabSize, minFrequency, occurrencesPerPass })).toEqual(merges);
    }
  });

  it("learns the same merges when rare pairs are added late", async () => {
    for (const { texts, merges, pattern, ...options } of corpora) {
      for (const floor of [2, 7, 60, 1e9]) {
        const words = await countPretokens(texts, { pattern, threads: 1 });
        expect(await learn(words, { ...options, floor, occurrencesPerPass: 3000 })).toEqual(merges);
      }
    }
  });

  it("counts the same pairs in many passes as in one", async () => {
    const { texts, pattern } = corpora[0];
    const words = await countPretokens(texts, { pattern, threads: 1 });
    const bytes = Int32Array.from({ length: 256 }, (_, byte) => byte);
    const text = new MergedText(words, bytes, new Uint32Array(256).fill(1), 1000);
    const found = (passes: number) => {
      const { keys, counts } = text.count(3, passes);
      return Array.from(counts, (count, i) => [keys[i * 2], keys[i * 2 + 1], count]).sort(
        ([a, b], [c, d]) => a - c || b - d,
      );
    };
    expect(found(7)).toEqual(found(1));
    expect(found(7).length).toBeGreaterThan(300);
  });

  it("learns the same merges when pairs are counted in many passes", async () => {
    for (const { texts, merges, pattern, ...options } of corpora) {
      const words = await countPretokens(texts, { pattern, threads: 1 });
      expect(await learn(words, { ...options, floor: 60, pairsPerPass: 1000 })).toEqual(merges);
    }
  });

  it("counts pretokens whose border cannot store their count", async () => {
    const word = (text: string, count: number) => ({ bytes: new TextEncoder().encode(text), count });
    const words = [word("ab", 2 ** 31), word("ba", 2 ** 30), word("bb", 5), word("ca".repeat(150), 2 ** 30 - 1)];
    const pretokens = {
      size: words.length,
      bytes: Uint8Array.from(words.flatMap(({ bytes }) => [...bytes])),
      starts: Float64Array.from([0, 2, 4, 6, 306]),
      counts: Float64Array.from(words, ({ count }) => count),
    };
    const ids = Int32Array.from({ length: 256 }, (_, byte) => byte);
    const text = new MergedText(pretokens, ids, new Uint32Array(258).fill(1), 1000);
    const { keys, counts } = text.count(1, 1);
    const byPair = Object.fromEntries(
      Array.from(counts, (count, i) => [String.fromCharCode(keys[i * 2], keys[i * 2 + 1]), count]),
    );
    expect(byPair).toEqual({ ab: 2 ** 31, ba: 2 ** 30, bb: 5, ca: 150 * (2 ** 30 - 1), ac: 149 * (2 ** 30 - 1) });
    const pair = (name: string) =>
      counts.findIndex((_, i) => String.fromCharCode(keys[i * 2], keys[i * 2 + 1]) === name);
    text.merge(pair("ca"), 99, 97, 256);
    const { size, ids: neighbours, counts: neighbourCounts } = text.neighbours;
    // When the first of two adjacent pairs merges, its right neighbour is still the old token (99).
    expect(Array.from(neighbours.subarray(0, size))).toEqual([~99, 256]);
    expect(Array.from(neighbourCounts.subarray(0, size))).toEqual([149 * (2 ** 30 - 1), 149 * (2 ** 30 - 1)]);
  });

  it("refuses pretokens that exceed WebAssembly's 4 GB, with a readable error", async () => {
    const counts: PretokenCounts = {
      size: 1,
      // A length beyond the limit is enough; the bytes are never read.
      bytes: new Uint8Array(0),
      starts: Float64Array.of(0, 2 ** 30),
      counts: Float64Array.of(1),
    };
    await expect(learn(counts, { vocabSize: 300, minFrequency: 0 })).rejects.toThrow(
      new QuernError("the text has too many distinct pretokens: they do not fit into 4 GB of memory"),
    );
  });

  it("stops when the text has no more pairs", async () => {
    const tokenizer = await trainTokenizer(["ab ab"], { vocabSize: 5000, pattern: "gpt2" });
    expect(mergesOf(tokenizerToJson(tokenizer))).toEqual(["a b", "Ġ ab"]);
  });

  it("gives a merge with the text of a special token that token's id", async () => {
    const tokenizer = await trainTokenizer(["abc abc abc"], { vocabSize: 262, pattern: "gpt2", special: ["abc"] });
    expect(tokenizer.special.get("abc")).toBe(0);
    expect(tokenizer.decode(tokenizer.encode("abc xabc"))).toBe("abc xabc");
  });

  it("refuses invalid options and empty text", async () => {
    await expect(trainTokenizer(["a"], { vocabSize: 256 })).rejects.toThrow(/too small.*at least 257/);
    await expect(trainTokenizer(["a"], { vocabSize: 300.5 })).rejects.toThrow(/too small/);
    await expect(trainTokenizer(["a"], { vocabSize: 2 ** 30 })).rejects.toThrow(/too large/);
    await expect(trainTokenizer([], { vocabSize: 300 })).rejects.toThrow(/no text/);
    await expect(trainTokenizer(["", ""], { vocabSize: 300 })).rejects.toThrow(/all documents are empty/);
    await expect(trainTokenizer(["a"], { vocabSize: 300, pattern: "(" })).rejects.toThrow(/not a regular expression/);
    await expect(trainTokenizer(["a"], { vocabSize: 300, special: ["<a>", "<a>"] })).rejects.toThrow(/given twice/);
    await expect(trainTokenizer(["a"], { vocabSize: 300, special: [""] })).rejects.toThrow(/empty/);
    const stopped = AbortSignal.abort(new Error("stopped"));
    await expect(trainTokenizer(["a"], { vocabSize: 300, signal: stopped })).rejects.toThrow("stopped");
  });

  const text =
    process.env.QUERN_SHARED === undefined ? "" : `${process.env.QUERN_SHARED}/data/text/tinyshakespeare.txt`;
  it.skipIf(!existsSync(text))("reports progress on a larger text (needs QUERN_SHARED)", async () => {
    const tasks = new Set<string>();
    await trainTokenizer([readFileSync(text, "utf8")], { vocabSize: 2000, onProgress: ({ task }) => tasks.add(task) });
    expect([...tasks]).toEqual(["count pretokens", "learn merges"]);
  });
});

/** Textbook byte-pair encoding: recounts all pairs for each merge. Ties go to the greatest byte strings. */
function plainMerges(text: string, count: number): string[] {
  const pretokens = text.match(/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu) ?? [];
  // The corpus is ASCII, so a character is a byte and code units sort like bytes.
  const words = pretokens.map((pretoken) => [...pretoken]);
  const merges: string[] = [];
  for (let n = 0; n < count; n++) {
    const pairs = new Map<string, number>();
    for (const word of words) {
      for (let i = 1; i < word.length; i++) {
        const pair = `${word[i - 1]}\u0000${word[i]}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
      }
    }
    let best = "";
    for (const [pair, frequency] of pairs) {
      if (best === "" || frequency > pairs.get(best)! || (frequency === pairs.get(best) && greater(pair, best)))
        best = pair;
    }
    const [left, right] = best.split("\u0000");
    merges.push([left, right].map((token) => token.replaceAll(" ", "Ġ").replaceAll("\n", "Ċ")).join(" "));
    for (const word of words) {
      for (let i = 1; i < word.length; i++)
        if (word[i - 1] === left && word[i] === right) word.splice(i - 1, 2, left + right);
    }
  }
  return merges;
}

function greater(a: string, b: string): boolean {
  const [a0, a1] = a.split("\u0000");
  const [b0, b1] = b.split("\u0000");
  return a0 !== b0 ? a0 > b0 : a1 > b1;
}
