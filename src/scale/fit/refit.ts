/** @file The two loops of a parametric fit: from a list of starts, and of resampled points from the optimum. */
import { randomStream } from "../../model/index.js";
import { type MinimiseOptions, Minimiser } from "./lbfgs.js";
import {
  fromScaled,
  huberObjective,
  type LogPoints,
  type Scaling,
  scaledPoints,
  scalingOf,
  toScaled,
} from "./objective.js";

/** Variables of the parametric form: a, b, e, α, β. */
export const VARIABLES = 5;
/** A start's row: its five variables and its objective. */
export const START_ROW = VARIABLES + 1;

/** Tolerance of the first pass over all starts; only the best are minimised further. */
const FIRST_PASS = 1e-6;
/** Objective below which the first pass ends: residuals of 1e-5, far below any noise. Without noise it would go on for long. */
const FIRST_ENOUGH = 1e-9;
const TO_THE_END: MinimiseOptions = { tolerance: 1e-16, iterations: 4000 };
/** Tolerance of a bootstrap refit: far below the spread of its draws. */
const REFIT = 1e-8;

/**
 * Minimises from each start (S × 5; a, b, e, α, β).
 * @returns (S × 6), the variables and the objective reached
 */
export function minimiseStarts(points: LogPoints, starts: Float64Array): Float64Array {
  const scaling = scalingOf(points);
  const minimiser = new Minimiser(huberObjective(scaledPoints(points, scaling)), VARIABLES);
  const count = starts.length / VARIABLES;
  const rows = new Float64Array(count * START_ROW);
  for (let i = 0; i < count; i++) {
    const start = toScaled(starts.subarray(i * VARIABLES, (i + 1) * VARIABLES), scaling);
    const { x, value } = minimiser.minimise(start, { tolerance: FIRST_PASS, enough: FIRST_ENOUGH });
    rows.set(fromScaled(x, scaling), i * START_ROW);
    rows[i * START_ROW + VARIABLES] = value;
  }
  return rows;
}

/** Minimises from θ to a tolerance, by default until rounding ends it. */
export function polish(points: LogPoints, theta: Float64Array, options: MinimiseOptions = TO_THE_END) {
  const scaling = scalingOf(points);
  const minimiser = new Minimiser(huberObjective(scaledPoints(points, scaling)), VARIABLES);
  const { x, value } = minimiser.minimise(toScaled(theta, scaling), options);
  return { theta: fromScaled(x, scaling), value };
}

/**
 * Fits `count` samples of the points, drawn with replacement, each from θ. Draw i depends on the seed and i alone.
 * @returns (count × 5)
 */
export function refitSamples(
  points: LogPoints,
  theta: Float64Array,
  draws: { readonly first: number; readonly count: number; readonly seed: number },
): Float64Array {
  const R = points.logL.length;
  const scaling: Scaling = scalingOf(points);
  const all = scaledPoints(points, scaling);
  const sample = scaledPoints(points, scaling);
  const minimiser = new Minimiser(huberObjective(sample), VARIABLES);
  const start = toScaled(theta, scaling);
  const thetas = new Float64Array(draws.count * VARIABLES);
  const times = new Uint16Array(R);
  for (let draw = 0; draw < draws.count; draw++) {
    const random = randomStream(draws.seed, `scaling law draw ${draws.first + draw}`);
    times.fill(0);
    for (let i = 0; i < R; i++) times[Math.floor(random.uniform(i) * R)] += 1;
    // A point that was drawn k times is one point of weight k, and one that was not drawn costs nothing.
    let kept = 0;
    for (let i = 0; i < R; i++) {
      if (times[i] === 0) continue;
      sample.zN[kept] = all.zN[i];
      sample.zD[kept] = all.zD[i];
      sample.logL[kept] = all.logL[i];
      sample.weights[kept] = times[i];
      kept += 1;
    }
    sample.count = kept;
    const { x } = minimiser.minimise(start, { tolerance: REFIT });
    thetas.set(fromScaled(x, scaling), draw * VARIABLES);
  }
  return thetas;
}
