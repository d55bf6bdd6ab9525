/** A text's log-probabilities are the same bits whatever was cached before, for weights of every type. */
import { describe, expect, it } from "vitest";
import { createDecoder, type Decoder, typedWeights, WEIGHT_TYPES } from "../../src/infer/index.js";
import { defineModel, initialValues, parametersOf, type StoredModel } from "../../src/model/index.js";
import { SLOW_BUILD } from "../model/targets.js";

const config = defineModel({ layers: 2, width: 256, heads: 4, hidden: 256, vocabSize: 290, sequence: 128 });
const values = new Map(parametersOf(config).map((each) => [each.name, initialValues(each, 3).map((x) => x * 2)]));
const model: StoredModel = {
  ...{ path: "runs/first", config, endOfText: [], warnings: [], close: async () => {} },
  readParameter: async (name) => values.get(name) as Float32Array,
};
const text = Array.from({ length: 80 }, (_, i) => (i * i * 7 + 3 * i) % 290);

async function ask(decoder: Decoder, prompt: readonly number[], cached: number[] = []) {
  const [{ tokens }] = await decoder.generate(
    { prompt, tokens: 5, temperature: 1, topK: 0, endOfText: [], seed: 1 },
    { onStart: ({ cachedTokens }) => void cached.push(cachedTokens) },
  );
  return tokens;
}

async function compareBits(cold: Decoder, warm: Decoder): Promise<void> {
  const cached: number[] = [];
  for (const length of [38, 36, 70, 41, 66, 65, 34, 80]) {
    const prompt = text.slice(0, length);
    cold.reset();
    const expected = await ask(cold, prompt);
    expect(await ask(warm, prompt, cached), `${length} tokens`).toEqual(expected);
    const turn = [...prompt, ...expected.map(({ id }) => id), 5, 6, 7];
    cold.reset();
    expect(await ask(warm, turn, cached), `a second turn after ${length} tokens`).toEqual(await ask(cold, turn));
  }
  expect(cached.reduce((sum, count) => sum + count)).toBeGreaterThan(500);
  cold.dispose();
  warm.dispose();
}

describe("the bits of a text", { timeout: SLOW_BUILD }, () => {
  it.each(WEIGHT_TYPES.filter((type) => type !== "stored" && type !== "f32"))("with weights in %s", async (weights) => {
    const { types, source } = typedWeights(model, weights);
    await compareBits(
      createDecoder(config, source, { types, slots: 1 }),
      createDecoder(config, source, { types, slots: 3, keepAnswers: true }),
    );
  });

  it("with products in bf16", async () => {
    const { readParameter } = model;
    await compareBits(
      createDecoder(config, readParameter, { dtype: "bf16", slots: 1 }),
      createDecoder(config, readParameter, { dtype: "bf16", slots: 3, keepAnswers: true }),
    );
  });
});
