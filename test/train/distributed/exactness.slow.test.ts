/** Ranks with B rows each equal one rank with all rows: every way to divide a step. */
import { describe, expect, it } from "vitest";
import { oneRank } from "../../../src/train/distributed/ranks.js";
import { ADAMW_DEFAULTS, MUON_DEFAULTS } from "../../../src/train/index.js";
import { relativeDifference } from "../../model/model-fixtures.js";
import { SLOW_BUILD } from "../../model/targets.js";
import { asRanks } from "./team.js";
import { ROWS, type Setting, trainOn } from "./training.js";

const muon = { ...MUON_DEFAULTS, adamw: ADAMW_DEFAULTS };
const floats = ({ buffer, byteOffset, byteLength }: Buffer) =>
  new Float32Array(buffer.slice(byteOffset, byteOffset + byteLength));

/** The gradient of the first step, as AdamW's first moment has it in every stage. */
const momentOf = async (setting: Setting, ranks = oneRank) =>
  floats((await trainOn(ranks, { ...setting, steps: 1 })).state);

const cases = [2, 3, 4].flatMap((size) =>
  ([0, 1, 2] as const).flatMap((zero) =>
    (["fp32", "bf16"] as const).flatMap((dtype) =>
      // Batches of each rank that divide the rows.
      [1, size === 4 ? 3 : 2].flatMap((accumulate) =>
        [false, true].map((lora) => ({ size, zero, dtype, accumulate, lora })),
      ),
    ),
  ),
);

describe("ranks, with packed rows and unequal masks", { timeout: SLOW_BUILD }, () => {
  it.each(cases)("$size ranks, stage $zero, $dtype, $accumulate batches each, LoRA $lora", async (each) => {
    const { size, zero, dtype, accumulate, lora } = each;
    const whole = { ...{ batch: ROWS, accumulate: 1 }, ...{ dtype, lora } };
    const batches = size * accumulate;
    const divided = { ...{ batch: ROWS / batches, accumulate: batches }, ...{ dtype, lora, zero } };
    const [expected, [found]] = [await momentOf(whole), await asRanks(size, (ranks) => momentOf(divided, ranks))];
    // bf16 rounds the operands of products, and the weights' gradients are products over other numbers of rows.
    expect(relativeDifference(found, expected)).toBeLessThan(dtype === "fp32" ? 1e-6 : 2e-2);
    const one = await trainOn(oneRank, whole);
    const results = await asRanks(size, (ranks) => trainOn(ranks, divided));
    for (const { losses, weights, norms } of results) {
      losses.forEach((loss, i) => {
        const difference = Math.abs((loss as number) - (one.losses[i] as number));
        expect(difference).toBeLessThan(dtype === "fp32" ? 1e-4 : 2e-2);
      });
      expect({ norms, losses }).toEqual({ norms: results[0].norms, losses: results[0].losses });
      expect(weights.equals(results[0].weights)).toBe(true);
    }
    const again = await asRanks(size, (ranks) => trainOn(ranks, divided));
    expect(again[0].weights.equals(results[0].weights)).toBe(true);
    expect(again[0].state.equals(results[0].state)).toBe(true);
  });

  it.each([0, 1, 2] as const)("have equal steps if one has fewer batches, and with Muon: stage %i", async (zero) => {
    const [one, results] = [
      await trainOn(oneRank, { batch: ROWS, accumulate: 1, optimizer: muon }),
      await asRanks(3, (ranks) => trainOn(ranks, { batch: ROWS / 4, accumulate: 4, optimizer: muon, zero })),
    ];
    for (const { losses } of results) {
      losses.forEach((loss, i) => {
        expect(Math.abs((loss as number) - (one.losses[i] as number))).toBeLessThan(1e-4);
      });
    }
  });
});
