/**
 * @file Finds the levels and scale of a group in ggml's K-quants: some 20 candidate scales, each refined by weighted least
 * squares; the best one wins.
 *
 * Results equal ggml's, which computes in float32: every intermediate result is rounded, in the same order. That is slow, so
 * a candidate is first judged in float64 and rejected if it cannot win, whatever its roundings. Scratch arrays are shared,
 * so nothing is allocated per group.
 */
const { fround, abs, max, sqrt } = Math;

/** Adding 1.5 · 2^23 to a float32 below 2^22 rounds it to an integer, ties to even; in float64, 1.5 · 2^52. */
const ROUNDING = 12_582_912;
const ROUNDING_64 = 6_755_399_441_055_744;
/** Smaller magnitudes are rounded as a number is; others give the low bits of their sum. */
const RELIABLE = 4_194_303;
const TENTH = fround(0.1);
/** Groups with smaller values are stored as 0. */
export const LEAST_MAGNITUDE = fround(1e-15);
/** Sums between these cannot be changed by the limits of float32. */
const [SMALL, LARGE] = [1e-30, 1e37];

const scratch = new Float32Array(1);
const scratchBits = new Int32Array(scratch.buffer);

/** Rounds to an integer, ties to even, with ggml's result for numbers outside of ± 2^22: the low bits of their sum. */
export function nearestInteger(value: number): number {
  scratch[0] = value + ROUNDING;
  return (scratchBits[0] & 0x7fffff) - 0x400000;
}

/** As nearestInteger of a float32, limited to least … most. */
export function nearestLevel(value: number, least: number, most: number): number {
  const rounded = fround(value + ROUNDING) - ROUNDING;
  if (rounded >= least && rounded <= most) return rounded;
  if (abs(value) < RELIABLE) return rounded < least ? least : most;
  return max(least, Math.min(most, nearestInteger(value)));
}

/** As nearestLevel of a product that is not yet rounded to float32. */
function productLevel(product: number, least: number, most: number): number {
  const rounded = product + ROUNDING_64 - ROUNDING_64;
  // Rounding to float32 matters only close to halves, and for products that are not finite.
  if (!(abs(abs(product - rounded) - 0.5) > 1e-4 && abs(product) < 1000)) {
    return nearestLevel(fround(product), least, most);
  }
  return rounded < least ? least : rounded > most ? most : rounded;
}

/** A group's values, weights and candidate levels; float64 avoids conversions. */
const group = new Float64Array(32);
const shifted = new Float64Array(32);
const weights = new Float64Array(32);
const candidate = new Float64Array(32);
/** Levels of a super-block, and scales and minima of its groups. */
export const levels = new Uint8Array(256);
export const scales = new Float32Array(16);
export const minima = new Float32Array(8);

/** How a K-quant with minima searches: its greatest level, the first candidate's offset from it, and the last candidate. */
export interface Search {
  readonly most: number;
  readonly first: number;
  readonly steps: number;
}

/**
 * Fits group `g` (32 values from `from`) as scale · level − minimum with minimum ≥ 0. Large values weigh more: a value's
 * weight is its magnitude plus the group's root mean square. Sets the group's levels, scale and minimum.
 */
export function fitGroup(values: Float32Array, from: number, g: number, { most, first, steps }: Search): void {
  let squares = 0;
  for (let i = 0; i < 32; i++) {
    const value = values[from + i];
    group[i] = value;
    squares = fround(squares + fround(value * value));
  }
  const rootMeanSquare = fround(sqrt(fround(squares / 32)));
  let least = group[0];
  let greatest = group[0];
  let sumW = 0;
  let sumWX = 0;
  for (let i = 0; i < 32; i++) {
    const value = group[i];
    const weight = fround(rootMeanSquare + abs(value));
    weights[i] = weight;
    if (value < least) least = value;
    if (value > greatest) greatest = value;
    sumW = fround(sumW + weight);
    sumWX = fround(sumWX + fround(weight * value));
  }
  if (least > 0) least = 0;
  const base = g * 32;
  if (greatest === least) {
    levels.fill(0, base, base + 32);
    scales[g] = 0;
    minima[g] = -least;
    return;
  }
  describeGroup(max(greatest, -least));
  let minimum = least;
  let inverse = fround(most / fround(greatest - minimum));
  let scale = fround(1 / inverse);
  let error = 0;
  for (let i = 0; i < 32; i++) {
    shifted[i] = fround(group[i] - minimum);
    const level = nearestLevel(fround(inverse * shifted[i]), 0, most);
    levels[base + i] = level;
    const difference = fround(fround(fround(scale * level) + minimum) - group[i]);
    error = fround(error + fround(weights[i] * fround(difference * difference)));
  }
  for (let step = 0; step <= steps; step++) {
    inverse = fround(fround(fround(first + fround(TENTH * step)) + most) / fround(greatest - minimum));
    if (cannotWin(inverse, most, error)) continue;
    let sumWL = 0;
    let sumWLL = 0;
    let sumWLX = 0;
    for (let i = 0; i < 32; i++) {
      const level = candidate[i];
      const weighted = fround(weights[i] * level);
      sumWL = fround(sumWL + weighted);
      sumWLL = fround(sumWLL + fround(weighted * level));
      sumWLX = fround(sumWLX + fround(weighted * group[i]));
    }
    const determinant = fround(fround(sumW * sumWLL) - fround(sumWL * sumWL));
    if (!(determinant > 0)) continue;
    let fittedScale = fround(fround(fround(sumW * sumWLX) - fround(sumWX * sumWL)) / determinant);
    let fittedMinimum = fround(fround(fround(sumWLL * sumWX) - fround(sumWL * sumWLX)) / determinant);
    if (fittedMinimum > 0) {
      fittedMinimum = 0;
      fittedScale = fround(sumWLX / sumWLL);
    }
    let fittedError = 0;
    // The error only grows, so a worse fit is known early.
    for (let i = 0; i < 32 && !(fittedError >= error); i++) {
      const difference = fround(fround(fround(fittedScale * candidate[i]) + fittedMinimum) - group[i]);
      fittedError = fround(fittedError + fround(weights[i] * fround(difference * difference)));
    }
    if (!(fittedError < error)) continue;
    error = fittedError;
    scale = fittedScale;
    minimum = fittedMinimum;
    for (let i = 0; i < 32; i++) {
      levels[base + i] = candidate[i];
      shifted[i] = fround(group[i] - minimum);
    }
  }
  scales[g] = scale;
  minima[g] = -minimum;
}

