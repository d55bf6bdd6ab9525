import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import {
  drawBinomial,
  drawMultinomial,
  factorCholesky,
  invertCholesky,
  logDeterminant,
  logFactorial,
  normalCdf,
  normalQuantile,
  quantile,
  sandwich,
  solveCholesky,
  uniformNumbers,
} from "../../../src/eval/statistics/index.js";

// test/oracle/arena_rankings.py
const oracle = JSON.parse(readFileSync(new URL("../../oracle/fixtures/arena.json", import.meta.url), "utf8"));

it("normal quantiles and probabilities equal SciPy's", () => {
  for (const [p, z] of oracle.normal_quantile) {
    expect(normalQuantile(p)).toBeCloseTo(z, 11);
    expect(normalQuantile(1 - p)).toBeCloseTo(-z, 9);
  }
  for (const [x, p] of oracle.normal_cdf) expect(normalCdf(x)).toBeCloseTo(p, 14);
});

it("quantiles interpolate linearly", () => {
  expect(quantile([1, 2, 4, 8], 0.5)).toBe(3);
  expect(quantile([1, 2, 4, 8], 0.1)).toBeCloseTo(1.3, 12);
  expect(quantile([1, 2, 4, 8], 1)).toBe(8);
  expect(quantile([5], 0.3)).toBe(5);
});

it("Cholesky solves, inverts and gives the determinant", () => {
  const A = Float64Array.from([4, 2, 0.6, 2, 5, 1, 0.6, 1, 3]);
  const factor = A.slice();
  expect(factorCholesky(factor, 3)).toBe(true);
  const x = Float64Array.from([1, -2, 3]);
  solveCholesky(factor, 3, x);
  const row = (i: number) => A[3 * i] * x[0] + A[3 * i + 1] * x[1] + A[3 * i + 2] * x[2];
  [1, -2, 3].forEach((value, i) => void expect(row(i)).toBeCloseTo(value, 12));
  const inverse = invertCholesky(factor, 3);
  sandwich(inverse, A, 3).forEach((value, i) => void expect(value).toBeCloseTo(inverse[i], 12));
  expect(logDeterminant(factor, 3)).toBeCloseTo(Math.log(4 * 14 - 2 * 5.4 + 0.6 * -1), 12);
  expect(factorCholesky(Float64Array.from([1, 0, 1, 1]), 2)).toBe(false);
});

it("log factorials meet where the series begins", () => {
  let sum = 0;
  for (let k = 1; k <= 60; k++) {
    sum += Math.log(k);
    expect(logFactorial(k)).toBeCloseTo(sum, 10);
  }
});

it.each([
  [20, 0.1],
  [1000, 0.004],
  [400, 0.3],
  [90, 0.8],
  [1_000_000, 0.5],
])("binomial numbers of %d trials at %d have their distribution", (n, p) => {
  const uniform = uniformNumbers(11, `binomial ${n}`);
  const draws = 20_000;
  const deviation = Math.sqrt(n * p * (1 - p));
  let [sum, squares, below] = [0, 0, 0];
  const middle = Math.floor(n * p);
  for (let i = 0; i < draws; i++) {
    const k = drawBinomial(n, p, uniform);
    expect(Number.isInteger(k) && k >= 0 && k <= n).toBe(true);
    sum += k - n * p;
    squares += (k - n * p) ** 2;
    if (k <= middle) below += 1;
  }
  expect(Math.abs(sum / draws)).toBeLessThan((4 * deviation) / Math.sqrt(draws));
  expect(Math.abs(squares / draws / deviation ** 2 - 1)).toBeLessThan(0.045);
  let expected = 0;
  for (let k = Math.max(0, Math.floor(middle - 12 * deviation)); k <= middle; k++) {
    const log = logFactorial(n) - logFactorial(k) - logFactorial(n - k) + k * Math.log(p) + (n - k) * Math.log1p(-p);
    expected += Math.exp(log);
  }
  expect(Math.abs(below / draws - expected)).toBeLessThan(0.015);
});

it("multinomial counts add up and follow their cells", () => {
  const uniform = uniformNumbers(2, "multinomial");
  const counts = Float64Array.from([5, 0, 40, 1, 154]);
  const totals = new Float64Array(5);
  const out = new Float64Array(5);
  for (let i = 0; i < 2000; i++) {
    drawMultinomial(counts, out, uniform);
    expect(out.reduce((sum, each) => sum + each, 0)).toBe(200);
    for (let cell = 0; cell < out.length; cell++) totals[cell] += out[cell];
  }
  counts.forEach((value, cell) => void expect(totals[cell] / 2000).toBeCloseTo(value, value > 10 ? 0 : 0.7));
  const once = new Float64Array(50).fill(1);
  const drawn = new Float64Array(50);
  drawMultinomial(once, drawn, uniform);
  expect(drawn.reduce((sum, each) => sum + each, 0)).toBe(50);
  expect(new Set(drawn).size).toBeGreaterThan(2);
});
