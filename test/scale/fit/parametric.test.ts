import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { exponential, logarithm } from "../../../src/scale/fit/exponential.js";
import { Minimiser } from "../../../src/scale/fit/lbfgs.js";
import {
  fromScaled,
  huberObjective,
  type LogPoints,
  publishedGrid,
  scaledPoints,
  scalingOf,
  toScaled,
} from "../../../src/scale/fit/objective.js";
import { bootstrapParametric, fitFrom, fitParametric, thetaOf } from "../../../src/scale/fit/parametric.js";
import {
  chiSquaredTail5,
  drawnConstants,
  drawnCovariance,
  hessianCovariance,
  hessianIntervals,
  lawIntervals,
  testConstants,
} from "../../../src/scale/fit/uncertainty.js";
import { HOFFMANN } from "../../../src/scale/index.js";
import { BUDGETS, isoFlopRuns, type MadeRun, SIZES, TRUE } from "../runs-fixtures.js";

const pointsOf = (runs: readonly Pick<MadeRun, "params" | "tokens" | "loss">[]): LogPoints => ({
  logN: Float64Array.from(runs, ({ params }) => Math.log(params)),
  logD: Float64Array.from(runs, ({ tokens }) => Math.log(tokens)),
  logL: Float64Array.from(runs, ({ loss }) => Math.log(loss)),
});

/** The 240 points of Hoffmann et al. with the lowest losses. */
const chinchilla = pointsOf(
  readFileSync(join(import.meta.dirname, "../../oracle/fixtures/scale/chinchilla.csv"), "utf8")
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split(",").map(Number))
    .map(([params, flops, loss]) => ({ params, tokens: flops / (6 * params), loss }))
    .sort((a, b) => a.loss - b.loss)
    .slice(0, 240),
);
/** Every fifteenth start of the grid. */
const someStarts = publishedGrid().filter((_, i) => i % 15 === 0);
const nearTruth = thetaOf(TRUE);

describe("exp and log by tables", () => {
  it("agree with Math", () => {
    for (let i = -4000; i <= 4000; i++) {
      const x = i / 41;
      expect(Math.abs(exponential(x) / Math.exp(x) - 1)).toBeLessThan(1e-14);
      expect(Math.abs(logarithm(Math.exp(x)) - Math.log(Math.exp(x)))).toBeLessThan(1e-13);
    }
    expect([exponential(-1000), exponential(1000), exponential(0)]).toEqual([0, Number.POSITIVE_INFINITY, 1]);
    expect([exponential(Number.NaN), logarithm(-1), logarithm(0), logarithm(Number.NaN)]).toEqual(
      new Array(4).fill(Number.NaN),
    );
  });
});

describe("L-BFGS", () => {
  it("finds the minimum of Rosenbrock's function", () => {
    const rosenbrock = (x: Float64Array, g: Float64Array) => {
      g[0] = -400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]);
      g[1] = 200 * (x[1] - x[0] ** 2);
      return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2;
    };
    const { x, value } = new Minimiser(rosenbrock, 2).minimise(Float64Array.of(-1.2, 1), { tolerance: 1e-16 });
    expect(value).toBeLessThan(1e-15);
    expect([...x]).toEqual([expect.closeTo(1, 6), expect.closeTo(1, 6)]);
  });

  it("returns a start whose value is not finite as it is", () => {
    const { x, value } = new Minimiser(() => Number.NaN, 1).minimise(Float64Array.of(3));
    expect([x[0], value]).toEqual([3, Number.POSITIVE_INFINITY]);
  });
});

describe("the objective", () => {
  const scaling = scalingOf(chinchilla);
  const objective = huberObjective(scaledPoints(chinchilla, scaling));

  it("is the sum of Huber losses, with its gradient", () => {
    const theta = Float64Array.of(6.2, 7.5, 0.55, 0.34, 0.36);
    const direct = chinchilla.logL.reduce((sum, l, i) => {
      const [a, b, e, alpha, beta] = theta;
      const logs = [a - alpha * chinchilla.logN[i], b - beta * chinchilla.logD[i], e];
      const most = Math.max(...logs);
      const r = Math.abs(l - most - Math.log(logs.reduce((s, each) => s + Math.exp(each - most), 0)));
      return sum + (r <= 1e-3 ? r * r * 0.5 : 1e-3 * (r - 5e-4));
    }, 0);
    const x = toScaled(theta, scaling);
    const gradient = new Float64Array(5);
    expect(objective(x, gradient)).toBeCloseTo(direct, 14);
    expect([...fromScaled(x, scaling)]).toEqual([...theta].map((value) => expect.closeTo(value, 12)));
    const scratch = new Float64Array(5);
    for (let i = 0; i < 5; i++) {
      const at = (step: number) =>
        objective(
          Float64Array.from(x, (value, j) => (i === j ? value + step : value)),
          scratch,
        );
      expect(gradient[i]).toBeCloseTo((at(1e-7) - at(-1e-7)) / 2e-7, 6);
    }
  });

  it("starts from the published grid", () => {
    const grid = publishedGrid();
    expect(grid).toHaveLength(4500);
    const axes = [0, 1, 2, 3, 4].map((i) => [...new Set(grid.map((start) => start[i]))].sort((p, q) => p - q));
    expect(axes).toEqual([
      [0, 5, 10, 15, 20, 25],
      [0, 5, 10, 15, 20, 25],
      [-1, -0.5, 0, 0.5, 1],
      [0, 0.5, 1, 1.5, 2],
      [0, 0.5, 1, 1.5, 2],
    ]);
  });
});

