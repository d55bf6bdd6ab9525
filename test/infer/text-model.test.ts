import { describe, expect, it } from "vitest";
import { checkFits } from "../../src/infer/text-model.js";
import type { Tokenizer } from "../../src/tokenizer/index.js";

const special = (id: number) => ({ id, content: `<${id}>`, special: true });
/** Returns a check of a tokenizer with `tokens` tokens against a model with `rows` embedding rows. */
const fits =
  (tokens: number, rows: number, more: Partial<Tokenizer> = {}) =>
  () =>
    checkFits(
      { vocabSize: tokens, added: [], parts: {}, ...more } as unknown as Tokenizer,
      { vocabSize: rows },
      "in here",
    );

describe("a model's tokenizer", () => {
  it.each([
    ["as many tokens", 300, 300],
    ["GPT-2's, padded to 64", 50_257, 50_304],
    ["Qwen 3's", 151_669, 151_936],
    ["few tokens, padded to 64", 300, 320],
  ])("fits with %s", (_, tokens, rows) => {
    expect(fits(tokens, rows)).not.toThrow();
  });

  it("may have special tokens beyond the model's vocabulary, unless it writes them", () => {
    const added = [special(300), special(301)] as never;
    expect(fits(302, 300, { added })).not.toThrow();
    expect(fits(303, 300, { added })).toThrow("does not fit");
    expect(fits(302, 300, { added, endOfText: 301 })).toThrow("does not fit");
    expect(fits(302, 300, { added, parts: { before: [300] } as never })).toThrow("does not fit");
    expect(fits(302, 300, { added: [{ ...special(300), special: false }, special(301)] as never })).toThrow(
      "does not fit",
    );
  });

  it.each([
    ["more tokens than the model", 301, 300],
    ["far fewer", 300, 400],
    ["another published one's", 32_000, 50_257],
  ])("does not fit with %s", (_, tokens, rows) => {
    expect(fits(tokens, rows)).toThrow(
      `in here does not fit the model: it has ${tokens} tokens, but the model has ${rows}`,
    );
  });
});
