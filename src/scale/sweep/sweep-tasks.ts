/**
 * @file The runs of a sweep as tasks of an executor. Each trains with the library's `pretrain` into its run folder and resumes from
 * that folder. The outcome file is written last: a task with one is finished.
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { defineTasks, type TaskContext, type TaskKind } from "../../executors/index.js";
import { readJsonFile } from "../../json-file.js";
import { type ProgramTime, pretrain, timeProgram } from "../../train/index.js";
import type { RunRow } from "../run-table/run-table.js";
import { chainsOf, keptBy, ownFlops, ownSteps, SWEEP_OPTIMIZER, type SweepRun, sizesOfRun } from "./grid.js";

const number = z.number();
const runSchema = z.object({
  name: z.string().regex(/^[\w.-]+$/),
  ...{ flops: number, params: number, layers: number, width: number, sequence: number, batch: number },
  ...{ accumulate: number, learningRate: number, seed: number, steps: number, tokens: number },
  ...{ mixture: number.optional(), warmup: number.optional() },
  after: z.object({ run: z.string(), step: number }).optional(),
});

/** Shards of a varied mixture, and its name in `runs.csv`. */
const mixtureSchema = z.object({
  text: z.string(),
  shards: z.string(),
  uniqueTokens: number,
});
export type SweepMixture = z.output<typeof mixtureSchema>;

export const sweepConfigSchema = z.object({
  /** The folder of the sweep. */
  out: z.string(),
  /** The folder of the token shards. */
  shards: z.string(),
  tokenizer: z.string().optional(),
  vocabSize: number,
  /** In the training text. */
  uniqueTokens: number,
  heldOut: number,
  threads: number,
  schedule: z.enum(["constant", "linear", "cosine", "wsd"]).optional(),
  dtype: z.enum(["auto", "fp32", "bf16"]).optional(),
  /** Bytes of the training text. */
  textBytes: number.optional(),
  mixtures: z.array(mixtureSchema).optional(),
  runs: z.array(runSchema),
  /** When the sweep must end, in milliseconds of `Date.now()`, and the expected seconds of each run. */
  limit: z.object({ at: number, workers: number, seconds: z.record(z.string(), number) }).optional(),
});
export type SweepConfig = z.output<typeof sweepConfigSchema>;

export const TRAIN_STAGE = "train";
/** Builds the programs of runs, so that timing finds them in the cache. */
export const COMPILE_STAGE = "compile";
export const TIME_STAGE = "time";

export const runFolder = (out: string, name: string) => join(out, "runs", name);
const outcomeFile = (out: string, name: string) => join(out, "outcomes", `${name}.json`);

const outcomeSchema = z.looseObject({
  ...{ run: z.string(), status: z.enum(["finished", "diverged"]), seconds: number },
  ...{ wall_seconds: number, step_seconds: number },
});
/** A row of `runs.csv`, and how long it took. */
export type Outcome = RunRow & {
  readonly run: string;
  readonly status: string;
  /** Of the whole task, and of its training steps alone. */
  readonly wall_seconds: number;
  readonly step_seconds: number;
};

/** Reads the outcome of a run; undefined if it is unfinished. */
export async function readOutcome(out: string, { name }: Pick<SweepRun, "name">): Promise<Outcome | undefined> {
  const path = outcomeFile(out, name);
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  const json = await readJsonFile(path).catch(() => undefined);
  return outcomeSchema.safeParse(json).success ? (json as Outcome) : undefined;
}

/** Returns the row of a run that has not finished. */
export function rowOf(
  run: SweepRun,
  { vocabSize, uniqueTokens, mixtures }: Pick<SweepConfig, "vocabSize" | "uniqueTokens" | "mixtures">,
): RunRow {
  const mixture = run.mixture === undefined ? undefined : mixtures?.[run.mixture];
  const { name, flops, params, layers, width, sequence, batch, accumulate, learningRate, seed, steps, tokens } = run;
  return {
    ...{
      run: join("runs", name),
      params,
      params_without_embeddings: params - vocabSize * width * tablesOf(run, vocabSize),
    },
    ...{ tokens, unique_tokens: mixture?.uniqueTokens ?? uniqueTokens, flops, learning_rate: learningRate },
    ...{ batch: batch * accumulate * sequence, steps, layers, width, vocab_size: vocabSize, sequence, seed },
    heads: sizesOfRun(run, vocabSize).model.heads,
    ...(mixture !== undefined && { mixture: mixture.text }),
  };
}

