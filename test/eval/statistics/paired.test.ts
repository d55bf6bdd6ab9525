import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
  logGamma,
  mcnemarExact,
  pairedShares,
  pairedT,
  studentQuantile,
  studentTwoSided,
} from "../../../src/eval/statistics/index.js";

// test/oracle/paired_statistics.py
const oracle = JSON.parse(readFileSync(new URL("../../fixtures/eval/paired-statistics.json", import.meta.url), "utf8"));

/** Relative error, for numbers of any size. */
const near = (value: number, expected: number, digits = 10) =>
  expect(value / (expected || 1), `${value} for ${expected}`).toBeCloseTo(expected === 0 ? 0 : 1, digits);

describe("Student's distribution equals SciPy's", () => {
  it("ln Γ", () => {
    for (const [x, value] of oracle.student.log_gamma) expect(logGamma(x)).toBeCloseTo(value, x > 1000 ? 9 : 12);
  });
  it("probabilities, also of far tails", () => {
    for (const [t, freedom, p] of oracle.student.two_sided) {
      if (p > 1e-300) near(studentTwoSided(t, freedom), p);
      else expect(studentTwoSided(t, freedom)).toBeLessThan(1e-290);
      expect(studentTwoSided(-t, freedom)).toBe(studentTwoSided(t, freedom));
    }
  });
  it("quantiles", () => {
    for (const [confidence, freedom, t] of oracle.student.quantile) near(studentQuantile(confidence, freedom), t);
  });
});

describe("paired tests equal SciPy's", () => {
  it("McNemar's exact test", () => {
    for (const [gained, lost, p] of oracle.mcnemar) {
      near(mcnemarExact(gained, lost), p);
      expect(mcnemarExact(lost, gained)).toBe(mcnemarExact(gained, lost));
    }
  });
  it("the interval of a difference of shares", () => {
    for (const [gained, lost, items, lower, upper] of oracle.shares) {
      const made = pairedShares(gained, lost, items);
      expect(made.difference).toBeCloseTo((gained - lost) / items, 14);
      expect(made.lower).toBeCloseTo(lower, 12);
      expect(made.upper).toBeCloseTo(upper, 12);
      expect(made.pValue).toBe(mcnemarExact(gained, lost));
    }
  });
  it("the paired t test", () => {
    for (const { ours, theirs, difference, p, lower, upper } of oracle.t) {
      const made = pairedT(ours.map((value: number, i: number) => value - theirs[i]));
      expect(made.difference).toBeCloseTo(difference, 13);
      near(made.pValue, p, 9);
      expect(made.lower).toBeCloseTo(lower, 10);
      expect(made.upper).toBeCloseTo(upper, 10);
    }
  });
  it("equal differences have no spread", () => {
    expect(pairedT([0, 0, 0])).toEqual({ difference: 0, lower: 0, upper: 0, pValue: 1 });
    expect(pairedT([0.5, 0.5])).toEqual({ difference: 0.5, lower: 0.5, upper: 0.5, pValue: 0 });
  });
});
