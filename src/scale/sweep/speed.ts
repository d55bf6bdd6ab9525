/** @file The speed of a sweep's runs, measured on the programs of its smallest and largest one, as many at once as runs. */
import { planOf, runLocally } from "../../executors/index.js";
import type { ProgramTime } from "../../train/index.js";
import { chainsOf, ownFlops, ownSteps, type SweepRun } from "./grid.js";
import { COMPILE_STAGE, type SweepConfig, sweepTasks, TIME_STAGE } from "./sweep-tasks.js";

export interface Speed {
  /** Seconds of a run: start, training and evaluation. */
  readonly secondsOf: (run: SweepRun) => number;
  /** Seconds to build a program that is not in the cache. */
  readonly compileSeconds: number;
  /** FLOP/s of one run while all workers are busy, of the smallest and the largest model. */
  readonly flopsPerSecond: readonly [number, number];
}

/** Seconds of a run that are neither training nor evaluation: start, checkpoints, report. */
const START_SECONDS = 0.6;
/** Building a program that is not in the cache, unless it was measured. */
const COMPILE_SECONDS = 3;

/** Times two of the runs' programs. @param config of the sweep; its folder is not used */
export async function measureSpeed(
  config: SweepConfig,
  heldOutTokens: number,
  { workers, signal }: { readonly workers: number; readonly signal?: AbortSignal },
): Promise<Speed> {
  const byParams = config.runs.toSorted((a, b) => a.params - b.params);
  const pair = [...new Set([byParams[0], byParams[byParams.length - 1]])];
  const plan = planOf(sweepTasks, { out: config.out, config: { ...config, runs: pair }, stages: [] });
  const times = new Map<string, ProgramTime>();
  // Built first, so that both are timed at the same time and share the machine as runs do.
  for (const stage of [COMPILE_STAGE, TIME_STAGE]) {
    const tasks = pair.map(({ name, params }) => ({ name, bytes: params }));
    await runLocally(plan, stage, tasks, {
      ...{ workers, signal, apart: true },
      events: {
        finished: (_, { name }, result) => {
          const before = times.get(name)?.compile ?? 0;
          const time = result as ProgramTime;
          times.set(name, { ...time, compile: Math.max(before, time.compile) });
        },
      },
    });
  }
  const timed = pair.map((run) => ({ run, time: times.get(run.name) as ProgramTime }));
  const speeds = timed.map(({ run, time }) => run.flops / run.steps / time.step);
  const [small, large] = [speeds[0], speeds[speeds.length - 1]];
  const [from, to] = [Math.log(pair[0].params), Math.log(pair[pair.length - 1].params)];
  const compile = Math.max(COMPILE_SECONDS, ...timed.map(({ time }) => time.compile));
  const evaluation = timed[0].time.evaluate / timed[0].time.step;
  const secondsOf = (run: SweepRun) => {
    const share = to === from ? 0 : Math.min(1, Math.max(0, (Math.log(run.params) - from) / (to - from)));
    const speed = Math.exp(Math.log(small) * (1 - share) + Math.log(large) * share);
    const perToken = run.flops / run.tokens / speed;
    const tokens = (run.tokens * ownSteps(run)) / run.steps;
    return START_SECONDS + perToken * (tokens + evaluation * run.accumulate * heldOutTokens);
  };
  return { secondsOf, compileSeconds: compile, flopsPerSecond: [small, large] };
}

/** The program of a run: runs with the same one compile it once. */
const programOf = ({ layers, width, sequence, batch, accumulate }: SweepRun) =>
  [layers, width, sequence, batch, accumulate].join();

/** Expected seconds of each run by name; the largest run of a program builds it. */
export function expectedSeconds(runs: readonly SweepRun[], speed: Speed): Record<string, number> {
  const built = new Set<string>();
  const largestFirst = runs.toSorted((a, b) => ownFlops(b) - ownFlops(a));
  return Object.fromEntries(
    largestFirst.map((run) => {
      const isNew = !built.has(programOf(run));
      built.add(programOf(run));
      return [run.name, speed.secondsOf(run) + (isNew ? speed.compileSeconds : 0)];
    }),
  );
}

/** Seconds until all runs are done, the longest chains first. */
export function wallSeconds(runs: readonly SweepRun[], speed: Speed, workers: number): number {
  const expected = expectedSeconds(runs, speed);
  const seconds = chainsOf(runs).map((chain) => chain.reduce((sum, { name }) => sum + expected[name], 0));
  return packedSeconds(seconds, workers);
}

/** Seconds until all tasks are done, the longest first. */
export function packedSeconds(seconds: readonly number[], workers: number): number {
  const free = new Array<number>(workers).fill(0);
  for (const each of seconds.toSorted((a, b) => b - a)) {
    free[free.indexOf(Math.min(...free))] += each;
  }
  return Math.max(...free);
}

/** Budgets, the range of compute, and sizes per budget. */
export interface SweepShape {
  readonly budgets: number;
  readonly range: number;
  readonly sizes: number;
}

/** The shapes of a sweep for a time, the best first; the last has the fewest runs that a fit takes. */
export function shapesOfMinutes(minutes: number): readonly SweepShape[] {
  return [
    ...(minutes >= 45 ? [{ budgets: 8, range: 100, sizes: 5 }] : []),
    ...(minutes >= 20 ? [{ budgets: 6, range: 30, sizes: 5 }] : []),
    ...(minutes >= 3 ? [{ budgets: 4, range: 10, sizes: 5 }] : []),
    { budgets: 3, range: 8, sizes: 4 },
    { budgets: 3, range: 4, sizes: 3 },
    { budgets: 2, range: 3, sizes: 3 },
  ];
}

/** Returns budgets up to the largest, evenly spread over the range as logarithms, rounded to three digits. */
export const budgetsUpTo = (largest: number, { budgets, range }: Pick<SweepShape, "budgets" | "range">) =>
  Array.from({ length: budgets }, (_, i) => Number((largest * range ** (i / (budgets - 1) - 1)).toPrecision(3)));
