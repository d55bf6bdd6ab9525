/**
 * @file Logistic regression with an L1 penalty, soft targets and no intercept, for a few features.
 * The objective is that of LIBLINEAR (Fan et al. 2008): ‖w‖₁ + C · Σ cross-entropy(target, logistic(x · w)).
 */
import { mean } from "./win-rate.js";

export interface LassoData {
  /** (N, F) features. */
  readonly features: readonly (readonly number[])[];
  /** (N) probabilities in [0, 1]. */
  readonly targets: readonly number[];
}

/** Returns 1 / (1 + e^−z). */
export const logistic = (z: number): number => (z >= 0 ? 1 / (1 + Math.exp(-z)) : Math.exp(z) / (1 + Math.exp(z)));

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i], 0);

/** Cross-entropy of a soft target, from the logit: log(1 + e^z) − target · z. */
const crossEntropy = (target: number, z: number) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - target * z;

const ITERATIONS = 200;
const TOLERANCE = 1e-12;

/**
 * Fits the weights (F) by proximal Newton steps; each step solves its L1-penalised quadratic by coordinate descent.
 * @param strength C, the weight of the data against the penalty
 */
export function fitLasso({ features, targets }: LassoData, strength: number): number[] {
  const width = features[0]?.length ?? 0;
  const objective = (weights: readonly number[]) =>
    weights.reduce((sum, weight) => sum + Math.abs(weight), 0) +
    strength * features.reduce((sum, row, n) => sum + crossEntropy(targets[n], dot(row, weights)), 0);
  let weights = new Array<number>(width).fill(0);
  let value = objective(weights);
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    const { gradient, hessian } = derivatives(features, targets, weights, strength);
    const step = penalisedStep(weights, gradient, hessian);
    // The decrease that the quadratic predicts; the line search accepts a small part of it.
    const expected =
      dot(gradient, step) + weights.reduce((sum, weight, j) => sum + Math.abs(weight + step[j]) - Math.abs(weight), 0);
    let scale = 1;
    let next = weights;
    let reached = value;
    for (; scale > 1e-10; scale /= 2) {
      next = weights.map((weight, j) => weight + scale * step[j]);
      reached = objective(next);
      if (reached <= value + 0.01 * scale * expected) break;
    }
    if (!(reached < value)) break;
    const gain = value - reached;
    weights = next;
    value = reached;
    if (gain <= TOLERANCE * Math.abs(value)) break;
  }
  return weights;
}

function derivatives(
  features: LassoData["features"],
  targets: LassoData["targets"],
  weights: readonly number[],
  strength: number,
) {
  const width = weights.length;
  const gradient = new Array<number>(width).fill(0);
  const hessian = Array.from({ length: width }, () => new Array<number>(width).fill(0));
  for (const [n, row] of features.entries()) {
    const predicted = logistic(dot(row, weights));
    for (let i = 0; i < width; i++) {
      gradient[i] += strength * (predicted - targets[n]) * row[i];
      for (let j = 0; j < width; j++) hessian[i][j] += strength * predicted * (1 - predicted) * row[i] * row[j];
    }
  }
  // Keeps the quadratic strictly convex when features are collinear or predictions saturate.
  for (let i = 0; i < width; i++) hessian[i][i] += 1e-12;
  return { gradient, hessian };
}

/** Minimises g·d + ½ d·H·d + ‖w + d‖₁ over d. */
function penalisedStep(
  weights: readonly number[],
  gradient: readonly number[],
  hessian: readonly (readonly number[])[],
) {
  const step = new Array<number>(weights.length).fill(0);
  for (let sweep = 0; sweep < 1000; sweep++) {
    let largest = 0;
    for (let j = 0; j < step.length; j++) {
      const curvature = hessian[j][j];
      const slope = gradient[j] + dot(hessian[j], step);
      const from = weights[j] + step[j];
      const target = from - slope / curvature;
      const to = Math.sign(target) * Math.max(0, Math.abs(target) - 1 / curvature);
      step[j] += to - from;
      largest = Math.max(largest, Math.abs(to - from));
    }
    if (largest < 1e-14) break;
  }
  return step;
}

/** Candidates for C, as in scikit-learn's `LogisticRegressionCV`: 10^−4 … 10^4 in ten equal steps of the exponent. */
const STRENGTHS = Array.from({ length: 10 }, (_, i) => 10 ** (-4 + (8 * i) / 9));

/**
 * Chooses C by cross-validation on the mean cross-entropy, then fits all rows. Row n is in fold n mod `folds`.
 */
export function fitLassoCrossValidated(data: LassoData, folds: number): { weights: number[]; strength: number } {
  const part = (keep: (n: number) => boolean): LassoData => ({
    features: data.features.filter((_, n) => keep(n)),
    targets: data.targets.filter((_, n) => keep(n)),
  });
  const losses = STRENGTHS.map((strength) =>
    mean(
      Array.from({ length: folds }, (_, fold) => {
        const weights = fitLasso(
          part((n) => n % folds !== fold),
          strength,
        );
        const held = part((n) => n % folds === fold);
        return mean(held.features.map((row, n) => crossEntropy(held.targets[n], dot(row, weights))));
      }),
    ),
  );
  const strength = STRENGTHS[losses.indexOf(Math.min(...losses))];
  return { weights: fitLasso(data, strength), strength };
}