const tablesOf = (run: SweepRun, vocabSize: number) => (sizesOfRun(run, vocabSize).model.tiedHead ? 1 : 2);

async function trainRun(config: SweepConfig, run: SweepRun, { signal, onProgress }: TaskContext): Promise<Outcome> {
  const { out, threads, heldOut, schedule, dtype, vocabSize } = config;
  const mixture = run.mixture === undefined ? undefined : config.mixtures?.[run.mixture];
  const shards = mixture?.shards ?? config.shards;
  const tokenizer = mixture === undefined ? config.tokenizer : join(out, "tokenizer");
  const started = performance.now();
  const { layers, width, sequence, batch, accumulate, learningRate, seed, steps, flops, warmup, after } = run;
  const row = rowOf(run, config);
  let trained: RunRow & { readonly status: string };
  let stepSeconds = 0;
  let last = 0;
  try {
    const done = await pretrain({
      ...{ data: shards, tokenizer, out: runFolder(out, run.name), resume: true },
      ...{ layers, width, sequence, batch, accumulate, learningRate, seed, schedule, dtype, threads },
      optimizer: SWEEP_OPTIMIZER,
      ...(warmup === undefined ? { flops } : { steps, warmup }),
      keep: keptBy(config.runs.some((each) => each.after?.run === run.name)),
      // Runs that share their beginning have a checkpoint where their decay begins, after four of five parts.
      saveEvery: warmup === undefined ? Math.max(100, Math.ceil(steps / SAVES)) : steps / SAVES,
      brief: { heldOutTokens: heldOut, ...(after && { after: { ...after, run: runFolder(out, after.run) } }) },
      signal,
      onProgress({ task, done }) {
        if (task !== "train" || performance.now() - last < 300) return;
        last = performance.now();
        onProgress?.(done);
      },
    });
    const { heldOutLoss: loss, result, trainingSeconds, tokensPerSecond, trainedSteps, plan } = done;
    stepSeconds = tokensPerSecond === null ? 0 : (trainedSteps * batch * accumulate * sequence) / tokensPerSecond;
    const blind = Math.log(vocabSize);
    const sources = Object.fromEntries(
      (result.sources ?? []).flatMap(({ source, bits_per_byte, nats_per_token }) => [
        [`loss ${source}`, nats_per_token],
        [`bits_per_byte ${source}`, bits_per_byte],
      ]),
    );
    trained = {
      ...row,
      ...{ status: "finished", loss, bits_per_byte: result.bits_per_byte, ...sources, seconds: trainingSeconds },
      ...{ steps: plan.steps, learning_rate: plan.schedule.learningRate },
      ...(!(loss < blind + LOST_NATS) && {
        status: "diverged",
        reason: `its held-out loss of ${loss.toFixed(2)} is far above that of a uniform guess, ${blind.toFixed(2)}`,
      }),
    };
  } catch (error) {
    if (!(error instanceof QuernError) || !error.message.startsWith("training diverged")) throw error;
    trained = { ...row, status: "diverged", seconds: 0, reason: error.message.split("; ")[0] };
  }
  const wall_seconds = (performance.now() - started) / 1000;
  return writeOutcome(out, run.name, { ...trained, wall_seconds, step_seconds: stepSeconds });
}

async function writeOutcome(out: string, name: string, content: Readonly<Record<string, unknown>>): Promise<Outcome> {
  await writeFileAtomic(outcomeFile(out, name), `${JSON.stringify(content)}\n`);
  return content as unknown as Outcome;
}

/** A loss this far above that of a uniform guess, in nats, counts as diverged; one near it may be a run of a few steps. */
const LOST_NATS = 0.5;

