/**
 * @file How well the data determine a fit: intervals from bootstrap draws, standard errors from the Hessian, and the test of
 * other constants.
 */
import { factorCholesky, invertCholesky, normalCdf, quantile } from "../../eval/index.js";
import { HUBER, type LogPoints } from "./objective.js";
import { constantsOf, type LawConstants } from "./parametric.js";
import { VARIABLES } from "./refit.js";

export type Interval = readonly [low: number, high: number];

/** Intervals of the constants, and of the exponents a = β/(α+β) and b = α/(α+β) of optimal params and tokens over compute. */
export type LawIntervals = Readonly<Record<keyof LawConstants | "a" | "b", Interval>>;

export const exponentsOf = ({ alpha, beta }: LawConstants) => ({
  a: beta / (alpha + beta),
  b: alpha / (alpha + beta),
});

/** Returns the draws (draws × 5) as constants. */
export const drawnConstants = (draws: Float64Array): LawConstants[] =>
  Array.from({ length: draws.length / VARIABLES }, (_, i) =>
    constantsOf(draws.subarray(i * VARIABLES, (i + 1) * VARIABLES)),
  );

/** Returns the central interval of values by their quantiles. Values that are not finite count as infinite. */
export function intervalOf(values: readonly number[], confidence: number): Interval {
  const sorted = values.map((value) => (Number.isNaN(value) ? Number.POSITIVE_INFINITY : value)).sort((x, y) => x - y);
  return [quantile(sorted, (1 - confidence) / 2), quantile(sorted, (1 + confidence) / 2)];
}

/** Percentile intervals of the constants. */
export function lawIntervals(draws: readonly LawConstants[], confidence: number): LawIntervals {
  const all = draws.map((draw) => ({ ...draw, ...exponentsOf(draw) }));
  const of = (key: keyof LawIntervals) =>
    intervalOf(
      all.map((draw) => draw[key]),
      confidence,
    );
  return { A: of("A"), B: of("B"), E: of("E"), alpha: of("alpha"), beta: of("beta"), a: of("a"), b: of("b") };
}

/** Returns the residuals log L − log L(N, D) (R). */
export function residualsOf({ logN, logD, logL }: LogPoints, theta: Float64Array): Float64Array {
  const { A, B, E, alpha, beta } = constantsOf(theta);
  return logL.map((l, i) => l - Math.log(A * Math.exp(-alpha * logN[i]) + B * Math.exp(-beta * logD[i]) + E));
}

/** Derivatives of log L(N, D) by θ, summed as G = Σ g·gᵀ (5 × 5). */
function outerProducts({ logN, logD, logL }: LogPoints, theta: Float64Array): Float64Array {
  const { A, B, E, alpha, beta } = constantsOf(theta);
  const G = new Float64Array(VARIABLES * VARIABLES);
  for (let i = 0; i < logL.length; i++) {
    const [n, d] = [A * Math.exp(-alpha * logN[i]), B * Math.exp(-beta * logD[i])];
    const S = n + d + E;
    const g = [n / S, d / S, E / S, (-n * logN[i]) / S, (-d * logD[i]) / S];
    for (let r = 0; r < VARIABLES; r++) for (let c = 0; c < VARIABLES; c++) G[r * VARIABLES + c] += g[r] * g[c];
  }
  return G;
}

/**
 * Returns the covariance of θ (5 × 5) from the Hessian; null if the data do not determine θ. For an M-estimator with
 * homogeneous residuals it is E[ψ²] / E[ψ']² · G⁻¹ (Huber, "Robust Statistics", 1981, section 7.6). E[ψ'], the share of
 * residuals within the threshold, is smoothed by a kernel, because few points are that close.
 */
export function hessianCovariance(points: LogPoints, theta: Float64Array): Float64Array | null {
  const residuals = residualsOf(points, theta);
  const R = residuals.length;
  if (R <= VARIABLES) return null;
  const G = outerProducts(points, theta);
  // Scaled to a unit diagonal, so that the pivots show how far the variables are correlated.
  const scale = Array.from({ length: VARIABLES }, (_, i) => Math.sqrt(G[i * VARIABLES + i]));
  if (!scale.every((value) => value > 0 && Number.isFinite(value))) return null;
  const correlations = G.map((value, at) => value / scale[Math.floor(at / VARIABLES)] / scale[at % VARIABLES]);
  if (!factorCholesky(correlations, VARIABLES)) return null;
  const inverse = invertCholesky(correlations, VARIABLES);
  const sorted = [...residuals].sort((x, y) => x - y);
  const spread = (quantile(sorted, 0.75) - quantile(sorted, 0.25)) / 1.349;
  const width = 0.9 * (spread || 1e-12) * R ** -0.2;
  const psi = (r: number) => Math.max(-HUBER, Math.min(HUBER, r));
  const squared = residuals.reduce((sum, r) => sum + psi(r) ** 2, 0) / (R - VARIABLES);
  const slope =
    residuals.reduce((sum, r) => sum + normalCdf((HUBER - r) / width) - normalCdf((-HUBER - r) / width), 0) / R;
  const factor = squared / slope ** 2;
  return inverse.map((value, at) => (factor * value) / scale[Math.floor(at / VARIABLES)] / scale[at % VARIABLES]);
}

