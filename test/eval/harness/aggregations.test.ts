/** @file Aggregations equal lm-eval's, with scikit-learn's and sacreBLEU's numbers. */
import { describe, expect, test } from "vitest";
import { aggregate, isAggregation } from "../../../src/eval/harness/aggregations.js";
import { near, units } from "./units.js";

interface AggregationCase {
  readonly name: string;
  readonly items: unknown[];
  readonly value: number;
}

/** The fixture has null for NaN. */
function present(items: readonly unknown[]): unknown[] {
  return items.map((item) => (item === null ? Number.NaN : item));
}

describe("as in lm-eval", () => {
  const cases = units<AggregationCase[]>("aggregations");
  test.each([...new Set(cases.map(({ name }) => name))])("%s", (name) => {
    for (const { items, value } of cases.filter((c) => c.name === name)) {
      const ours = aggregate(name, present(items));
      expect(near(ours, value), `${ours} for ${JSON.stringify(items).slice(0, 300)}, not ${value}`).toBe(true);
    }
  });
});

test("bypass is 999, and truth values are numbers", () => {
  expect(aggregate("bypass", [null, null])).toBe(999);
  expect(aggregate("mean", [true, false, 1, 0.5])).toBe(0.625);
  expect(aggregate("f1", [[true, 1]])).toBe(1);
  expect(aggregate("nanmean", [Number.NaN])).toBeNaN();
});

test("wrong values", () => {
  expect(isAggregation("toString")).toBe(false);
  expect(() => aggregate("geometric", [1])).toThrow("geometric is unknown; known: mean");
  expect(() => aggregate("mean", [])).toThrow("no documents");
  expect(() => aggregate("mean", [1, "x"])).toThrow("document 1 has x");
  expect(() => aggregate("weighted_perplexity", [1])).toThrow("document 0 has none");
  expect(() =>
    aggregate("f1", [
      [0, 1],
      [2, 1],
    ]),
  ).toThrow("labels 0 and 1");
  expect(() => aggregate("f1", [[0, "1"]])).toThrow("labels 0 and 1");
  expect(() => aggregate("f1", [3])).toThrow("pairs");
  expect(() => aggregate("brier_score", [[3, [0.5, 0.5]]])).toThrow("no gold choice");
  expect(() =>
    aggregate("brier_score", [
      [0, [1]],
      [0, [0.5, 0.5]],
    ]),
  ).toThrow("document 1 has 2, not 1");
  expect(() => aggregate("bleu", [["a", 3]])).toThrow("document 0 has another form");
  expect(() => aggregate("acc_all", [[true, {}]])).toThrow("has no idx");
});
