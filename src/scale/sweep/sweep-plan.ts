/** @file The plan of a sweep: checks its options, shares the text, and chooses the runs, with `minutes` from the speed of this machine. */
import { availableParallelism } from "node:os";
import { join, resolve } from "node:path";
import { z } from "zod";
import { peakOnce } from "../../backends/index.js";
import { readStarterCorpus, writeFileAtomic } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { readJsonFile } from "../../json-file.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import {
  flopsForTokens,
  planSharedDataset,
  type SharedDataset,
  type SharedDatasetOptions,
  shareDataset,
  shareMixtures,
} from "../../train/index.js";
import { gridOf, type SweepRun, sweepVocabulary } from "./grid.js";
import {
  budgetsUpTo,
  expectedSeconds,
  measureSpeed,
  type Speed,
  type SweepShape,
  shapesOfMinutes,
  wallSeconds,
} from "./speed.js";
import { type CheckedSweepOptions, sweepOptions } from "./sweep-options.js";
import { type SweepConfig, sweepConfigSchema } from "./sweep-tasks.js";
import { parseVaried, type Varied } from "./variations.js";

export interface Calls {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly onNotice?: (line: string) => void;
}

/** The runs of a sweep, and their expected time. */
export interface SweepPlan {
  readonly config: SweepConfig;
  /** Expected, from a speed measured here; null if it was not measured. */
  readonly hours: number | null;
  /** Expected seconds of each run by name; null if the speed was not measured. */
  readonly seconds: Readonly<Record<string, number>> | null;
  readonly warnings: readonly string[];
}

export const SWEEP_FILE = "sweep.json";

/** Options that a resumed sweep keeps. */
const PLANNING = [
  ...["flops", "minutes", "sizes", "vary", "schedule", "vocabSize", "sequence", "heldOut", "seed", "dtype", "threads"],
] as readonly (keyof CheckedSweepOptions)[];

const wrong = (message: string, cause?: unknown) => new QuernError(message, { exitCode: 2, cause });

/** @throws QuernError (exit code 2) for two texts, no budget or several */
export function checkGrid(o: CheckedSweepOptions): Varied {
  const varied = parseVaried(o.vary);
  if (o.text !== undefined && o.data !== undefined)
    throw wrong("--text and --data are both training data; give only one");
  if (varied.mix !== undefined && o.data !== undefined) {
    throw wrong(
      "--vary mix needs the documents of each source, which token shards do not have; give --text instead of --data",
    );
  }
  const budgets = [o.flops && "--flops", o.minutes && "--minutes", varied.tokens && "--vary tokens"].filter(Boolean);
  if (budgets.length > 1) throw wrong(`${budgets.join(" and ")} each set the length of the runs; give only one`);
  if (budgets.length === 0 && !o.resume) {
    throw wrong("no budget; give --flops F,F,…, --minutes M, or --vary tokens=D,D,…");
  }
  return varied;
}

export const workersOf = (o: CheckedSweepOptions) =>
  o.workers ?? Math.max(1, Math.floor(availableParallelism() / o.threads));

function datasetOptions(o: CheckedSweepOptions, largest: number, { signal, onProgress }: Calls): SharedDatasetOptions {
  const isStarter = o.text === undefined && o.data === undefined;
  return {
    ...{ text: o.text, data: o.data, textField: o.textField, strict: o.strict, tokenizer: o.tokenizer },
    ...(isStarter && { documents: () => readStarterCorpus({ signal, onProgress }) }),
    vocabSize: (bytes: number) => o.vocabSize ?? sweepVocabulary(largest, bytes),
    heldOutTokens: o.heldOut,
    ...{ signal, onProgress },
  };
}

/** The largest budget before anything is measured; it sets the vocabulary. */
async function largestBudget(o: CheckedSweepOptions, varied: Varied, signal?: AbortSignal): Promise<number> {
  if (o.flops !== undefined) return Math.max(...o.flops);
  if (varied.tokens !== undefined) return 6 * Math.max(...varied.tokens) ** 2;
  const peak = await peakOnce({ threads: o.threads, signal }).catch(() => null);
  const [{ sizes, ...spread }] = shapesOfMinutes(o.minutes as number);
  const all = budgetsUpTo(1, spread).reduce((sum, each) => sum + each, 0) * sizes;
  return ((o.minutes as number) * 60 * workersOf(o) * 0.4 * (peak?.gflops ?? 30) * 1e9) / all;
}

/** Makes the runs from the budgets. */
type Grid = (flops: readonly number[], sizes: number) => SweepRun[];

