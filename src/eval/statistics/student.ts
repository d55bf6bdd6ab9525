/** @file Student's t distribution, through the regularized incomplete beta function. */
import { normalQuantile } from "./normal.js";

/** Returns ln Γ(x) for x > 0, by Stirling's series above 8 and the recurrence below it. */
export function logGamma(x: number): number {
  let product = 1;
  let at = x;
  for (; at < 8; at++) product *= at;
  const inverse = 1 / (at * at);
  const series =
    1 / 12 -
    inverse * (1 / 360 - inverse * (1 / 1260 - inverse * (1 / 1680 - inverse * (1 / 1188 - inverse * (691 / 360360)))));
  return (at - 0.5) * Math.log(at) - at + 0.5 * Math.log(2 * Math.PI) + series / at - Math.log(product);
}

/**
 * Returns the regularized incomplete beta function I_x(a, b) by its continued fraction, with Lentz's method (Press et al.,
 * "Numerical Recipes", 2007, 6.4).
 * @param odds x / (1 − x), which keeps its precision where x is near 0 or 1
 */
function incompleteBeta(odds: number, a: number, b: number): number {
  if (odds === 0) return 0;
  if (odds === Infinity) return 1;
  const x = odds / (1 + odds);
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 / odds, b, a);
  const logFactor =
    logGamma(a + b) - logGamma(a) - logGamma(b) - a * Math.log1p(1 / odds) - b * Math.log1p(odds) - Math.log(a);
  return Math.exp(logFactor) * betaFraction(x, a, b);
}

const MOST_TERMS = 100_000;
const TINY = 1e-300;

function betaFraction(x: number, a: number, b: number): number {
  const nonZero = (value: number) => (Math.abs(value) < TINY ? TINY : value);
  let c = 1;
  let d = 1 / nonZero(1 - ((a + b) * x) / (a + 1));
  let fraction = d;
  const step = (numerator: number): number => {
    d = 1 / nonZero(1 + numerator * d);
    c = nonZero(1 + numerator / c);
    fraction *= c * d;
    return c * d;
  };
  for (let m = 1; m <= MOST_TERMS; m++) {
    step((m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)));
    const change = step((-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)));
    if (Math.abs(change - 1) < 1e-16) break;
  }
  return fraction;
}

/** Returns P(|T| ≥ |t|) for T with Student's distribution of `freedom` > 0 degrees. */
export function studentTwoSided(t: number, freedom: number): number {
  return incompleteBeta(freedom / (t * t), freedom / 2, 0.5);
}

/** Returns the t with P(|T| ≤ t) = `confidence` in (0, 1), by bisection. */
export function studentQuantile(confidence: number, freedom: number): number {
  let low = 0;
  let high = Math.max(1, normalQuantile((1 + confidence) / 2));
  while (studentTwoSided(high, freedom) > 1 - confidence) high *= 2;
  for (let i = 0; i < 200; i++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (studentTwoSided(middle, freedom) > 1 - confidence) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
