/** @file `quern scale sweep`: trains a grid of small runs on the same tokens and lists them in `runs.csv`. */
import { join, resolve } from "node:path";
import type { z } from "zod";
import { type OutputLayout, withOutput, writeFileAtomic } from "../../documents/index.js";
import { InterruptedError, QuernError } from "../../errors.js";
import { executorOptions, executorSettings, planOf, runPlan } from "../../executors/index.js";
import { checkOptions } from "../../options.js";
import { RUNS_FILE } from "../run-table/read-runs.js";
import { formatRuns, type RunRow } from "../run-table/run-table.js";
import { chainsOf, diskOf, ownFlops, ownSteps, type SweepRun } from "./grid.js";
import { type CheckedSweepOptions, sweepOptions } from "./sweep-options.js";
import { type Calls, checkGrid, planSweep, resumeSweep, type SweepPlan, startSweep, workersOf } from "./sweep-plan.js";
import { chainOf, type Outcome, readOutcome, rowOf, sweepTasks, TRAIN_STAGE } from "./sweep-tasks.js";

export type SweepOptions = z.input<typeof sweepOptions> & Calls;

export interface SweepResult {
  /** `runs.csv`; null for a dry run. */
  readonly table: string | null;
  readonly runs: readonly RunRow[];
  readonly finished: number;
  /** Runs that did not finish, with the reason. */
  readonly left_out: readonly { readonly run: string; readonly status: string; readonly reason: string }[];
  /** Training FLOPs of all runs; steps that several share count once. */
  readonly flops: number;
  /** Expected hours, from a speed measured here; null if it was not measured. */
  readonly hours: number | null;
  /** Expected bytes on disk. */
  readonly disk_bytes: number;
  /** Seconds of this call, and of training in it. */
  readonly seconds: number;
  readonly training_seconds: number;
  /** Share of the time of the runs of this call that was training; null if none ran. */
  readonly training_share: number | null;
  readonly warnings: readonly string[];
}

const layout: OutputLayout = {
  writes: (path) => /^(sweep\.json|runs\.csv|(tokenizer|tokens|mixtures|outcomes|runs|cluster|checks)\/.+)$/.test(path),
  folders: /^(tokenizer|tokens|mixtures|outcomes|runs|cluster|checks)$/,
};

/**
 * Trains the runs of a sweep, or with `dryRun` only plans them. A run that fails or diverges does not stop the others. With `minutes`
 * it ends in time: runs that a slower machine cannot finish are left out and named.
 * @throws QuernError for contradicting options, too little text, a sweep that exists, or if no run finished
 * @throws InterruptedError when the signal aborts; finished runs are kept
 */
export async function sweepRuns({ signal, onProgress, onNotice, ...given }: SweepOptions): Promise<SweepResult> {
  const o = checkOptions(sweepOptions, given);
  const started = performance.now();
  const settings = executorSettings(Object.fromEntries(Object.entries(o).filter(([key]) => key in executorOptions)));
  const varied = checkGrid(o);
  const calls = { signal, onProgress, onNotice };
  if (o.dryRun) {
    const { config, hours, warnings, tokenBytes } = await planSweep(o, varied, calls);
    return {
      ...{ table: null, runs: config.runs.map((run) => rowOf(run, config)), finished: 0, left_out: [] },
      ...{ flops: flopsOf(config.runs), hours, disk_bytes: diskOf(config.runs, config.vocabSize) + tokenBytes },
      ...{ seconds: (performance.now() - started) / 1000, training_seconds: 0, training_share: null, warnings },
    };
  }
  const inputs = [...(o.text ?? []), ...[o.data, o.tokenizer].filter((path) => path !== undefined)];
  const request = { verb: "scale sweep", out: o.out, inputs, layout, force: o.force, resume: o.resume };
  return withOutput(request, async () => {
    const resumed = o.resume ? await resumeSweep(o) : null;
    const plan = resumed ?? (await startSweep(o, varied, calls));
    if (resumed === null) onNotice?.(planLine(plan));
    // A resumed sweep takes the time that it needs, and a cluster its own.
    const isTimed = resumed === null && o.minutes !== undefined && o.executor === "local";
    const ends = isTimed ? started + (o.minutes as number) * 60_000 * LATEST : null;
    try {
      return await runSweep(plan, { o, settings, started, ends, ...calls });
    } catch (error) {
      if (!signal?.aborted || error instanceof InterruptedError || error instanceof QuernError) throw error;
      const message = `interrupted; finished runs are kept in ${o.out}; continue with --resume`;
      throw new InterruptedError(message, o.out, { cause: error });
    }
  });
}

