/**
 * @file The Bradley–Terry model by maximum likelihood: a wins against b with probability 1 / (1 + exp(−η)),
 * η = θ_a − θ_b + β·x, and a tie is half a win of each (Bradley and Terry 1952; Hunter 2004; Chiang et al., "Chatbot Arena", 2024).
 *
 * The parameters (P) are θ of all models but one, the anchor, whose θ is 0, then the coefficients β of the covariates.
 */
import { QuernError } from "../../errors.js";
import { factorCholesky, invertCholesky, logDeterminant, sandwich, solveCholesky } from "../statistics/index.js";
import type { Comparisons } from "./comparisons.js";

/** A fitted model. */
export interface Fit {
  /** (P) */
  readonly parameters: Float64Array;
  /** (P, P) Cholesky factor of the information matrix there, in the lower triangle. */
  readonly factor: Float64Array;
  readonly logLikelihood: number;
}

/** The design: which parameter belongs to which model. */
export interface Design {
  readonly comparisons: Comparisons;
  readonly P: number;
  /** (M) parameter of each model; −1 for the anchor. */
  readonly slots: Int32Array;
}

/** @param anchor index of the model whose θ is 0 */
export function designOf(comparisons: Comparisons, anchor: number): Design {
  const { M, F } = comparisons;
  const slots = Int32Array.from({ length: M }, (_, m) => (m === anchor ? -1 : m < anchor ? m : m - 1));
  return { comparisons, P: M - 1 + F, slots };
}

const MOST_STEPS = 100;
const MOST_HALVINGS = 30;
/** Largest change of a parameter in the last step. */
const TOLERANCE = 1e-10;
/** θ beyond this has diverged: the odds of a vote would be e^40. */
const DIVERGED = 40;

export interface FitOptions {
  /** (C) weights of the observations; default: their counts. */
  readonly weights?: Float64Array;
  /** (P) parameters to begin with; default 0. */
  readonly start?: Float64Array;
  /**
   * Whether to add Jeffreys' prior, ½·ln det of the information, to the log-likelihood (Firth, "Bias reduction of maximum
   * likelihood estimates", 1993; Heinze and Schemper 2002). Its maximum is finite even where a model won every vote.
   */
  readonly firth?: boolean;
}

/** Maximises the likelihood by Newton's method with step halving. @throws QuernError if the parameters are not determined */
export function fitBradleyTerry(design: Design, options: FitOptions = {}): Fit {
  const { P, comparisons } = design;
  const { weights = comparisons.count, start, firth = false } = options;
  let parameters: Float64Array = start?.slice() ?? new Float64Array(P);
  const factor = new Float64Array(P * P);
  const gradient = new Float64Array(P);
  /** The penalised log-likelihood at some parameters; leaves gradient, factor and information for them. */
  const evaluate = (at: Float64Array): { value: number; plain: number } => {
    gradient.fill(0);
    factor.fill(0);
    const plain = accumulate(design, at, weights, gradient, factor);
    if (!factorCholesky(factor, P)) return { value: Number.NEGATIVE_INFINITY, plain };
    return { value: firth ? plain + 0.5 * logDeterminant(factor, P) : plain, plain };
  };
  let current = evaluate(parameters);
  if (current.value === Number.NEGATIVE_INFINITY) throw undetermined(comparisons);
  for (let step = 0; step < MOST_STEPS; step++) {
    const curvature = firth ? addFirthScore(design, parameters, weights, invertCholesky(factor, P), gradient) : factor;
    const change = gradient.slice();
    solveCholesky(curvature, P, change);
    const largest = change.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
    let scale = 1;
    for (let halving = 0; ; halving++) {
      const tried = parameters.map((value, p) => value + scale * change[p]);
      const found = evaluate(tried);
      // Rounding may lower the value by a few units in its last place.
      if (found.value >= current.value - 1e-12 * Math.abs(current.value) || halving === MOST_HALVINGS) {
        parameters = tried;
        current = found;
        break;
      }
      scale /= 2;
    }
    if (parameters.some((value) => Math.abs(value) > DIVERGED)) throw undetermined(comparisons);
    if (largest * scale < TOLERANCE) return { parameters, factor, logLikelihood: current.plain };
    if (current.value === Number.NEGATIVE_INFINITY) throw undetermined(comparisons);
  }
  throw undetermined(comparisons);
}

const undetermined = ({ F }: Comparisons) =>
  new QuernError(
    F === 0
      ? "the votes do not determine the ratings; collect more votes between the models"
      : "the votes do not tell the models from their styles; rank without --style, or collect more votes",
  );

/** Largest last step of a resample: 2e-6 rating points. The error left is smaller still. */
const NEARBY_TOLERANCE = 1e-8;

/**
 * Maximises the likelihood of other weights near a fit, with the information of that fit: a step costs one pass over the
 * observations and one solve. Returns undefined if that does not converge.
 */
export function refitNearby(design: Design, fit: Fit, weights: Float64Array): Float64Array | undefined {
  const { P } = design;
  const parameters = fit.parameters.slice();
  const gradient = new Float64Array(P);
  let before = Number.POSITIVE_INFINITY;
  for (let step = 0; step < 30; step++) {
    gradient.fill(0);
    accumulate(design, parameters, weights, gradient, undefined);
    solveCholesky(fit.factor, P, gradient);
    let largest = 0;
    for (let p = 0; p < P; p++) {
      parameters[p] += gradient[p];
      largest = Math.max(largest, Math.abs(gradient[p]));
    }
    if (largest < NEARBY_TOLERANCE) return parameters;
    if (!(largest < 0.7 * before)) return undefined;
    before = largest;
  }
  return undefined;
}

