/** @file How fast a training program runs here, measured before a run is planned, and how a run keeps to it. */
import type { Program } from "../backends/index.js";
import type { Loader } from "./loader.js";
import { type OptimizerOptions, optimizerScalars } from "./optimizer.js";
import type { TrainingShape } from "./training-program.js";

export interface Pace {
  /** Seconds of one optimizer step, and of one batch of the `evaluate` entry. */
  readonly step: number;
  readonly evaluate: number;
}

/**
 * Times whole steps as the loop takes them, and the `evaluate` entry. Leaves the program's variables changed: write the
 * first values afterwards. The time of a step is the mean over `seconds`, not the median: what else this machine does now,
 * it will do while it trains.
 */
export async function measurePace(
  program: Program,
  { accumulate }: Pick<TrainingShape, "accumulate">,
  optimizer: OptimizerOptions,
  loader: Pick<Loader, "load">,
  seconds: number,
  signal?: AbortSignal,
): Promise<Pace> {
  let next = 0;
  const step = async () => {
    for (let part = 0; part < accumulate; part++) {
      await program.run("firstGradient", { ...(await loader.load(next++)) });
      program.read("loss");
    }
    await program.run("update", optimizerScalars(1, 0, optimizer));
  };
  const batch = await loader.load(0);
  const evaluate = () => program.run("evaluate", { ...batch });
  await step(); // caches and threads are cold
  await evaluate();
  return { step: await meanSeconds(step, seconds, signal), evaluate: await meanSeconds(evaluate, seconds / 8, signal) };
}

/** The mean time of runs that take `seconds` together, but are at least two. */
export async function meanSeconds(run: () => Promise<void>, seconds: number, signal?: AbortSignal): Promise<number> {
  const start = performance.now();
  for (let runs = 1; ; runs++) {
    signal?.throwIfAborted();
    await run();
    const total = (performance.now() - start) / 1000;
    if (runs >= 2 && total >= seconds) return total / runs;
  }
}

/** When training should end, and when it must, by `performance.now()`. */
export interface Deadline {
  readonly aim: number;
  readonly limit: number;
}

/** A pace is believed when it has held for so many seconds. */
const BELIEVED = 8;

/**
 * Watches a run that was promised to end in time. Gives another end, so that it meets its aim, where at the pace of the
 * last seconds it would pass its limit; else null. Most runs never hear of it: their steps were counted from a pace that
 * was measured.
 */
export function createWatch(
  deadline: Deadline,
  firstStep: number,
  now = () => performance.now(),
): (step: number, steps: number) => number | null {
  const marks = [{ step: firstStep, time: now() }];
  const held = Math.min(BELIEVED * 1000, 0.1 * (deadline.aim - marks[0].time)); // milliseconds
  return (step, steps) => {
    const time = now();
    if (time - marks[marks.length - 1].time >= held / 16) marks.push({ step, time });
    while (marks.length > 2 && time - marks[1].time >= held) marks.shift();
    const since = time - marks[0].time;
    if (since < held || step >= steps || step === marks[0].step) return null;
    const each = since / (step - marks[0].step);
    if (time + (steps - step) * each <= deadline.limit) return null;
    const end = step + Math.max(1, Math.floor((deadline.aim - time) / each));
    return end < steps ? end : null;
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
