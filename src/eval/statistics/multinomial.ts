/**
 * @file Draws multinomial counts, with which a bootstrap resamples aggregated data: one draw costs O(cells), not O(votes).
 */
import { randomStream } from "../../model/index.js";

/** Returns a uniform number in (0, 1) at each call. */
export type Uniform = () => number;

/** Uniform numbers with 52 random bits of stream `name` of a seed. */
export function uniformNumbers(seed: number, name: string): Uniform {
  const stream = randomStream(seed, name);
  const words = new Uint32Array(4);
  let index = 0;
  let at = 4;
  return () => {
    if (at === 4) {
      stream.block(index, words);
      index += 1;
      at = 0;
    }
    const [high, low] = [words[at], words[at + 1]];
    at += 2;
    return (high * 2 ** 20 + (low >>> 12) + 0.5) / 2 ** 52;
  };
}

/**
 * Draws a multinomial sample of as many draws as `counts` (C) adds up to, with probabilities proportional to `counts`, into
 * `out` (C). Each cell is binomial given the cells before it.
 */
export function drawMultinomial(counts: Float64Array, out: Float64Array, uniform: Uniform): void {
  let left = 0;
  for (const count of counts) left += count;
  if (left === counts.length && counts.every((count) => count === 1)) {
    out.fill(0);
    for (let draw = 0; draw < left; draw++) out[Math.floor(uniform() * left)] += 1;
    return;
  }
  let mass = left;
  for (let i = 0; i < counts.length; i++) {
    const drawn = left === 0 ? 0 : drawBinomial(left, Math.min(1, counts[i] / mass), uniform);
    out[i] = drawn;
    left -= drawn;
    mass -= counts[i];
  }
}

/**
 * Draws a binomial number of n trials with success probability p: by inversion if n·p < 10, else by Hörmann's transformed
 * rejection BTRS ("The generation of binomial random variates", 1993).
 */
export function drawBinomial(n: number, p: number, uniform: Uniform): number {
  if (p >= 1) return n;
  if (p <= 0 || n === 0) return 0;
  if (p > 0.5) return n - drawBinomial(n, 1 - p, uniform);
  return n * p < 10 ? byInversion(n, p, uniform) : byRejection(n, p, uniform);
}

function byInversion(n: number, p: number, uniform: Uniform): number {
  const odds = p / (1 - p);
  for (;;) {
    let rest = uniform();
    let probability = Math.exp(n * Math.log1p(-p));
    for (let k = 0; k <= n; k++) {
      if (rest < probability) return k;
      rest -= probability;
      probability *= ((n - k) / (k + 1)) * odds;
      // Rounding may leave a rest that no term reaches.
      if (probability < 1e-300) break;
    }
  }
}

function byRejection(n: number, p: number, uniform: Uniform): number {
  const deviation = Math.sqrt(n * p * (1 - p));
  const b = 1.15 + 2.53 * deviation;
  const a = -0.0873 + 0.0248 * b + 0.01 * p;
  const c = n * p + 0.5;
  const accepted = 0.92 - 4.2 / b;
  const logOdds = Math.log(p / (1 - p));
  const alpha = (2.83 + 5.1 / b) * deviation;
  const mode = Math.floor((n + 1) * p);
  const top = logFactorial(mode) + logFactorial(n - mode);
  for (;;) {
    const u = uniform() - 0.5;
    const v = uniform();
    const us = 0.5 - Math.abs(u);
    const k = Math.floor(((2 * a) / us + b) * u + c);
    if (k < 0 || k > n) continue;
    if (us >= 0.07 && v <= accepted) return k;
    const limit = top - logFactorial(k) - logFactorial(n - k) + (k - mode) * logOdds;
    if (Math.log((v * alpha) / (a / (us * us) + b)) <= limit) return k;
  }
}

const SMALL = new Float64Array(2048);
for (let k = 2; k < SMALL.length; k++) SMALL[k] = SMALL[k - 1] + Math.log(k);

/** Returns ln k!, from a table or by Stirling's series. */
export function logFactorial(k: number): number {
  if (k < SMALL.length) return SMALL[k];
  const x = k + 1;
  return (
    (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5)
  );
}