/** A sweep ends after this share of its minutes at the latest. */
const LATEST = 1.08;

const flopsOf = (runs: readonly SweepRun[]) => runs.reduce((sum, run) => sum + ownFlops(run), 0);

/** Says what will be trained. */
function planLine({ config: { runs }, hours }: SweepPlan): string {
  const range = (values: readonly number[], shown: (value: number) => string) => {
    const [low, high] = [Math.min(...values), Math.max(...values)].map(shown);
    return low === high ? low : `${low} to ${high}`;
  };
  const power = (value: number) => value.toExponential(1).replace("e+", "e");
  const flops = range(
    runs.map((run) => run.flops),
    power,
  );
  const params = range(
    runs.map((run) => run.params),
    (value) => `${power(value)}`,
  );
  const time = hours === null ? "" : `, about ${(60 * hours).toPrecision(2)} minutes of training`;
  return `planned: ${runs.length} runs of ${params} params and ${flops} FLOPs, ${power(flopsOf(runs))} in all${time}`;
}

interface RunCalls extends Calls {
  readonly o: CheckedSweepOptions;
  readonly settings: ReturnType<typeof executorSettings>;
  readonly started: number;
  /** Latest end in milliseconds of `performance.now()`. */
  readonly ends: number | null;
}

const TOO_SLOW = "the machine was slower than planned, and the time was over; continue with --resume";

