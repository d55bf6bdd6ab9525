/** @file Measures training throughput for the plan, and shortens a run that would miss its deadline. */
import { type BatchSource, inputsOf, step } from "./step.js";
import type { TrainingProgram } from "./trainer.js";

export interface Throughput {
  /** Seconds per optimizer step, and per batch of the `evaluate` entry. */
  readonly step: number;
  readonly evaluate: number;
}

/** The learning rate does not affect the time of a step. */
const SCHEDULE = { kind: "constant", learningRate: 0, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;

/**
 * Times whole training steps and the `evaluate` entry. This changes the program's variables: write the initial values
 * afterwards. Reports the mean over `seconds`, not the median, because other load on the machine will slow training too.
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
  const evaluate = () => training.program.run("evaluate", inputsOf(training, batch));
  await oneStep(); // caches and threads are cold
  await evaluate();
  return {
    step: await meanSeconds(oneStep, seconds, signal),
    evaluate: await meanSeconds(evaluate, seconds / 8, signal),
  };
}

/** Returns the mean time of a run, over at least two runs and at least `seconds` in total. */
export async function meanSeconds(run: () => Promise<void>, seconds: number, signal?: AbortSignal): Promise<number> {
  const start = performance.now();
  for (let runs = 1; ; runs++) {
    signal?.throwIfAborted();
    await run();
    const total = (performance.now() - start) / 1000;
    if (runs >= 2 && total >= seconds) return total / runs;
  }
}

/** Target and latest end of training, in milliseconds of `performance.now()`. */
export interface Deadline {
  readonly aim: number;
  readonly limit: number;
}

/**
 * When the speed of a run is checked, as shares of the time to its aim. The first check only records the time: a shared
 * machine may be slow for a few seconds, and a shortened plan is never lengthened again.
 */
const SPEED_CHECKS = [0.25, 0.5, 0.7, 0.85, 0.95, 1, 1.05, 1.1];

/**
 * Watches a run with a time budget. After each step, returns a new number of steps if the run would exceed its limit at
 * its recent speed, and null otherwise. The new end meets the aim, or follows at once if that has passed. Most runs are
 * never cut, because their steps follow from a measured throughput.
 */
export function createWatch(
  deadline: Deadline,
  firstStep: number,
  now = () => performance.now(),
): (step: number, steps: number) => number | null {
  const start = now();
  let checks = 0;
  let last = { step: firstStep, time: start };
  return (step, steps) => {
    const time = now();
    const part = (time - start) / (deadline.aim - start);
    if (step >= steps || step === last.step || part < (SPEED_CHECKS[checks] ?? Number.POSITIVE_INFINITY)) return null;
    while (part >= SPEED_CHECKS[checks]) checks++;
    const each = (time - last.time) / (step - last.step); // milliseconds per step
    last = { step, time };
    if (checks === 1) return null;
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
