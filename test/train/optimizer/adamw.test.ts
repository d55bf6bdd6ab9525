import { describe, expect, it } from "vitest";
import { parametersOf } from "../../../src/model/index.js";
import { compileTrainer, languageModelTrainer, step } from "../../../src/train/index.js";
import { momentNames } from "../../../src/train/optimizer/adamw.js";
import {
  batchOf,
  comparable,
  FIXTURES,
  loadFixture,
  relativeDifference,
  startFactor,
} from "../../model/model-fixtures.js";
import { pairsOf, SLOW_BUILD } from "../../model/targets.js";

describe.each(pairsOf(FIXTURES, 4, 2))("$fixture on $on", { timeout: SLOW_BUILD }, ({ fixture: name, target }) => {
  it("matches PyTorch after twenty clipped AdamW steps", async () => {
    const fixture = await loadFixture(name);
    const { batch, sequence } = batchOf(fixture, 0);
    const { optimizer } = fixture;
    const trainer = languageModelTrainer(fixture.config, { batch, sequence });
    const training = await compileTrainer(trainer, { optimizer, accumulate: 1, ...target.options });
    const { program } = training;
    const parameters = parametersOf(fixture.config).map((parameter) => parameter.name);
    for (const key of parameters) {
      program.write(
        key,
        fixture.floats(`parameter.${key}`).map((value) => value * startFactor(key)),
      );
    }
    for (let index = 0; index < 20; index++) {
      const { ids, targets } = batchOf(fixture, index);
      const learningRate = fixture.floats("learning_rates")[index];
      const schedule = { kind: "constant", learningRate, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
      const { loss, gradientNorm } = await step(training, [{ ids, targets }], { step: index, steps: 20, schedule });
      expect(loss).toBeCloseTo(fixture.floats("losses")[index], 3);
      const norm = fixture.floats("gradient_norms")[index];
      expect(norm).toBeGreaterThan(optimizer.clip);
      expect(Math.abs((gradientNorm as number) / norm - 1)).toBeLessThan(1e-4);
    }
    for (const key of parameters) {
      const [moment1, moment2] = momentNames(key);
      for (const [own, theirs] of [
        [key, `after.${key}`],
        [moment1, moment1],
        [moment2, moment2],
      ]) {
        const [got, want] = [await program.read(own), fixture.floats(theirs)];
        expect(relativeDifference(comparable(key, got), comparable(key, want)), own).toBeLessThan(1e-4);
      }
    }
    program.dispose();
  });
});
