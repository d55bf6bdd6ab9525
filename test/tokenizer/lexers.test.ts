import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Lexer } from "../../src/tokenizer/encode/lexers.js";
import { type PatternName, patterns, publishedSplitter } from "../../src/tokenizer/encode/patterns.js";
import { regexLexer, regexMatcher } from "../../src/tokenizer/encode/regex-lexer.js";
import { splitAt } from "../../src/tokenizer/encode/split-steps.js";
import { classOf, LOWER, MARK, NUMBER, UPPER } from "../../src/tokenizer/encode/unicode-classes.js";
import { hardText, seed } from "./random-text.js";

function cut(lex: Lexer, text: string): string[] {
  const bytes = new TextEncoder().encode(text);
  const bounds = new Int32Array(bytes.length + 1);
  const count = lex(bytes, 0, bytes.length, bounds, 0);
  let from = 0;
  return Array.from(bounds.subarray(0, count), (to) => {
    const piece = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(from, to));
    from = to;
    return piece;
  });
}

describe("lexers", () => {
  for (const name of Object.keys(patterns) as PatternName[]) {
    it(`${name} cuts like its regular expression`, () => {
      const mine = publishedSplitter(name)!.lex;
      const oracle = regexLexer(patterns[name]);
      fc.assert(
        fc.property(hardText, (text) => {
          expect(cut(mine, text)).toEqual(cut(oracle, text));
        }),
        { seed, numRuns: 1500 },
      );
    });
  }

  it("handles edge cases of white space and case", () => {
    const cl100k = (text: string) => cut(publishedSplitter("cl100k")!.lex, text);
    expect(cl100k("a\u0085b")).toEqual(["a", "\u0085b"]);
    expect(cl100k("\ufeffa")).toEqual(["\ufeffa"]);
    expect(cl100k("x'ſ y")).toEqual(["x", "'ſ", " y"]);
    expect(cl100k("a \n  ")).toEqual(["a", " \n  "]);
    expect(cut(publishedSplitter("llama3")!.lex, "a \n  ")).toEqual(["a", " \n", "  "]);
    expect(cut(publishedSplitter("o200k")!.lex, "aBCd'S/x")).toEqual(["a", "BCd'S", "/x"]);
  });

  it("keeps or drops the text between the matches of a pattern", () => {
    expect(cut(regexLexer("[a-z]+"), "ab, cd")).toEqual(["ab", ", ", "cd"]);
    const bounds = new Int32Array(8);
    const count = splitAt(regexMatcher("[a-z]+"), "Removed", true)(new TextEncoder().encode("ab, cd"), 0, 6, bounds, 0);
    expect([...bounds.subarray(0, count)]).toEqual([2, ~4, 6]);
  });

  it("refuses an invalid regular expression", () => {
    expect(() => regexLexer("(a")).toThrow(/not a regular expression/);
  });

  it("stops a pattern that backtracks exponentially, and names it", () => {
    for (const [pattern, text] of [
      ["(?:a+)+$|b", "a".repeat(60)],
      ["(?:a|a)*c", "a".repeat(60)],
      ["(?:[a-z]+\\s?)+!", "abc ".repeat(40)],
      ["(?:((?:x*)y?)*)z", "x".repeat(60)],
      ["a*a*a*a*a*a*b", "a".repeat(3000)],
    ]) {
      const lost = regexMatcher(pattern, 100);
      expect(() => lost(`${text}?`), pattern).toThrow(/backtracks exponentially/);
      expect(() => lost(`${text}?`)).toThrow(JSON.stringify(pattern).slice(1, -1).replaceAll("\\\\", "\\"));
    }
    expect(regexMatcher("(?:a+)+$", 5000)("aaa")).toEqual([0, 3]);
  });
});

describe("Unicode classes", () => {
  it("agree with the engine's classes for characters that both know", () => {
    const isKnown = (point: number) => point < 0x30000 && point !== 0x295;
    for (const [kind, regex] of [
      [NUMBER, /\p{N}/u],
      [UPPER, /[\p{Lu}\p{Lt}]/u],
      [LOWER, /\p{Ll}/u],
      [MARK, /\p{M}/u],
    ] as const) {
      let missing = 0;
      for (let point = 0; point < 0x110000; point++) {
        if (!isKnown(point) || (point >= 0xd800 && point <= 0xdfff)) continue;
        const engine = regex.test(String.fromCodePoint(point));
        if (classOf(point) === kind && !engine) expect(point.toString(16)).toBe(`in ${regex}`);
        if (engine && classOf(point) !== kind) missing++;
      }
      // An engine with a later Unicode version knows more characters.
      expect(missing).toBeLessThan(120);
    }
  });
});
