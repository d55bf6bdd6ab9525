/** @file Measures a trainer's throughput before a run is planned, and shortens a run that would miss its deadline. */
import { type BatchSource, step } from "./step.js";
import type { TrainingProgram } from "./trainer.js";

export interface Throughput {
  /** Seconds of one optimizer step, and of one batch of the `evaluate` entry. */
  readonly step: number;
  readonly evaluate: number;
}

/** The rate does not matter: a step takes as long at 0. */
const SCHEDULE = { kind: "constant", learningRate: 0, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;

/**
 * Times whole steps as the loop takes them, and the `evaluate` entry. Leaves the program's variables changed: write the
 * first values afterwards. The time of a step is the mean over `seconds`, not the median: what else this machine does now,
 * it will do while it trains.
 */
export async function measureThroughput(
  training: TrainingProgram,
  source: BatchSource,
  seconds: number,
  signal?: AbortSignal,
): Promise<Throughput> {
  let next = 0;
  const oneStep = async () => {
    await step(training, await source.load(next++), { step: 0, steps: 1, schedule: SCHEDULE });
  };
  const [batch] = await source.load(0);
  const evaluate = () => training.program.run("evaluate", batch);
  await oneStep(); // caches and threads are cold
  await evaluate();
  return {
    step: await meanSeconds(oneStep, seconds, signal),
    evaluate: await meanSeconds(evaluate, seconds / 8, signal),
  };
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

/**
 * When a run looks at its speed, as parts of the time up to its aim. At the first it only takes its time: a machine that is
 * shared is slow for some seconds and fast again, and steps that were given up early are not given back.
 */
const LOOKS = [0.25, 0.5, 0.7, 0.85, 0.95, 1, 1.05, 1.1];

/**
 * Watches a run that was promised to end in time. Gives another end, so that it meets its aim (or ends at once, when that
 * is past), where it would pass its limit at its speed since the last look; else null. Most runs are never cut: their
 * steps follow from a measured throughput.
 */
export function createWatch(
  deadline: Deadline,
  firstStep: number,
  now = () => performance.now(),
): (step: number, steps: number) => number | null {
  const start = now();
  let looks = 0;
  let last = { step: firstStep, time: start };
  return (step, steps) => {
    const time = now();
    const part = (time - start) / (deadline.aim - start);
    if (step >= steps || step === last.step || part < (LOOKS[looks] ?? Number.POSITIVE_INFINITY)) return null;
    while (part >= LOOKS[looks]) looks++;
    const each = (time - last.time) / (step - last.step);
    last = { step, time };
    if (looks === 1) return null;
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
