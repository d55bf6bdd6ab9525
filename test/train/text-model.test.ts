import { describe, expect, it } from "vitest";
import type { Tokenizer } from "../../src/tokenizer/index.js";
import { checkFits } from "../../src/train/text-model.js";

const fits = (tokens: number, rows: number) => () =>
  checkFits({ vocabSize: tokens } as Tokenizer, { vocabSize: rows }, "in here");

describe("a tokenizer beside a model", () => {
  it.each([
    ["as many tokens", 300, 300],
    ["GPT-2's, padded to 64", 50_257, 50_304],
    ["Qwen 3's", 151_669, 151_936],
    ["few tokens, padded to 64", 300, 320],
  ])("fits with %s", (_, tokens, rows) => {
    expect(fits(tokens, rows)).not.toThrow();
  });

  it.each([
    ["more tokens than the model", 301, 300],
    ["far fewer", 300, 400],
    ["another published one's", 32_000, 50_257],
  ])("does not fit with %s", (_, tokens, rows) => {
    expect(fits(tokens, rows)).toThrow(`in here does not fit the model: it has ${tokens} tokens and the model ${rows}`);
  });
});
