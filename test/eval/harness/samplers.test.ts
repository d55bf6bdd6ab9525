/** @file Few-shot examples in lm-eval's order. */
import { expect, test } from "vitest";
import { PythonFloat } from "../../../src/eval/harness/python-json.js";
import { createSampler, sameValue } from "../../../src/eval/harness/samplers.js";
import { units } from "./units.js";

interface SamplerCase {
  readonly seed: number;
  readonly pool: number;
  readonly count: number;
  readonly other_split: number[][];
  readonly same_split: number[][];
  readonly first: number[];
  readonly first_without: number[];
}

const documents = (n: number, of = n) => Array.from({ length: n }, (_, i) => ({ i: i % of }));
const numbers = (chosen: readonly { readonly i: number }[]) => chosen.map(({ i }) => i);

test.each(units<SamplerCase[]>("samplers"))("$count of $pool with seed $seed", (c) => {
  const pool = documents(c.pool);
  const other = createSampler("default", pool, { seed: c.seed });
  expect(c.other_split.map(() => numbers(other.sample(c.count)))).toEqual(c.other_split);
  const same = createSampler("default", pool, { seed: c.seed });
  expect(c.same_split.map((_, i) => numbers(same.sample(c.count, { i })))).toEqual(c.same_split);
  const first = createSampler("first_n", pool);
  expect(numbers(first.sample(c.count))).toEqual(c.first);
  expect(numbers(first.sample(c.count, { i: 1 }))).toEqual(c.first_without);
});

test("copies of the document are drawn again", () => {
  const sampler = createSampler("default", documents(12, 4), { seed: 3 });
  const expected = units<number[][]>("sampler_copies");
  expect(expected.map((_, i) => numbers(sampler.sample(6, { i })))).toEqual(expected);
});

test("indices choose the pool", () => {
  const sampler = createSampler("first_n", documents(5), { indices: [4, 0, 2] });
  expect(numbers(sampler.sample(2))).toEqual([4, 0]);
  expect(() => createSampler("first_n", documents(5), { indices: [5] })).toThrow("example 5 is beyond the 5");
});

test("wrong calls", () => {
  expect(() => createSampler("balanced", [])).toThrow("no few-shot sampler");
  expect(() => createSampler("default", documents(3)).sample(3, { i: 0 })).toThrow("has only 3");
  expect(() => createSampler("first_n", documents(3)).sample(4)).toThrow("4 few-shot examples");
  expect(createSampler("default", []).sample(0)).toEqual([]);
});

test("values are compared as in Python", () => {
  expect(sameValue({ a: [1, { b: null }], c: "x" }, { c: "x", a: [1, { b: null }] })).toBe(true);
  expect(sameValue({ a: 1 }, { a: true })).toBe(true);
  expect(sameValue({ a: 1 }, { a: new PythonFloat(1) })).toBe(true);
  expect(sameValue(new PythonFloat(0.5), new PythonFloat(0.25))).toBe(false);
  expect(sameValue({ a: "1" }, { a: 1 })).toBe(false);
  expect(sameValue([], {})).toBe(false);
  expect(sameValue({ a: 1 }, { a: 1, b: 2 })).toBe(false);
});
