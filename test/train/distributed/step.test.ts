import { describe, expect, it } from "vitest";
import { initialise, parametersOf } from "../../../src/model/index.js";
import { oneRank } from "../../../src/train/distributed/ranks.js";
import {
  ADAMW_DEFAULTS,
  compileTrainer,
  languageModelTrainer,
  step,
  type TrainingProgram,
} from "../../../src/train/index.js";
import { relativeDifference } from "../../model/model-fixtures.js";
import { SLOW_BUILD } from "../../model/targets.js";
import { asRanks } from "./team.js";
import { model, ROWS, SEQUENCE, schedule, trainOn } from "./training.js";

describe("a step of several ranks", { timeout: SLOW_BUILD }, () => {
  it.each([
    { size: 2, accumulate: 1, dtype: "fp32" },
    { size: 3, accumulate: 1, dtype: "fp32" },
    // 4 batches for 3 ranks: the first takes two of them.
    { size: 3, accumulate: 4 / 3, dtype: "fp32" },
    { size: 2, accumulate: 3, dtype: "fp32" },
    { size: 4, accumulate: 1, dtype: "bf16" },
  ] as const)("equals that of one rank with all rows: $size ranks, $accumulate batches each, $dtype", async (each) => {
    const { size, dtype } = each;
    const batches = Math.round(size * each.accumulate);
    const whole = await trainOn(oneRank, { batch: ROWS, accumulate: 1, dtype });
    const results = await asRanks(size, (ranks) =>
      trainOn(ranks, { batch: ROWS / batches, accumulate: batches, dtype }),
    );
    for (const { gradient, losses, weights, norms } of results) {
      expect(relativeDifference(gradient, whole.gradient)).toBeLessThan(dtype === "fp32" ? 1e-6 : 1e-2);
      expect(losses[0]).toBeCloseTo(whole.losses[0] as number, 5);
      if (dtype === "fp32") {
        losses.forEach((loss, i) => {
          expect(Math.abs((loss as number) - (whole.losses[i] as number))).toBeLessThan(1e-4);
        });
      }
      expect({ norms, losses }).toEqual({ norms: results[0].norms, losses: results[0].losses });
      expect(weights.equals(results[0].weights)).toBe(true);
    }
    expect(whole.losses.at(-1)).toBeLessThan(0.8 * (whole.losses[0] as number));
  });

  it("has the same bits twice", async () => {
    const [first, second] = [1, 2].map(() => asRanks(2, (ranks) => trainOn(ranks, { batch: 6, accumulate: 2 })));
    expect((await first)[0].weights.equals((await second)[0].weights)).toBe(true);
  });

  it("is skipped by all if no rank counts a target, and not if one does", async () => {
    const results = await asRanks(2, async (ranks) => {
      const training: TrainingProgram = await compileTrainer(
        languageModelTrainer(model, { batch: 1, sequence: SEQUENCE, packed: true }),
        { optimizer: ADAMW_DEFAULTS, accumulate: 2, ranks, cpu: { threads: 1 } },
      );
      for (const parameter of parametersOf(model)) {
        training.program.write(parameter.name, (values) => initialise(parameter, 1, values));
      }
      const [ids, segments] = [new Int32Array(SEQUENCE), new Int32Array(SEQUENCE)];
      const stepWith = (target: number) =>
        step(training, [{ ids, segments, targets: new Int32Array(SEQUENCE).fill(target) }], {
          step: 0,
          steps: 2,
          schedule,
        });
      const skipped = await stepWith(-100);
      const taken = await stepWith(ranks.rank === 1 ? 3 : -100);
      training.program.dispose();
      return [skipped.loss, taken.loss, taken.counts.token];
    });
    expect(results[0][0]).toBeNull();
    expect(results[0][1]).toBeGreaterThan(0);
    expect(results[0][2]).toBe(SEQUENCE);
    expect(results[1]).toEqual(results[0]);
  });
});
