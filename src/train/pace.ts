/** @file How fast a training program runs here, measured before a run is planned, and what fits into the time there is. */
import type { Program } from "../backends/index.js";
import { ADAMW_DEFAULTS, adamwScalars } from "./adamw.js";
import type { TrainingShape } from "./training-program.js";

export interface Pace {
  /** Seconds of one optimizer step, and of one batch of the `evaluate` entry. */
  readonly step: number;
  readonly evaluate: number;
}

/** Runs are timed until so many seconds have gone, but at least twice: the first finds caches and threads cold. */
const LONG_ENOUGH = 2;

/**
 * Times the entries of a training program. Leaves its variables changed: write the first values afterwards.
 * @param batch any ids and targets that fit it
 */
export async function measurePace(
  program: Program,
  { accumulate }: TrainingShape,
  batch: Readonly<Record<"ids" | "targets", Int32Array>>,
  signal?: AbortSignal,
): Promise<Pace> {
  const gradient = await secondsOf(() => program.run("firstGradient", batch), signal);
  const update = await secondsOf(() => program.run("update", adamwScalars(1, 0, ADAMW_DEFAULTS)), signal);
  return {
    step: gradient * accumulate + update,
    evaluate: await secondsOf(() => program.run("evaluate", batch), signal),
  };
}

/** The median time of a few runs, the first of them aside. */
export async function secondsOf(run: () => Promise<void>, signal?: AbortSignal): Promise<number> {
  const times: number[] = [];
  let total = 0;
  while (times.length < 2 || (times.length < 8 && total < LONG_ENOUGH)) {
    signal?.throwIfAborted();
    const start = performance.now();
    await run();
    times.push((performance.now() - start) / 1000);
    total += times[times.length - 1];
  }
  return median(times.slice(1));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