/** Intervals from the covariance of θ: symmetric for α and β, and for A, B and E on their logarithms. */
export function hessianIntervals(theta: Float64Array, covariance: Float64Array, z = 1.959964): LawIntervals {
  const error = (i: number) => Math.sqrt(covariance[i * VARIABLES + i]);
  const power = (i: number): Interval => [Math.exp(theta[i] - z * error(i)), Math.exp(theta[i] + z * error(i))];
  const plain = (i: number): Interval => [theta[i] - z * error(i), theta[i] + z * error(i)];
  const [alpha, beta] = [theta[3], theta[4]];
  // The delta method for a = β/(α+β): da/dα = −β/(α+β)², da/dβ = α/(α+β)².
  const sum = (alpha + beta) ** 2;
  const [da, db] = [-beta / sum, alpha / sum];
  const at = (r: number, c: number) => covariance[r * VARIABLES + c];
  const deviation = Math.sqrt(da * da * at(3, 3) + 2 * da * db * at(3, 4) + db * db * at(4, 4));
  const a = beta / (alpha + beta);
  return {
    ...{ A: power(0), B: power(1), E: power(2), alpha: plain(3), beta: plain(4) },
    ...{ a: [a - z * deviation, a + z * deviation], b: [1 - a - z * deviation, 1 - a + z * deviation] },
  };
}

/** The covariance (5 × 5) and mean (5) of draws of θ, without the share of draws farthest out in any variable. */
export function drawnCovariance(draws: Float64Array): Float64Array {
  const count = draws.length / VARIABLES;
  const mean = new Float64Array(VARIABLES);
  for (let i = 0; i < draws.length; i++) mean[i % VARIABLES] += draws[i] / count;
  const covariance = new Float64Array(VARIABLES * VARIABLES);
  for (let k = 0; k < count; k++) {
    for (let r = 0; r < VARIABLES; r++) {
      for (let c = 0; c < VARIABLES; c++) {
        covariance[r * VARIABLES + c] +=
          ((draws[k * VARIABLES + r] - mean[r]) * (draws[k * VARIABLES + c] - mean[c])) / (count - 1);
      }
    }
  }
  return covariance;
}

export interface ConstantsTest {
  /** Wald's statistic (θ − θ₀)ᵀ Σ⁻¹ (θ − θ₀). */
  readonly statistic: number;
  readonly degrees: number;
  /** Probability of a statistic this large if θ₀ were true; 0 below 1e-300. */
  readonly p: number;
  readonly rejected: boolean;
}

/** Tests whether the data are consistent with other constants θ₀; null if the covariance is singular. */
export function testConstants(
  theta: Float64Array,
  covariance: Float64Array,
  other: Float64Array,
): ConstantsTest | null {
  const factor = covariance.slice();
  if (!factorCholesky(factor, VARIABLES)) return null;
  const inverse = invertCholesky(factor, VARIABLES);
  let statistic = 0;
  for (let r = 0; r < VARIABLES; r++)
    for (let c = 0; c < VARIABLES; c++)
      statistic += (theta[r] - other[r]) * inverse[r * VARIABLES + c] * (theta[c] - other[c]);
  const p = chiSquaredTail5(statistic);
  return { statistic, degrees: VARIABLES, p, rejected: p < 0.05 };
}

/** P(χ² > x) with 5 degrees of freedom: 2Φ(−√x) + √(2x/π)·e^(−x/2)·(1 + x/3) (Abramowitz and Stegun 26.4.4). */
export const chiSquaredTail5 = (x: number): number =>
  2 * normalCdf(-Math.sqrt(x)) + Math.sqrt((2 * x) / Math.PI) * Math.exp(-x / 2) * (1 + x / 3);
