/** Statistics of judges against NumPy, SciPy, pandas and scikit-learn (test/oracle/judge_statistics.py), and by hand. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { PythonRandom } from "../../../src/eval/harness/python-random.js";
import {
  bootstrapInterval,
  cohenKappa,
  leaveOneOutAgreement,
  lengthBias,
  normalInterval,
  positionBias,
  sampleSize,
  selfPreference,
  wilsonInterval,
  winRate,
} from "../../../src/eval/index.js";
import { zOf } from "../../../src/eval/judge/intervals.js";
import { fitLasso, fitLassoCrossValidated } from "../../../src/eval/judge/lasso.js";

const oracle = JSON.parse(
  readFileSync(new URL("../../fixtures/eval/judge-statistics.json", import.meta.url), "utf8"),
) as {
  readonly lasso: {
    readonly features: number[][];
    readonly targets: number[];
    readonly folds: number;
    readonly fits: { readonly strength: number; readonly weights: number[] }[];
    readonly strength: number;
    readonly weights: number[];
  };
  readonly kappa: { readonly first: number[]; readonly second: number[]; readonly kappa: number }[];
  readonly rates: { readonly preferences: number[] } & Record<
    "win_rate" | "standard_error" | "discrete_win_rate",
    number
  >;
  readonly intervals: {
    readonly z: { readonly confidence: number; readonly z: number }[];
    readonly wilson: {
      readonly count: number;
      readonly total: number;
      readonly lower: number;
      readonly upper: number;
    }[];
  };
};

describe("win rates", () => {
  it("equal pandas' mean and standard error", () => {
    const rate = winRate(oracle.rates.preferences)!;
    for (const key of ["win_rate", "standard_error", "discrete_win_rate"] as const) {
      expect(rate[key]).toBeCloseTo(oracle.rates[key], 11);
    }
    expect([rate.n_wins, rate.n_wins_base, rate.n_draws, rate.n_total]).toEqual([4, 4, 2, 10]);
  });

  it("leave out and count what is no preference", () => {
    expect(winRate([2, null, 2.5, 0.5, 1])).toMatchObject({ win_rate: 50, n_total: 2, n_dropped: 3 });
    expect(winRate([2])).toMatchObject({ win_rate: 100, standard_error: null });
    expect(winRate([null])).toBeNull();
  });
});

describe("the L1-penalised logistic regression", () => {
  const { lasso } = oracle;
  it("finds LIBLINEAR's weights at every strength", () => {
    for (const { strength, weights } of lasso.fits) {
      const found = fitLasso(lasso, strength);
      for (const [i, weight] of weights.entries()) expect(found[i]).toBeCloseTo(weight, 6);
    }
  });

  it("chooses the strength by cross-validation", () => {
    const { strength, weights } = fitLassoCrossValidated(lasso, lasso.folds);
    expect(strength).toBeCloseTo(lasso.strength, 10);
    for (const [i, weight] of lasso.weights.entries()) expect(weights[i]).toBeCloseTo(weight, 6);
  });

  it("stays finite when the classes are separable and the features collinear", () => {
    const features = [-2, -1, 1, 2].map((x) => [x, 2 * x, 0]);
    const weights = fitLasso({ features, targets: [0, 0, 1, 1] }, 1e4);
    expect(weights.every(Number.isFinite)).toBe(true);
    expect(weights[0] + 2 * weights[1]).toBeGreaterThan(1);
    expect(weights[2]).toBe(0);
  });
});

describe("agreement", () => {
  it("is scikit-learn's κ", () => {
    for (const { first, second, kappa } of oracle.kappa) expect(cohenKappa(first, second)).toBeCloseTo(kappa, 14);
  });

  it("has no κ for one label, and refuses lists that do not match", () => {
    expect(cohenKappa(["a", "a"], ["a", "a"])).toBeNaN();
    expect(() => cohenKappa([1], [1, 2])).toThrow("two equally long lists of labels, not 1 and 2");
    expect(() => cohenKappa([], [])).toThrow("not 0 and 0");
  });

  it("compares each vote with the majority of the others", () => {
    // Left out in turn: 1 against {1, 2} is half, again half, 2 against {1, 1} none. One vote alone is skipped.
    const votes = [[1, 1, 2], [2, 2, 2], [1]];
    const people = leaveOneOutAgreement(votes);
    expect(people.agreement).toBeCloseTo((1 / 3 + 1) / 2, 14);
    expect(people.items).toBe(2);
    // The judge says 1 and 1: half, half, whole; then none.
    expect(leaveOneOutAgreement(votes, [1, 1, 1]).agreement).toBeCloseTo((2 / 3 + 0) / 2, 14);
    expect(() => leaveOneOutAgreement([[1], []])).toThrow("at least two votes");
  });
});

describe("biases", () => {
  it("of position count the winner by place", () => {
    const pairs = [
      { straight: "1", swapped: "1" },
      { straight: "1", swapped: "2" },
      { straight: "2", swapped: "1" },
      { straight: "1", swapped: "2" },
      { straight: null, swapped: "2" },
    ] as const;
    const shares = { consistent: 0.2, favours_first: 0.4, favours_second: 0.2, unread: 0.2 };
    expect(positionBias(pairs)).toEqual({ ...shares, pairs: 5 });
    expect(positionBias([])).toBeNull();
  });

  it("of length count the longer answer in code points", () => {
    const judged = (output1: string, output2: string, preference: number | null) => ({ output1, output2, preference });
    const judgements = [judged("a", "abc", 2), judged("abc", "a", 1.25), judged("a", "b", 2), judged("a", "ab", null)];
    expect(lengthBias(judgements)).toEqual({ longer_preferred: 0.875, judgements: 2 });
    expect(lengthBias([judged("𝒳", "a", 1)])).toBeNull();
  });

  it("of itself compare its own judgement with a reference", () => {
    const pairs = [
      { judge: 2, reference: 1 },
      { judge: 2, reference: 2 },
      { judge: 1.5, reference: null },
    ];
    expect(selfPreference(pairs)).toEqual({ by_itself: 1, by_reference: 0.5, difference: 0.5, judgements: 2 });
  });
});

describe("intervals", () => {
  it("use SciPy's normal quantiles and Wilson intervals", () => {
    for (const { confidence, z } of oracle.intervals.z) expect(zOf(confidence)).toBeCloseTo(z, 13);
    for (const { count, total, lower, upper } of oracle.intervals.wilson) {
      const interval = wilsonInterval(count, total);
      expect(interval.lower).toBeCloseTo(lower, 13);
      expect(interval.upper).toBeCloseTo(upper, 13);
    }
    expect(normalInterval(1, 1, { least: 0 })).toEqual({ lower: 0, upper: 1 + zOf(0.95) });
  });

  it("by bootstrap are near the normal interval of a mean, and repeat with the seed", () => {
    const values = Array.from({ length: 200 }, (_, n) => (n % 4 === 0 ? 1 : 0));
    const mean = (sample: readonly number[]) => sample.reduce((sum, value) => sum + value, 0) / sample.length;
    const interval = bootstrapInterval(values, mean, { samples: 2000, seed: 3 });
    const error = Math.sqrt((0.25 * 0.75) / 200);
    expect(Math.abs(interval.standardError - error)).toBeLessThan(0.05 * error);
    expect(Math.abs(interval.lower - (0.25 - 1.96 * error))).toBeLessThan(0.01);
    expect(Math.abs(interval.upper - (0.25 + 1.96 * error))).toBeLessThan(0.01);
    expect(bootstrapInterval(values, mean, { samples: 2000, seed: 3 })).toEqual(interval);
    expect(bootstrapInterval(values, mean, { samples: 2000, seed: 4 })).not.toEqual(interval);
    expect(() => bootstrapInterval([1], mean)).toThrow("at least 2 items, not 1");
    expect(() => bootstrapInterval(values, mean, { samples: 1 })).toThrow("samples must be a whole number");
  });

  it("cover the mean at their rate", () => {
    // 400 draws of 50 judgements with a win rate of .3, each with its own interval.
    const uniform = new PythonRandom(5);
    const mean = (sample: readonly number[]) => sample.reduce((sum, value) => sum + value, 0) / sample.length;
    let normal = 0;
    let resampled = 0;
    for (let draw = 0; draw < 400; draw++) {
      const values = Array.from({ length: 50 }, () => (uniform.random() < 0.3 ? 1 : 0));
      const contains = ({ lower, upper }: { lower: number; upper: number }) => lower <= 0.3 && 0.3 <= upper;
      if (
        contains(
          wilsonInterval(
            values.reduce<number>((a, b) => a + b, 0),
            50,
          ),
        )
      )
        normal++;
      if (contains(bootstrapInterval(values, mean, { samples: 200, seed: draw }))) resampled++;
    }
    for (const covered of [normal, resampled]) {
      expect(covered / 400).toBeGreaterThan(0.91);
      expect(covered / 400).toBeLessThan(0.985);
    }
  });

  it("give the sample size that a width takes", () => {
    expect(sampleSize({ halfWidth: 0.05 })).toBe(385);
    expect(sampleSize({ halfWidth: 0.05, population: 1000 })).toBe(278);
    expect(sampleSize({ halfWidth: 0.1, deviation: 0.2, confidence: 0.99 })).toBe(27);
    const n = sampleSize({ halfWidth: 0.02, deviation: 0.3 });
    expect(zOf(0.95) * (0.3 / Math.sqrt(n))).toBeLessThanOrEqual(0.02);
    expect(zOf(0.95) * (0.3 / Math.sqrt(n - 1))).toBeGreaterThan(0.02);
    expect(() => sampleSize({ halfWidth: 0 })).toThrow("halfWidth must be more than 0");
    expect(() => sampleSize({ halfWidth: 0.1, confidence: 1 })).toThrow("confidence must be between 0 and 1");
  });
});