/**
 * Adds up the score Σ w (y − p) x in `gradient` (P) and the information Σ w p (1 − p) x xᵀ in the lower triangle of
 * `information` (P, P), and returns the log-likelihood; without `information` only the score.
 */
function accumulate(
  { comparisons, P, slots }: Design,
  parameters: Float64Array,
  weights: Float64Array,
  gradient: Float64Array,
  information: Float64Array | undefined,
): number {
  const { M, F, first, second, outcome, features } = comparisons;
  let logLikelihood = 0;
  for (let c = 0; c < outcome.length; c++) {
    const weight = weights[c];
    if (weight === 0) continue;
    const [a, b] = [slots[first[c]], slots[second[c]]];
    let eta = (a < 0 ? 0 : parameters[a]) - (b < 0 ? 0 : parameters[b]);
    for (let f = 0; f < F; f++) eta += parameters[M - 1 + f] * features[c * F + f];
    const tail = Math.exp(-Math.abs(eta));
    const p = eta >= 0 ? 1 / (1 + tail) : tail / (1 + tail);
    if (information !== undefined) logLikelihood += weight * (outcome[c] * eta - Math.max(0, eta) - Math.log1p(tail));
    const residual = weight * (outcome[c] - p);
    if (a >= 0) gradient[a] += residual;
    if (b >= 0) gradient[b] -= residual;
    for (let f = 0; f < F; f++) gradient[M - 1 + f] += residual * features[c * F + f];
    if (information !== undefined)
      addOuter(information, P, a, b, features, c * F, F, M, (weight * tail) / (1 + tail) ** 2);
  }
  return logLikelihood;
}

/** Adds w·x·xᵀ, in the lower triangle, for x with 1 at a, −1 at b and covariates at the end. */
function addOuter(
  matrix: Float64Array,
  P: number,
  a: number,
  b: number,
  features: Float64Array,
  at: number,
  F: number,
  M: number,
  w: number,
): void {
  if (a >= 0) matrix[a * P + a] += w;
  if (b >= 0) matrix[b * P + b] += w;
  if (a >= 0 && b >= 0) matrix[a > b ? a * P + b : b * P + a] -= w;
  for (let f = 0; f < F; f++) {
    const row = (M - 1 + f) * P;
    const value = w * features[at + f];
    if (a >= 0) matrix[row + a] += value;
    if (b >= 0) matrix[row + b] -= value;
    for (let g = 0; g <= f; g++) matrix[row + M - 1 + g] += value * features[at + g];
  }
}

/**
 * Adds Firth's correction Σ h (½ − p) x to the score, with h = w p (1 − p) xᵀ I⁻¹ x, the leverage. Returns the Cholesky factor of
 * Σ (w + h) p (1 − p) x xᵀ, the information of the votes and of the h half wins and half losses that the correction amounts to.
 */
function addFirthScore(
  { comparisons, P, slots }: Design,
  parameters: Float64Array,
  weights: Float64Array,
  inverse: Float64Array,
  gradient: Float64Array,
): Float64Array {
  const { M, F, first, second, features } = comparisons;
  const information = new Float64Array(P * P);
  for (let c = 0; c < first.length; c++) {
    if (weights[c] === 0) continue;
    const [a, b] = [slots[first[c]], slots[second[c]]];
    const parts: [slot: number, value: number][] = [];
    if (a >= 0) parts.push([a, 1]);
    if (b >= 0) parts.push([b, -1]);
    for (let f = 0; f < F; f++) parts.push([M - 1 + f, features[c * F + f]]);
    let eta = 0;
    let form = 0;
    for (const [p, x] of parts) {
      eta += parameters[p] * x;
      for (const [q, z] of parts) form += x * z * inverse[p * P + q];
    }
    const p = 1 / (1 + Math.exp(-eta));
    const leverage = weights[c] * p * (1 - p) * form;
    for (const [slot, x] of parts) gradient[slot] += leverage * (0.5 - p) * x;
    addOuter(information, P, a, b, features, c * F, F, M, (weights[c] + leverage) * p * (1 - p));
  }
  factorCholesky(information, P);
  return information;
}

/**
 * Returns the covariance (P, P) of a fit. `robust`: the sandwich I⁻¹ (Σ w (y − p)² x xᵀ) I⁻¹, which holds even if the model is
 * wrong (Huber 1967; White 1982), and counts a tie as one vote. Otherwise I⁻¹.
 */
export function covarianceOf(design: Design, fit: Fit, { robust }: { readonly robust: boolean }): Float64Array {
  const { comparisons, P, slots } = design;
  const { M, F, first, second, outcome, features, count } = comparisons;
  const inverse = invertCholesky(fit.factor, P);
  if (!robust) return inverse;
  const middle = new Float64Array(P * P);
  for (let c = 0; c < outcome.length; c++) {
    const [a, b] = [slots[first[c]], slots[second[c]]];
    let eta = (a < 0 ? 0 : fit.parameters[a]) - (b < 0 ? 0 : fit.parameters[b]);
    for (let f = 0; f < F; f++) eta += fit.parameters[M - 1 + f] * features[c * F + f];
    const residual = outcome[c] - 1 / (1 + Math.exp(-eta));
    addOuter(middle, P, a, b, features, c * F, F, M, count[c] * residual * residual);
  }
  for (let i = 0; i < P; i++) for (let j = 0; j < i; j++) middle[j * P + i] = middle[i * P + j];
  return sandwich(inverse, middle, P);
}
