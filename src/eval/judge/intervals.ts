/** @file Confidence intervals of judged rates, and the number of judgements that a wanted interval takes. */
import { QuernError } from "../../errors.js";
import { randomStream } from "../../model/index.js";

export interface Interval {
  readonly lower: number;
  readonly upper: number;
}

/**
 * Returns the normal interval estimate ± z · error, cut to [least, most].
 * @param confidence coverage, such as .95
 */
export function normalInterval(
  estimate: number,
  error: number,
  {
    confidence = 0.95,
    least = -Infinity,
    most = Infinity,
  }: { confidence?: number; least?: number; most?: number } = {},
): Interval {
  const half = zOf(confidence) * error;
  return { lower: Math.max(least, estimate - half), upper: Math.min(most, estimate + half) };
}

/**
 * Returns Wilson's score interval for a share of `count` successes among `total` (Wilson 1927). Unlike the normal
 * interval it keeps its coverage near 0 and 1.
 * @param total at least 1
 */
export function wilsonInterval(count: number, total: number, confidence = 0.95): Interval {
  const z = zOf(confidence);
  const share = count / total;
  const center = (share + (z * z) / (2 * total)) / (1 + (z * z) / total);
  const half = (z * Math.sqrt((share * (1 - share)) / total + (z / (2 * total)) ** 2)) / (1 + (z * z) / total);
  return { lower: Math.max(0, center - half), upper: Math.min(1, center + half) };
}

export interface BootstrapOptions {
  /** Samples drawn. Default 1,000. */
  readonly samples?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Default .95. */
  readonly confidence?: number;
}

export interface BootstrapInterval extends Interval {
  /** Standard deviation of the statistic over the samples. */
  readonly standardError: number;
}

/**
 * Returns the percentile interval of any statistic over samples drawn with replacement (Efron 1979). Draw whole items,
 * such as questions with all their judgements, when the judgements of one item depend on each other.
 * @param items at least 2
 */
export function bootstrapInterval<T>(
  items: readonly T[],
  statistic: (sample: readonly T[]) => number,
  { samples = 1000, seed = 0, confidence = 0.95 }: BootstrapOptions = {},
): BootstrapInterval {
  if (items.length < 2)
    throw new QuernError(`a bootstrap needs at least 2 items, not ${items.length}`, { exitCode: 2 });
  if (!Number.isInteger(samples) || samples < 2) {
    throw new QuernError(`samples must be a whole number of at least 2, not ${samples}`, { exitCode: 2 });
  }
  checkConfidence(confidence);
  const stream = randomStream(seed, "bootstrap");
  const values = Array.from({ length: samples }, (_, s) =>
    statistic(items.map((_, i) => items[Math.floor(stream.uniform(s * items.length + i) * items.length)])),
  ).sort((a, b) => a - b);
  const quantile = (p: number) => {
    const at = p * (samples - 1);
    const below = Math.floor(at);
    const above = Math.min(samples - 1, below + 1);
    return values[below] + (at - below) * (values[above] - values[below]);
  };
  const center = values.reduce((sum, value) => sum + value, 0) / samples;
  const squares = values.reduce((sum, value) => sum + (value - center) ** 2, 0);
  return {
    lower: quantile((1 - confidence) / 2),
    upper: quantile((1 + confidence) / 2),
    standardError: Math.sqrt(squares / (samples - 1)),
  };
}

export interface SampleSizeOptions {
  /** Wanted half width of the interval, in the unit of the values: .02 for ± 2 points of a share. */
  readonly halfWidth: number;
  /** Standard deviation of one judgement. Default .5, the most that a value in [0, 1] can have. */
  readonly deviation?: number;
  /** Default .95. */
  readonly confidence?: number;
  /** Judgements that exist in all; the sample needs fewer when it is a large part of them (Cochran 1977). */
  readonly population?: number;
}

/** Returns how many independent judgements give a mean with an interval of ± `halfWidth`: (z · deviation / halfWidth)². */
export function sampleSize({ halfWidth, deviation = 0.5, confidence = 0.95, population }: SampleSizeOptions): number {
  if (!(halfWidth > 0)) throw new QuernError(`halfWidth must be more than 0, not ${halfWidth}`, { exitCode: 2 });
  if (!(deviation >= 0)) throw new QuernError(`deviation must be at least 0, not ${deviation}`, { exitCode: 2 });
  const infinite = ((zOf(confidence) * deviation) / halfWidth) ** 2;
  const needed = population === undefined ? infinite : infinite / (1 + (infinite - 1) / population);
  return Math.max(1, Math.ceil(needed - 1e-9));
}

/** Returns z with P(|Z| ≤ z) = confidence for a standard normal Z. */
export function zOf(confidence: number): number {
  checkConfidence(confidence);
  return normalQuantile((1 + confidence) / 2);
}

/** Returns the quantile of the standard normal distribution at `p` in (.5, 1), to about 1e-15, by Newton's method. */
function normalQuantile(p: number): number {
  const tail = 1 - p;
  // The bound of the Gaussian tail starts close enough for the logarithm of the tail to converge.
  let z = Math.sqrt(Math.max(0, -2 * Math.log(2 * tail)));
  for (let i = 0; i < 50; i++) {
    const upper = upperTail(z);
    const step = (upper - tail) / density(z);
    z += step;
    if (Math.abs(step) < 1e-15 * Math.max(1, z)) break;
  }
  return z;
}

const density = (z: number) => Math.exp(-(z * z) / 2) / Math.sqrt(2 * Math.PI);

/** P(Z > z) for z ≥ 0: a series near 0, Laplace's continued fraction beyond 3. */
function upperTail(z: number): number {
  if (z < 3) {
    let term = z;
    let sum = z;
    for (let k = 1; Math.abs(term) > 1e-17 * Math.abs(sum); k++) {
      term *= (z * z) / (2 * k + 1);
      sum += term;
    }
    return 0.5 - density(z) * sum;
  }
  let fraction = z;
  for (let k = 200; k >= 1; k--) fraction = z + k / fraction;
  return density(z) / fraction;
}

function checkConfidence(confidence: number): void {
  if (confidence > 0 && confidence < 1) return;
  throw new QuernError(`confidence must be between 0 and 1, not ${confidence}`, { exitCode: 2 });
}
