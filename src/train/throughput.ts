/** @file Measures training throughput for the plan, and shortens a run that would miss its deadline. */
import { oneRank } from "./distributed/ranks.js";
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
 * afterwards. Only this rank computes. Reports the mean over `seconds`, not the median, because other load on the machine will slow training too.
 */
export async function measureThroughput(
  training: TrainingProgram,
  source: BatchSource,
  seconds: number,
  signal?: AbortSignal,
): Promise<Throughput> {
  let next = 0;
  const oneStep = async () => {
    await step({ ...training, ranks: oneRank }, await source.load(next++), { step: 0, steps: 1, schedule: SCHEDULE });
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

/** A time budget. */
export interface Deadline {
  /** Target and latest end of everything, in milliseconds of `performance.now()`. */
  readonly aim: number;
  readonly limit: number;
  /** What follows training, at the planned speed. A slower machine needs longer for it, too. */
  readonly after?: { readonly milliseconds: number; readonly plannedStep: number };
}

/**
 * Returns the deadline of a run with a time budget. A run is shortened only if it would take a tenth longer.
 * @param started milliseconds of `performance.now()`
 */
export function deadlineOf(started: number, minutes: number, after?: Deadline["after"]): Deadline {
  const budget = minutes * 60_000;
  return { aim: started + 1.03 * budget, limit: started + 1.1 * budget, after };
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
  const { aim, limit, after = { milliseconds: 0, plannedStep: 1 } } = deadline;
  let checks = 0;
  let last = { step: firstStep, time: start };
  return (step, steps) => {
    const time = now();
    const part = (time - start) / (aim - after.milliseconds - start);
    if (step >= steps || step === last.step || part < (SPEED_CHECKS[checks] ?? Number.POSITIVE_INFINITY)) return null;
    while (part >= SPEED_CHECKS[checks]) checks++;
    const each = (time - last.time) / (step - last.step); // milliseconds per step
    last = { step, time };
    if (checks === 1) return null;
    const rest = after.milliseconds * Math.max(1, each / after.plannedStep);
    if (time + (steps - step) * each + rest <= limit) return null;
    const end = step + Math.max(1, Math.floor((aim - rest - time) / each));
    return end < steps ? end : null;
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
