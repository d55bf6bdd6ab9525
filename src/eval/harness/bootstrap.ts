/**
 * @file Standard errors by resampling documents with replacement (Efron 1979), with lm-eval's draws: a thousand rounds per seed
 * 0, 1, 2 …
 */
import { QuernError } from "../../errors.js";
import { PythonRandom } from "./python-random.js";

/** Computes a metric from the documents at these positions; positions may repeat. */
export type Statistic = (positions: Uint32Array) => number;

/** Rounds that share a seed. */
const CHUNK = 1000;

/** lm-eval's default number of rounds. */
export const BOOTSTRAP_ITERATIONS = 100_000;

/**
 * Returns the values of a statistic in rounds of `count` documents drawn with replacement. Rounds beyond the last whole chunk
 * of a thousand are left out, as in lm-eval.
 *
 * @throws QuernError for fewer than two rounds
 */
export function bootstrapValues(statistic: Statistic, count: number, iterations: number): Float64Array {
  if (!(iterations >= 2))
    throw new QuernError(`a bootstrap needs two rounds at least, not ${iterations}`, { exitCode: 2 });
  const chunk = Math.min(CHUNK, iterations);
  const chunks = Math.floor(iterations / chunk);
  const values = new Float64Array(chunks * chunk);
  const positions = new Uint32Array(count);
  for (let seed = 0; seed < chunks; seed++) {
    const random = new PythonRandom(seed);
    for (let i = 0; i < chunk; i++) {
      random.drawPositions(positions, count);
      values[seed * chunk + i] = statistic(positions);
    }
  }
  return values;
}

/** Returns the sample standard deviation of the bootstrap's values: the standard error of the statistic. */
export function bootstrapError(statistic: Statistic, count: number, iterations: number): number {
  return sampleDeviation(bootstrapValues(statistic, count, iterations));
}

/** Returns the standard deviation with n − 1 in the denominator. */
export function sampleDeviation(values: ArrayLike<number>): number {
  const n = values.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += values[i]!;
  const mean = sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (values[i]! - mean) ** 2;
  return Math.sqrt(squares / (n - 1));
}