/** Σw, Σwx and Σwx² of the group in float64, its weighted variance · Σw, and its largest magnitude. */
let [totalW, totalWX, totalWXX, spread, largest] = [0, 0, 0, 0, 0];

function describeGroup(magnitude: number): void {
  totalW = 0;
  totalWX = 0;
  totalWXX = 0;
  for (let i = 0; i < 32; i++) {
    const weighted = weights[i] * group[i];
    totalW += weights[i];
    totalWX += weighted;
    totalWXX += weighted * group[i];
  }
  spread = totalWXX - (totalWX * totalWX) / totalW;
  largest = magnitude;
}

/**
 * Sets the candidate's levels, and returns whether its error in float32 is certainly not below `error`. No scale and
 * minimum fit better than those of least squares in exact arithmetic. Rounding lowers their error by at most what is
 * subtracted here; where that is not certain, the answer is false.
 */
function cannotWin(inverse: number, most: number, error: number): boolean {
  let sumWL = 0;
  let sumWLL = 0;
  let sumWLX = 0;
  for (let i = 0; i < 32; i++) {
    const level = productLevel(inverse * shifted[i], 0, most);
    candidate[i] = level;
    const weighted = weights[i] * level;
    sumWL += weighted;
    sumWLL += weighted * level;
    sumWLX += weighted * group[i];
  }
  const varianceL = sumWLL - (sumWL * sumWL) / totalW;
  // Levels that are nearly equal make the fit ill-conditioned.
  if (!(varianceL > 1e-3 * sumWLL && error > SMALL)) return false;
  const covariance = sumWLX - (totalWX * sumWL) / totalW;
  const scale = covariance / varianceL;
  const leastError = spread - scale * covariance - 1e-8 * spread - 1e-11 * totalWXX;
  // The greatest rounding error of a difference scale · level + minimum − value, and of the sum of its squares.
  const steepest = max(abs(scale), abs(sumWLX) / sumWLL);
  const minimum = abs(totalWX - scale * sumWL) / totalW;
  const rounding = 2 ** -22 * (minimum + steepest * most + largest);
  if (!(leastError > 4 * rounding * rounding * totalW)) return false;
  return leastError * (1 - 1e-5) - 2 * rounding * sqrt(totalW * leastError) - rounding * rounding * totalW > error;
}

/**
 * Fits group `g` (16 values from `from`) as scale · (level − 32), and sets its levels and scale. The scale maximizes
 * (Σ w·x·q)² / Σ w·q², with weights w = x².
 */
export function fitSymmetric(values: Float32Array, from: number, g: number): void {
  const base = g * 16;
  let magnitude = 0;
  let extreme = 0;
  for (let i = 0; i < 16; i++) {
    const value = values[from + i];
    group[i] = value;
    if (abs(value) > magnitude) {
      magnitude = abs(value);
      extreme = value;
    }
  }
  if (magnitude < LEAST_MAGNITUDE) {
    levels.fill(0, base, base + 16);
    scales[g] = 0;
    return;
  }
  for (let i = 0; i < 16; i++) {
    weights[i] = fround(group[i] * group[i]);
    shifted[i] = fround(weights[i] * group[i]); // w·x
  }
  let scale = 0;
  let best = 0;
  // The plain scale comes first, then the others from small to large.
  for (let step = -10; step <= 9; step++) {
    if (step === 0) continue;
    const plain = step === -10;
    const inverse = fround(-(plain ? 32 : fround(32 + fround(TENTH * step))) / extreme);
    if (cannotImprove(inverse, best) && !plain) continue;
    let sumWXQ = 0;
    let sumWQQ = 0;
    for (let i = 0; i < 16; i++) {
      const q = candidate[i];
      sumWXQ = fround(sumWXQ + fround(shifted[i] * q));
      sumWQQ = fround(sumWQQ + fround(fround(weights[i] * q) * q));
    }
    if (!plain && !(sumWQQ > 0 && fround(sumWXQ * sumWXQ) > fround(best * sumWQQ))) continue;
    for (let i = 0; i < 16; i++) levels[base + i] = candidate[i] + 32;
    scale = sumWQQ === 0 ? 0 : fround(sumWXQ / sumWQQ);
    best = fround(scale * sumWXQ);
  }
  scales[g] = scale;
}

/**
 * Sets the candidate's levels, and returns whether it is certainly no better than `best` in float32. All terms of a sum have
 * the same sign, so the sums of 16 are exact to 20 roundings.
 */
function cannotImprove(inverse: number, best: number): boolean {
  let sumWXQ = 0;
  let sumWQQ = 0;
  for (let i = 0; i < 16; i++) {
    const q = productLevel(inverse * group[i], -32, 31);
    candidate[i] = q;
    sumWXQ += shifted[i] * q;
    sumWQQ += weights[i] * q * q;
  }
  const [square, bound] = [sumWXQ * sumWXQ, best * sumWQQ];
  return square > SMALL && bound < LARGE && square * (1 + 1e-5) < bound;
}