/** Chooses the runs; with `minutes` or `measures`, from the speed of this machine. */
async function chooseRuns(
  o: CheckedSweepOptions,
  varied: Varied,
  largest: number,
  dataset: SharedDataset,
  calls: Calls & { readonly started: number; readonly measures: boolean },
): Promise<SweepPlan> {
  const { vocabSize, trainingBytes: textBytes, trainingTokens: uniqueTokens, shards, heldOutTokens } = dataset;
  const { sequence, seed, schedule, minutes } = o;
  const grid: Grid = (flops, sizes) => gridOf({ flops, sizes, varied, vocabSize, textBytes, sequence, seed, schedule });
  const configOf = (runs: SweepRun[]): SweepConfig => ({
    ...{ out: resolve(o.out), shards: resolve(shards), textBytes },
    tokenizer: o.tokenizer && o.data ? resolve(o.tokenizer) : undefined,
    // Held-out text of our own is already thinned; of given shards the beginning counts.
    heldOut: o.data === undefined ? heldOutTokens : o.heldOut,
    ...{ vocabSize, uniqueTokens, threads: o.threads, schedule, dtype: o.dtype, runs },
  });
  const measure = async (runs: SweepRun[]) => {
    calls.onProgress?.({ task: "measure the speed", done: 0, total: 1, unit: "program" });
    const held = Math.min(o.heldOut, heldOutTokens);
    const speed = await measureSpeed(configOf(runs), held, { workers: workersOf(o), signal: calls.signal });
    calls.onProgress?.({ task: "measure the speed", done: 1, total: 1, unit: "program" });
    return speed;
  };
  const planned = (runs: SweepRun[], speed: Speed | null): SweepPlan => ({
    config: configOf(runs),
    hours: speed === null ? null : wallSeconds(runs, speed, workersOf(o)) / 3600,
    seconds: speed === null ? null : expectedSeconds(runs, speed),
    warnings: warningsOf(runs, uniqueTokens),
  });
  if (minutes === undefined) {
    const runs = grid(o.flops ?? [], o.sizes ?? (varied.lr || varied.batch || varied.seed || varied.mix ? 1 : 5));
    return planned(runs, calls.measures ? await measure(runs) : null);
  }
  const most = flopsForTokens(MOST_EPOCHS * uniqueTokens);
  const shapes = shapesOfMinutes(minutes).map((shape) => ({ ...shape, sizes: o.sizes ?? shape.sizes }));
  let first = grid(budgetsUpTo(Math.min(largest, most), shapes[0]), shapes[0].sizes);
  for (let round = 0; ; round++) {
    const speed = await measure(first);
    const left = minutes * 60 * FILLED - (performance.now() - calls.started) / 1000;
    const runs = fill(shapes, grid, most, (these) => wallSeconds(these, speed, workersOf(o)), left);
    if (Array.isArray(runs)) {
      // The two programs that were timed must be like the smallest and the largest of the sweep.
      if (round < 1 && !isLike(runs, first)) {
        first = runs;
        continue;
      }
      const plan = planned(runs, speed);
      const isShort = plan.hours !== null && plan.hours * 3600 < 0.7 * left;
      const early = `the text of ${uniqueTokens} tokens suffices only for budgets of up to ${most.toExponential(1)} FLOPs, so the sweep ends early; give more text`;
      return isShort ? { ...plan, warnings: [...plan.warnings, early] } : plan;
    }
    const needed = (minutes * 60 * FILLED - left + runs.seconds) / 60 / FILLED;
    throw wrong(
      `${minutes} minutes are too short for a sweep here: about ${needed.toPrecision(2)} are needed; give more, or choose the runs with --flops and --sizes`,
    );
  }
}

/** The share of the minutes that is planned, because speeds drift. */
const FILLED = 0.93;

/** Epochs of the best size at the largest budget: more repetition would teach little, and the law describes new text. */
const MOST_EPOCHS = 2;

/** Fewer steps make a run that says nothing. */
const LEAST_STEPS = 40;

/** The runs that fill the time, of the first shape whose runs are long enough; else the seconds that the last shape needs. */
function fill(
  shapes: readonly SweepShape[],
  grid: Grid,
  most: number,
  takes: (runs: readonly SweepRun[]) => number,
  left: number,
): SweepRun[] | { readonly seconds: number } {
  let seconds = Number.POSITIVE_INFINITY;
  for (const shape of shapes) {
    const runsUpTo = (logarithm: number) => grid(budgetsUpTo(Math.exp(logarithm), shape), shape.sizes);
    const isLong = (runs: readonly SweepRun[]) => runs.every(({ steps }) => steps >= LEAST_STEPS);
    let low = Math.log(1e7);
    // A small text is repeated rather than trained on for too few steps.
    while (!isLong(runsUpTo(low))) low += 0.2;
    seconds = takes(runsUpTo(low));
    if (seconds > left) continue;
    let high = Math.max(low, Math.log(most));
    if (takes(runsUpTo(high)) <= left) return runsUpTo(high);
    // Bisection over the logarithm of the largest budget.
    for (let i = 0; i < 24; i++) {
      const middle = (low + high) / 2;
      if (takes(runsUpTo(middle)) > left) high = middle;
      else low = middle;
    }
    return runsUpTo(low);
  }
  return { seconds };
}

/** Whether the smallest and the largest model of both are within a factor of two. */
function isLike(a: readonly SweepRun[], b: readonly SweepRun[]): boolean {
  const ends = (runs: readonly SweepRun[]) => [
    Math.min(...runs.map(({ params }) => params)),
    Math.max(...runs.map(({ params }) => params)),
  ];
  const others = ends(b);
  return ends(a).every((end, i) => Math.abs(Math.log(end / others[i])) <= Math.LN2);
}