async function runSweep(sweep: SweepPlan, calls: RunCalls): Promise<SweepResult> {
  const { o, settings, started, ends, signal, onProgress, onNotice } = calls;
  const config = { ...sweep.config, out: resolve(o.out) };
  const { out, runs } = config;
  const table = join(o.out, RUNS_FILE);
  const workers = workersOf(o);
  const outcomes = new Map<string, Outcome>();
  /** Runs without an outcome: what became of them, and why. */
  const missing = new Map<string, { readonly status: "failed" | "stopped"; readonly reason: string }>();
  for (const run of runs) {
    const outcome = await readOutcome(out, run);
    if (outcome !== undefined) outcomes.set(run.name, outcome);
  }
  const before = new Set(outcomes.keys());
  const chains = chainsOf(runs);
  const ownOf = (chain: readonly SweepRun[]) => chain.reduce((sum, run) => sum + ownFlops(run), 0);
  const all = flopsOf(runs);
  /** Steps done in each chain. */
  const steps = new Map<string, number>();
  let status = "";
  const isDone = ({ name }: SweepRun) => outcomes.has(name) || missing.has(name);
  const report = () => {
    const doneIn = (chain: readonly SweepRun[]) => {
      const finished = ownOf(chain.filter(isDone));
      const total = chain.reduce((sum, run) => sum + ownSteps(run), 0);
      return Math.max(finished, (ownOf(chain) * (steps.get(chain[0].name) ?? 0)) / total);
    };
    const done = runs.every(isDone) ? all : chains.reduce((sum, chain) => sum + doneIn(chain), 0);
    const note = [`${runs.filter(isDone).length} of ${runs.length} runs`, ...(status === "" ? [] : [status])].join(
      ", ",
    );
    // In FLOPs, because runs take very different times.
    onProgress?.({ task: "sweep", done: done / 1e9, total: all / 1e9, unit: "GFLOP", note });
  };
  report();
  const rows = (): RunRow[] =>
    runs.map((run) => {
      const outcome = outcomes.get(run.name);
      if (outcome === undefined) {
        return { ...rowOf(run, config), ...(missing.get(run.name) ?? { status: "stopped", reason: "not finished" }) };
      }
      const { wall_seconds: _, step_seconds: __, ...row } = outcome;
      return row as RunRow;
    });
  // One write at a time, of the newest rows.
  let writing: Promise<void> = Promise.resolve();
  const write = () => {
    writing = writing.then(() => writeFileAtomic(table, formatRuns(rows())));
    return writing;
  };
  const take = (outcome: Outcome) => {
    const name = runs.find((run) => join("runs", run.name) === outcome.run)?.name;
    if (name === undefined || outcomes.has(name)) return;
    outcomes.set(name, outcome);
    if (outcome.status === "diverged") onNotice?.(`${name} diverged: ${outcome.reason}`);
  };
  const limit =
    ends === null || sweep.seconds === null
      ? undefined
      : { at: Date.now() + ends - performance.now(), workers, seconds: sweep.seconds };
  const plan = planOf(sweepTasks, {
    ...{ out, config: { ...config, limit } },
    stages: [
      { name: TRAIN_STAGE, after: [], tasks: chains.map((chain) => ({ name: chain[0].name, bytes: ownOf(chain) })) },
    ],
  });
  const late = new AbortController();
  const timer = ends === null ? undefined : setTimeout(() => late.abort(), Math.max(0, ends - performance.now()));
  const began = performance.now();
  try {
    await runPlan(plan, {
      ...{ settings, onNotice, workers, apart: true },
      signal: signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]),
      isFinished: (_, { name }) => chainOf(config, name).every((run) => before.has(run.name)),
      onStatus({ queued, running, retried }) {
        status = `${running} running, ${queued} queued${retried === 0 ? "" : `, ${retried} tried again`}`;
        report();
      },
      events: {
        progress(_, { name }, done) {
          steps.set(name, done);
          report();
        },
        finished(_, { name }, result) {
          for (const outcome of result as readonly Outcome[]) take(outcome);
          for (const run of chainOf(config, name)) {
            if (!outcomes.has(run.name)) missing.set(run.name, { status: "stopped", reason: TOO_SLOW });
          }
          report();
          void write().catch(() => {});
        },
        failed(_, { name }, error) {
          const [reason] = error.message.split("\n");
          for (const run of chainOf(config, name)) {
            if (!outcomes.has(run.name)) missing.set(run.name, { status: "failed", reason });
          }
          onNotice?.(`${name} failed: ${reason}`);
          report();
        },
      },
    });
  } catch (error) {
    if (!late.signal.aborted || signal?.aborted || error instanceof QuernError) throw error;
    for (const run of runs) if (!isDone(run)) missing.set(run.name, { status: "stopped", reason: TOO_SLOW });
  } finally {
    clearTimeout(timer);
    // A chain that failed or was stopped has finished runs, too.
    for (const run of runs) {
      const outcome = outcomes.has(run.name) ? undefined : await readOutcome(out, run);
      if (outcome === undefined) continue;
      missing.delete(run.name);
      take(outcome);
    }
    await write();
  }
  const trained = [...outcomes].filter(([name]) => !before.has(name)).map(([, outcome]) => outcome);
  const training = trained.reduce((sum, { step_seconds }) => sum + step_seconds, 0);
  const lanes = Math.max(
    1,
    Math.min(workers, chains.filter((chain) => !chain.every(({ name }) => before.has(name))).length),
  );
  const wall =
    settings.executor === "slurm"
      ? trained.reduce((sum, { wall_seconds }) => sum + wall_seconds, 0) / lanes
      : (performance.now() - began) / 1000;
  const left = runs.flatMap(({ name }) => {
    const outcome = outcomes.get(name);
    if (outcome?.status === "finished") return [];
    const { status, reason } = missing.get(name) ?? { status: "stopped", reason: "not finished" };
    return [{ run: name, status: outcome?.status ?? status, reason: String(outcome?.reason ?? reason) }];
  });
  const stopped = left.filter(({ status }) => status === "stopped").length;
  const finished = runs.length - left.length;
  if (finished === 0) {
    throw new QuernError(
      `none of the ${runs.length} runs finished; the first: ${left[0].run}: ${left[0].reason}; see ${table}`,
    );
  }
  return {
    ...{ table, runs: rows(), finished, left_out: left, flops: all, hours: sweep.hours },
    disk_bytes: diskOf(runs, config.vocabSize) + config.uniqueTokens * 2,
    ...{ seconds: (performance.now() - started) / 1000, training_seconds: training },
    training_share: trained.length === 0 ? null : training / (wall * lanes),
    warnings: [
      ...sweep.warnings,
      ...(stopped === 0 ? [] : [`${stopped} of ${runs.length} runs were left out: ${TOO_SLOW}`]),
    ],
  };
}