/** Checkpoints of a run: when killed it loses at most a fifth of its work (and small ones 100 steps). */
const SAVES = 5;

/** Trains the runs of a chain, one after another. Progress counts the steps of all. */
async function trainChain(config: SweepConfig, chain: readonly SweepRun[], context: TaskContext): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let before = 0;
  for (const run of chain) {
    const onProgress = (done: number) => context.onProgress?.(before + Math.max(0, done - (run.after?.step ?? 0)));
    const last = outcomes.at(-1);
    const outcome =
      (await readOutcome(config.out, run)) ??
      (last?.status === "diverged"
        ? await writeOutcome(config.out, run.name, {
            ...rowOf(run, config),
            ...{ status: "diverged", seconds: 0, wall_seconds: 0, step_seconds: 0 },
            reason: `it continues from ${last.run}, which diverged`,
          })
        : await trainRun(config, run, { ...context, onProgress }));
    outcomes.push(outcome);
    before += ownSteps(run);
  }
  return outcomes;
}

/** The tasks of a sweep: those of `train` are chains of runs, those of `compile` and `time` measure the speed of a run's program. */
export const sweepTasks: TaskKind<SweepConfig> = defineTasks({
  name: "sweep",
  module: import.meta.url,
  config: sweepConfigSchema,
  open: async ({ config }) => {
    const runs = new Map(config.runs.map((run) => [run.name, run]));
    const isLate = lateness(config);
    return async (stage, { name }, context = {}) => {
      const run = runs.get(name);
      if (run === undefined) throw new QuernError(`the sweep has no run ${name}`, { exitCode: 2 });
      if (stage === TRAIN_STAGE) {
        const chain = chainOf(config, name);
        const began = Date.now();
        if (isLate.before(chain)) return [];
        const outcomes = await trainChain(config, chain, context);
        isLate.took(chain, (Date.now() - began) / 1000);
        return outcomes;
      }
      const { threads, vocabSize, dtype } = config;
      const seconds = stage === TIME_STAGE ? TIMING_SECONDS : 0;
      return timeProgram(sizesOfRun(run, vocabSize), { threads, dtype, seconds, signal: context.signal });
    };
  },
  finished: async ({ config }, _, { name }) => {
    const outcomes = await Promise.all(chainOf(config, name).map((run) => readOutcome(config.out, run)));
    return outcomes.every((outcome) => outcome !== undefined) ? outcomes : undefined;
  },
});

/**
 * Decides which chains a sweep with a time limit leaves out, because this machine is slower than it was when it was measured. Chains
 * start with the longest one, so that leaving one out early makes room for the most others.
 */
function lateness({ limit, runs }: SweepConfig) {
  const expected = (chain: readonly SweepRun[]) =>
    chain.reduce((sum, { name }) => sum + (limit?.seconds[name] ?? 0), 0);
  const flops = (chain: readonly SweepRun[]) => chain.reduce((sum, run) => sum + ownFlops(run), 0);
  const order = chainsOf(runs).sort((a, b) => flops(b) - flops(a));
  let [planned, took] = [0, 0];
  return {
    before(chain: readonly SweepRun[]): boolean {
      if (limit === undefined) return false;
      const slowness = planned === 0 ? 1 : Math.max(1, took / planned);
      const left = (limit.at - Date.now()) / 1000 / slowness;
      const rest = order.slice(order.findIndex(([first]) => first.name === chain[0].name));
      const needed = rest.reduce((sum, each) => sum + expected(each), 0) / limit.workers;
      return expected(chain) > left || needed > left;
    },
    took(chain: readonly SweepRun[], seconds: number) {
      planned += expected(chain);
      took += seconds;
    },
  };
}

/** The runs of a task, which has the name of the first. */
export const chainOf = ({ runs }: Pick<SweepConfig, "runs">, name: string): SweepRun[] =>
  chainsOf(runs).find(([first]) => first.name === name) ?? [];

const TIMING_SECONDS = 0.8;

export type { ProgramTime };
