import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import fc from "fast-check";
import { Tiktoken } from "tiktoken/lite";
import { beforeAll, describe, expect, it } from "vitest";
import { type PublishedName, publishedTokenizer, type Tokenizer } from "../../src/tokenizer/index.js";
import { computedHash, tokenizerHash } from "../../src/tokenizer/tokenizer-hash.js";
import { anyText, hardText, seed, wellFormed } from "./random-text.js";

const require = createRequire(import.meta.url);

/** The patterns of tiktoken 0.14; the npm package has older ones. */
const PATTERNS: Readonly<Record<PublishedName, string>> = {
  gpt2: "'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s++$|\\s+(?!\\S)|\\s",
  cl100k:
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$|\\s*[\\r\\n]|\\s+(?!\\S)|\\s",
  o200k: [
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ].join("|"),
};

describe.each(["gpt2", "cl100k", "o200k"] as const)("%s", (name) => {
  let tokenizer: Tokenizer;
  let oracle: Tiktoken;
  beforeAll(async () => {
    tokenizer = await publishedTokenizer(name);
    const file = require.resolve(`tiktoken/encoders/${name === "gpt2" ? "gpt2" : `${name}_base`}.json`);
    const { bpe_ranks, special_tokens } = JSON.parse(readFileSync(file, "utf8"));
    oracle = new Tiktoken(bpe_ranks, special_tokens, PATTERNS[name]);
  });

  it("has a stored hash that equals the computed one", () => {
    expect(tokenizerHash(tokenizer)).toBe(computedHash(tokenizer.parts));
  });

  it("returns tiktoken's ids", () => {
    fc.assert(
      fc.property(hardText, (text) => {
        expect([...tokenizer.encode(text)]).toEqual([...oracle.encode_ordinary(text)]);
      }),
      { seed, numRuns: 1200 },
    );
  });

  it("returns tiktoken's ids with special tokens allowed", () => {
    const text = "a<|endoftext|> b<|endoftext|><|endofprompt|>\n";
    expect([...tokenizer.encode(text, { special: "allow" })]).toEqual([...oracle.encode(text, "all", [])]);
    const only = new Set(["<|endoftext|>"]);
    expect([...tokenizer.encode(text, { special: only })]).toEqual([...oracle.encode(text, [...only], [])]);
    expect(() => tokenizer.encode(text, { special: "error" })).toThrow(/<\|endoftext\|> at character 1/);
  });

  it("decodes to the original text, except for lone surrogates", () => {
    fc.assert(
      fc.property(fc.oneof(hardText, anyText), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(wellFormed(text));
      }),
      { seed, numRuns: 500 },
    );
  });

  it("encodes a megabyte of one letter in linear time", { timeout: 120_000 }, () => {
    const start = performance.now();
    const ids = tokenizer.encode("a".repeat(1_000_000));
    // A generous limit for shared machines; quadratic time would be hours.
    expect(performance.now() - start).toBeLessThan(60_000);
    expect(tokenizer.decode(ids)).toBe("a".repeat(1_000_000));
  });

  it("merges long pretokens correctly", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(..."abcdehilnorstу日"), minLength: 60, maxLength: 200 }),
        (word) => {
          expect([...tokenizer.encode(word)]).toEqual([...oracle.encode_ordinary(word)]);
        },
      ),
      { seed, numRuns: 300 },
    );
  });

  it("lists merges with which tokenizer.json returns the same ids", async () => {
    if (name !== "gpt2") return;
    const { tokenizerFromJson, tokenizerHash, tokenizerToJson } = await import("../../src/tokenizer/index.js");
    const json = JSON.parse(tokenizerToJson(tokenizer));
    const again = await tokenizerFromJson(json);
    // The hash does not depend on the file format, but on the order of the merges.
    expect(tokenizerHash(again)).toBe(tokenizerHash(tokenizer));
    const { merges } = json.model;
    [merges[1000], merges[1001]] = [merges[1001], merges[1000]];
    expect(tokenizerHash(await tokenizerFromJson(json))).not.toBe(tokenizerHash(tokenizer));
    fc.assert(
      fc.property(hardText, (text) => {
        expect(again.encode(text)).toEqual(tokenizer.encode(text));
      }),
      { seed, numRuns: 300 },
    );
  });
});
