import { describe, expect, it } from "vitest";
import { memoryOf } from "../../../src/backends/index.js";
import { defineModel } from "../../../src/model/index.js";
import { ADAMW_DEFAULTS, languageModelTrainer, traceTrainer } from "../../../src/train/index.js";
import { batchThatFits } from "../../../src/train/pretrain/batch-that-fits.js";

describe("the batch that fits", () => {
  const model = defineModel({ layers: 1, width: 32, heads: 2, vocabSize: 64, sequence: 16 });
  const memory = (batch: number) =>
    memoryOf(
      traceTrainer(languageModelTrainer(model, { batch, sequence: 16 }), { optimizer: ADAMW_DEFAULTS, accumulate: 1 })
        .entries,
    );

  it("is the largest whose plan fits", () => {
    const free = memory(5).total;
    expect(batchThatFits(16, { needed: memory(16).total, free }, memory)).toBe(5);
    expect(batchThatFits(16, { needed: memory(16).total, free: free - 1 }, memory)).toBe(4);
  });

  it("leaves room for scratch, and is 0 if not even one sequence fits", () => {
    const { total, state } = memory(16);
    const needed = state + 2 * (total - state);
    expect(batchThatFits(16, { needed, free: memory(6).total }, memory)).toBeLessThan(4);
    expect(batchThatFits(16, { needed, free: state }, memory)).toBe(0);
  });
});
