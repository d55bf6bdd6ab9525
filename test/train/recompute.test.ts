import { describe, expect, it } from "vitest";
import { defineModel, initialValues, parametersOf } from "../../src/model/index.js";
import { ADAMW_DEFAULTS, compileTrainer, languageModelTrainer, step } from "../../src/train/index.js";
import { SLOW_BUILD } from "../model/targets.js";

const shape = { batch: 2, sequence: 32 };
const schedule = { kind: "constant", learningRate: 0.01, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
const ids = Int32Array.from({ length: 64 }, (_, i) => (i * 17) % 50);
const targets = Int32Array.from({ length: 64 }, (_, i) => (i * 17 + 5) % 50);

describe("recomputation", { timeout: SLOW_BUILD }, () => {
  it.each(["gpt2", "qwen3"] as const)("of %s gives the same loss and gradients with less memory", async (family) => {
    const model = defineModel({ family, layers: 6, width: 32, heads: 2, vocabSize: 50, sequence: 32 });
    const run = async (recompute: boolean) => {
      const trainer = languageModelTrainer(model, { ...shape, recompute });
      const training = await compileTrainer(trainer, { optimizer: ADAMW_DEFAULTS, accumulate: 1 });
      const { program } = training;
      for (const parameter of parametersOf(model)) program.write(parameter.name, initialValues(parameter, 1));
      const { loss } = await step(training, [{ ids, targets }], { step: 0, steps: 1, schedule });
      const names = parametersOf(model).map(({ name }) => name);
      const gradients = await Promise.all(names.map((name) => program.read(`gradient.${name}`)));
      const weights = await Promise.all(names.map((name) => program.read(name)));
      const bytes = program.plan.arenaBytes - program.plan.stateBytes;
      program.dispose();
      return { loss, gradients, weights, bytes };
    };
    const [kept, again] = [await run(false), await run(true)];
    expect(again.loss).toBe(kept.loss);
    again.gradients.forEach((gradient, i) => {
      const difference = Math.hypot(...gradient.map((g, j) => g - kept.gradients[i][j]));
      expect(difference / Math.hypot(...kept.gradients[i])).toBeLessThan(1e-5);
    });
    expect(again.bytes).toBeLessThan(0.75 * kept.bytes);
  });
});
