/**
 * @file Bootstrap of ratings: the votes are resampled with replacement, as multinomial counts of the distinct results, and rated
 * again (Efron 1979). Intervals are percentiles of the resampled ratings.
 */
import { setImmediate as turn } from "node:timers/promises";
import { QuernError } from "../../errors.js";
import type { OnProgress } from "../../progress.js";
import { drawMultinomial, quantile, uniformNumbers } from "../statistics/index.js";

export interface BootstrapOptions {
  readonly resamples: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Milliseconds after which the event loop gets a turn. */
const PAUSE = 25;

/**
 * Resamples `counts` (C) and returns the estimates (P) of each resample.
 * @param estimate returns the parameters for resampled counts (C); undefined if the resample does not determine them
 * @throws QuernError if fewer than half of the resamples determine the parameters
 */
export async function bootstrapEstimates(
  counts: Float64Array,
  estimate: (weights: Float64Array) => Float64Array | undefined,
  { resamples, seed, signal, onProgress }: BootstrapOptions,
): Promise<readonly Float64Array[]> {
  const uniform = uniformNumbers(seed, "bootstrap");
  const weights = new Float64Array(counts.length);
  const estimates: Float64Array[] = [];
  let last = performance.now();
  for (let resample = 0; resample < resamples; resample++) {
    drawMultinomial(counts, weights, uniform);
    const found = estimate(weights);
    if (found !== undefined) estimates.push(found);
    if (performance.now() - last < PAUSE) continue;
    await turn();
    signal?.throwIfAborted();
    onProgress?.({ task: "bootstrap", done: resample + 1, total: resamples, unit: "resample" });
    last = performance.now();
  }
  if (estimates.length >= resamples / 2) return estimates;
  throw new QuernError(
    `only ${estimates.length} of ${resamples} resamples connect all models; collect more votes, or rank without --bootstrap`,
  );
}

/** Returns the lower and upper percentile of one parameter's estimates. */
export function percentileInterval(values: Float64Array, confidence: number): readonly [lower: number, upper: number] {
  const sorted = values.slice().sort();
  return [quantile(sorted, (1 - confidence) / 2), quantile(sorted, (1 + confidence) / 2)];
}
