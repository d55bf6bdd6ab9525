/** @file The standard normal distribution, and quantiles of a sample. */

/** Returns Φ(x), by Marsaglia's series ("Evaluating the normal distribution", 2004), within 1e-15 for |x| ≤ 7. */
export function normalCdf(x: number): number {
  if (x < -38) return 0;
  if (x > 7) return 1 - normalCdf(-x);
  if (x < -7) {
    // Continued fraction of the tail, from its far end.
    let fraction = 0;
    for (let k = 60; k >= 1; k--) fraction = k / (-x + fraction);
    return density(x) / (-x + fraction);
  }
  let sum = x;
  let term = x;
  for (let k = 3; Math.abs(term) > 1e-17 * Math.abs(sum); k += 2) {
    term *= (x * x) / k;
    sum += term;
  }
  return 0.5 + sum * density(x);
}

const density = (x: number) => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

/** Returns the z for which Φ(z) = `probability`, by bisection and Newton's method. The probability must lie in (0, 1). */
export function normalQuantile(probability: number): number {
  if (probability > 0.5) return -normalQuantile(1 - probability);
  let [low, high] = [-38, 0];
  while (high - low > 1e-3) {
    const middle = (low + high) / 2;
    if (normalCdf(middle) < probability) low = middle;
    else high = middle;
  }
  let z = (low + high) / 2;
  for (let i = 0; i < 4; i++) z -= (normalCdf(z) - probability) / density(z);
  return z;
}

/** Returns a quantile of ascending values, by linear interpolation between them (type 7 of Hyndman and Fan 1996). */
export function quantile(sorted: ArrayLike<number>, probability: number): number {
  const at = probability * (sorted.length - 1);
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}