function warningsOf(runs: readonly SweepRun[], uniqueTokens: number): string[] {
  const repeated = runs.filter(({ tokens }) => tokens > 4 * uniqueTokens);
  if (repeated.length === 0) return [];
  const most = Math.max(...repeated.map(({ tokens }) => tokens)) / uniqueTokens;
  return [
    `${repeated.length} of ${runs.length} runs repeat the text more than four times (up to ${most.toFixed(1)}), which teaches less ` +
      "than new text; give more text",
  ];
}

/** Plans a sweep and writes nothing. @returns also the bytes that its tokens would take */
export async function planSweep(
  o: CheckedSweepOptions,
  varied: Varied,
  calls: Calls,
): Promise<SweepPlan & { readonly tokenBytes: number }> {
  const started = performance.now();
  const largest = await largestBudget(o, varied, calls.signal);
  const dataset = await planSharedDataset(datasetOptions(o, largest, calls));
  const plan = await chooseRuns(o, varied, largest, dataset, { ...calls, started, measures: true });
  const copies = 1 + (varied.mix ?? []).filter(({ shares }) => shares !== null).length;
  return { ...plan, tokenBytes: dataset.trainingTokens * dataset.bytesPerToken * copies };
}

/** Shares the text, chooses the runs, and writes `sweep.json`. */
export async function startSweep(o: CheckedSweepOptions, varied: Varied, calls: Calls): Promise<SweepPlan> {
  const started = performance.now();
  const largest = await largestBudget(o, varied, calls.signal);
  const sharing = datasetOptions(o, largest, calls);
  const dataset = await shareDataset(o.out, sharing);
  const plan = await chooseRuns(o, varied, largest, dataset, { ...calls, started, measures: false });
  const config = {
    ...plan.config,
    ...(varied.mix && { mixtures: await mixturesOf(o.out, varied.mix, dataset, sharing) }),
  };
  const options = Object.fromEntries(PLANNING.map((key) => [key, o[key]]));
  const content = { format: "quern sweep", created: new Date().toISOString(), options, config, hours: plan.hours };
  await writeFileAtomic(join(o.out, SWEEP_FILE), `${JSON.stringify(content, null, 1)}\n`);
  return { ...plan, config };
}

async function mixturesOf(
  out: string,
  mixtures: NonNullable<Varied["mix"]>,
  { shards, trainingTokens }: SharedDataset,
  sharing: SharedDatasetOptions,
): Promise<NonNullable<SweepConfig["mixtures"]>> {
  const made = await shareMixtures(
    out,
    mixtures.flatMap(({ shares }) => (shares === null ? [] : [shares])),
    sharing,
  );
  const next = made.values();
  return mixtures.map(({ text, shares }) => {
    const own = shares === null ? { shards, uniqueTokens: trainingTokens } : next.next().value;
    if (own === undefined) throw new Error(`no shards were made for the mixture ${text}`);
    return { text, shards: resolve(own.shards), uniqueTokens: own.uniqueTokens };
  });
}

const sweepFileSchema = z.looseObject({
  format: z.literal("quern sweep"),
  options: z.record(z.string(), z.unknown()),
  config: sweepConfigSchema,
  hours: z.number().nullable(),
});

/** Reads the `sweep.json` of a sweep's folder. @throws QuernError if it is missing or something else */
export async function readSweepFile(folder: string): Promise<z.output<typeof sweepFileSchema>> {
  const path = join(folder, SWEEP_FILE);
  const parsed = sweepFileSchema.safeParse(await readJsonFile(path, { exitCode: 2 }));
  if (!parsed.success) throw new QuernError(`${path} was not written by quern scale sweep; start the sweep again`);
  return parsed.data;
}

/** Reads the plan of the sweep to resume; null if it has none yet. @throws QuernError for options that would change it */
export async function resumeSweep(o: CheckedSweepOptions): Promise<SweepPlan | null> {
  const path = join(o.out, SWEEP_FILE);
  const isThere = await readJsonFile(path).then(
    () => true,
    (error: unknown) => {
      if (o.flops === undefined && o.minutes === undefined && o.vary.length === 0) {
        throw wrong(`${o.out} contains no sweep to resume; check --out, or start one without --resume`, error);
      }
      return false;
    },
  );
  if (!isThere) return null;
  const { options, config, hours } = await readSweepFile(o.out);
  const defaults = checkOptions(sweepOptions, { out: "x" });
  for (const key of PLANNING) {
    const [now, then] = [o[key], options[key]].map((value) => JSON.stringify(value));
    if (now === undefined || now === JSON.stringify(defaults[key]) || now === then) continue;
    throw wrong(`a resumed sweep keeps its plan: ${key} was ${then ?? "not given"} and cannot change`);
  }
  return { config, hours, seconds: null, warnings: warningsOf(config.runs, config.uniqueTokens) };
}