describe("Chinchilla's points", () => {
  const fit = fitFrom(chinchilla, someStarts);

  it("give the constants of Besiroglu et al. (arXiv:2404.10102)", () => {
    expect(fit.objective).toBeLessThanOrEqual(0.00101827402);
    expect(fit.A).toBeCloseTo(477.8, 1);
    expect(fit.B / 2143).toBeCloseTo(1, 3);
    expect(fit.E).toBeCloseTo(1.8172, 4);
    expect(fit.alpha).toBeCloseTo(0.3473, 4);
    expect(fit.beta).toBeCloseTo(0.3672, 4);
    expect(fit.rivals).toEqual([]);
  });

  it("give their standard errors, and reject Hoffmann et al.'s constants as they did", async () => {
    const thetas = await bootstrapParametric(chinchilla, fit.theta, { draws: 600, seed: 1, threads: 1 });
    const draws = drawnConstants(thetas);
    const error = (key: keyof typeof TRUE) => {
      const mean = draws.reduce((sum, draw) => sum + draw[key], 0) / draws.length;
      return Math.sqrt(draws.reduce((sum, draw) => sum + (draw[key] - mean) ** 2, 0) / (draws.length - 1));
    };
    // Published: 124.58, 1293.23, .03, .02, .02. Of 600 draws, a standard error is known to 3 % (B has a long tail).
    expect(Math.abs(error("A") / 124.58 - 1)).toBeLessThan(0.15);
    expect(Math.abs(error("B") / 1293.23 - 1)).toBeLessThan(0.25);
    expect(error("E").toFixed(2)).toMatch(/0\.0[23]/);
    // Rounded to two digits there; 4,000 draws give .0153 and .0201.
    expect(Math.abs(error("alpha") / 0.0153 - 1)).toBeLessThan(0.12);
    expect(Math.abs(error("beta") / 0.0201 - 1)).toBeLessThan(0.12);
    const test = testConstants(fit.theta, drawnCovariance(thetas), thetaOf(HOFFMANN));
    expect(test?.rejected).toBe(true);
    expect(test?.p).toBeLessThan(1e-50);
    const { E, a } = lawIntervals(draws, 0.95);
    expect(E[0]).toBeGreaterThan(HOFFMANN.E);
    expect(a[0]).toBeLessThan(0.5139);
    expect(a[1]).toBeGreaterThan(0.5139);
  });
});

describe("synthetic runs", () => {
  it("give back their constants", () => {
    const fit = fitFrom(pointsOf(isoFlopRuns(BUDGETS, SIZES)), someStarts);
    expect(fit.objective).toBeLessThan(1e-12);
    expect(fit).toMatchObject({
      A: expect.closeTo(TRUE.A, -0.5),
      alpha: expect.closeTo(TRUE.alpha, 3),
      beta: expect.closeTo(TRUE.beta, 3),
      E: expect.closeTo(TRUE.E, 3),
    });
    expect(Math.abs(fit.B / TRUE.B - 1)).toBeLessThan(0.01);
  });

  it("are covered by 95 % intervals at their rate, over 200 draws", async () => {
    const covered = { hessian: 0, bootstrap: 0, exponent: 0 };
    const inside = ([low, high]: readonly [number, number], value: number) => Number(low <= value && value <= high);
    for (let seed = 0; seed < 200; seed++) {
      const points = pointsOf(isoFlopRuns(BUDGETS, SIZES, { noise: 0.004, seed }));
      const { theta } = fitFrom(points, [nearTruth, Float64Array.of(5, 10, 0.5, 0.5, 0.5)]);
      const covariance = hessianCovariance(points, theta) as Float64Array;
      covered.hessian += inside(hessianIntervals(theta, covariance).alpha, TRUE.alpha);
      const draws = drawnConstants(await bootstrapParametric(points, theta, { draws: 120, seed, threads: 1 }));
      const intervals = lawIntervals(draws, 0.95);
      covered.bootstrap += inside(intervals.alpha, TRUE.alpha);
      covered.exponent += inside(intervals.a, TRUE.beta / (TRUE.alpha + TRUE.beta));
    }
    // A 95 % interval covers 190 ± 3 of 200; a percentile bootstrap of 35 points is a little narrow.
    for (const count of Object.values(covered)) {
      expect(count).toBeGreaterThanOrEqual(176);
      expect(count).toBeLessThanOrEqual(199);
    }
  });

  it("give the same bits with one thread and with two", async () => {
    const points = pointsOf(isoFlopRuns(BUDGETS, SIZES, { noise: 0.004, seed: 3 }));
    const starts = publishedGrid().filter((_, i) => i % 40 === 0);
    const [one, two] = [await fitParametric(points, { starts, threads: 1 }), await fitParametric(points, { starts })];
    expect(two).toEqual(one);
    const draws = (threads: number) => bootstrapParametric(points, one.theta, { draws: 120, seed: 5, threads });
    expect(await draws(2)).toEqual(await draws(1));
  });
});

it("knows the tail of the chi-squared distribution", () => {
  // scipy.stats.chi2.sf(x, 5)
  expect(chiSquaredTail5(11.070497693516351)).toBeCloseTo(0.05, 12);
  expect(chiSquaredTail5(300) / 1.00153e-62).toBeCloseTo(1, 4);
});
