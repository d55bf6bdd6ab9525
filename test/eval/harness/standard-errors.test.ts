/** @file Standard errors equal lm-eval's; bootstraps make the same draws. */
import { expect, test } from "vitest";
import { bootstrapValues, sampleDeviation } from "../../../src/eval/harness/bootstrap.js";
import {
  combinedError,
  groupValue,
  pooledError,
  standardError,
  unweightedError,
} from "../../../src/eval/harness/standard-errors.js";
import { near, units } from "./units.js";

interface ErrorCase {
  readonly name: string;
  readonly iterations: number;
  readonly items: unknown[];
  readonly value: number;
}

test.each(units<ErrorCase[]>("errors"))("$name, $iterations rounds", ({ name, iterations, items, value }) => {
  const ours = standardError(
    name,
    items.map((item) => (item === null ? Number.NaN : item)),
    { iterations },
  );
  expect(near(ours!, value), `${ours}, not ${value}`).toBe(true);
});

interface GroupCase {
  readonly errors: number[];
  readonly sizes: number[];
  readonly values: number[];
  readonly pooled: number;
  readonly unweighted: number;
  readonly combined: number;
  readonly weighted_mean: number;
  readonly plain_mean: number;
}

test.each(units<GroupCase[]>("groups"))("groups of $sizes", (c) => {
  expect(near(pooledError(c.errors, c.sizes), c.pooled)).toBe(true);
  expect(near(unweightedError(c.errors), c.unweighted)).toBe(true);
  expect(near(combinedError(c.errors, c.sizes, c.values), c.combined)).toBe(true);
  expect(near(groupValue(c.values, c.sizes, true), c.weighted_mean)).toBe(true);
  expect(near(groupValue(c.values, c.sizes, false), c.plain_mean)).toBe(true);
});

test("no error where lm-eval prints N/A", () => {
  expect(standardError("mean", [1])).toBeNull();
  expect(standardError("mean", [1, 2], { iterations: 0 })).toBeNull();
  expect(
    standardError("bits_per_byte", [
      [-1, 2],
      [-2, 3],
    ]),
  ).toBeNull();
  expect(
    standardError("brier_score", [
      [0, [1, 0]],
      [0, [1, 0]],
    ]),
  ).toBeNull();
});

test("metrics of generated text have at most 100 rounds", () => {
  const items = [
    ["a b c d e", "a b c d e"],
    ["x y z v w", "x y z v u"],
    ["k l m n o", "k l m o n"],
  ];
  expect(standardError("bleu", items, { metric: "bleu", iterations: 5000 })).toBe(
    standardError("bleu", items, { iterations: 100 }),
  );
});

test("the bootstrap of a mean comes near the analytic error", () => {
  const values = Float64Array.from({ length: 200 }, (_, i) => Math.sin(i * 12.9898) ** 2);
  const mean = (positions: Uint32Array) => positions.reduce((sum, i) => sum + values[i]!, 0) / positions.length;
  const rounds = bootstrapValues(mean, values.length, 3500);
  expect(rounds.length).toBe(3000);
  expect(sampleDeviation(rounds)).toBeCloseTo(standardError("mean", [...values])!, 2);
  expect(() => bootstrapValues(mean, 3, 1)).toThrow("two rounds");
});
