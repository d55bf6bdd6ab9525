/**
 * @file One post-training run, the same for every algorithm: options → model and examples → program → plan → loop →
 * checkpoints, metrics and report. An algorithm is a `Task`: a trainer, its batches, and what its checkpoints keep.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { z } from "zod";
import { type CompileOptions, examineMachine, freeMemory } from "../backends/index.js";
import { type OutputLayout, withOutput, writeFileAtomic } from "../documents/index.js";
import { InterruptedError, QuernError } from "../errors.js";
import { openTextModel, type TextModel } from "../infer/index.js";
import { readJsonFile } from "../json-file.js";
import { checkpointPath, countParameters, type ModelConfig } from "../model/index.js";
import { checkOptions } from "../options.js";
import type { OnProgress } from "../progress.js";
import {
  ADAMW_DEFAULTS,
  appendMetrics,
  type BatchSource,
  bestCheckpoint,
  type CheckpointFormat,
  checkSpace,
  compileTrainer,
  createEventFile,
  evaluateBatches,
  explainTrainer,
  identityOf,
  type MetricsLine,
  measureThroughput,
  optimizerState,
  type RunPlan,
  type RunRecord,
  readRunRecord,
  resetOptimizer,
  restoreCheckpoint,
  rewindMetrics,
  runPaths,
  saveCheckpoint,
  type Trainer,
  type TrainingBatch,
  type TrainingProgram,
  train,
  validationInterval,
  writeReport,
  writeRunRecord,
} from "../train/index.js";
import { version } from "../version.js";
import type { Preview } from "./data/preview.js";
import type { AlignOptions, alignOptions } from "./options.js";
import type { Policy } from "./policy.js";

/** What every library function of post-training takes beside its options. */
export interface AlignCalls {
  /** Where to run; by default the cpu backend with the widest instruction set. */
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  /** Called with the plan before the first step. */
  readonly onPlan?: (plan: AlignPlan) => void;
  /** Called with sentences about the data: what was read, cut and left out. */
  readonly onNote?: (line: string) => void;
  /** Plans the run, and writes nothing. */
  readonly dryRun?: boolean;
  /** Reports the kernels of the compiled program to `onNote`, with and without fusion. */
  readonly explain?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface AlignPlan extends RunPlan {
  readonly algorithm: string;
  readonly model: ModelConfig;
  /** Parameters of the model, and those that learn. */
  readonly parameters: number;
  readonly trainable_parameters: number;
  /** Of the encoded examples and their order. */
  readonly dataset: string;
  readonly examples: number;
}

export interface AlignResult {
  readonly run: string;
  /** The newest checkpoint, and the best on the evaluation data. */
  readonly checkpoint: string;
  readonly best_checkpoint: string;
  readonly report: string;
  readonly plan: AlignPlan;
  readonly steps: number;
  /** Loss of the last step; null where a finished run was resumed. */
  readonly loss: number | null;
  /** The last line of the metrics. */
  readonly metrics: Readonly<Record<string, unknown>>;
  /** Of the last evaluation; null without evaluation data. */
  readonly evaluation: Readonly<Record<string, unknown>> | null;
  readonly tokens_per_second: number | null;
  readonly seconds: number;
  /** Of an algorithm with rollouts: shares of the steps' time spent in them, in scoring and in updates. */
  readonly time_shares?: { readonly rollouts: number; readonly scoring: number; readonly updates: number };
}

/** What an algorithm is given to prepare itself. */
export interface Context<O> {
  readonly o: O;
  readonly base: TextModel;
  readonly note: (line: string) => void;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  readonly target?: AlignCalls["target"];
  /** Where the algorithm may keep files of the run; null for a dry run. */
  readonly folder: string | null;
}

/** A step's batches, with the number of tokens that are no padding. */
export interface StepBatches {
  readonly batches: readonly TrainingBatch[];
  readonly tokens: number;
  /** What the host measured while it made the batches, for the step's line of the metrics. */
  readonly metrics?: Readonly<Record<string, number>>;
}

/** The result of an evaluation on held-out data: lower losses are better. */
export interface Evaluation {
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  /** Completions for the report, the same prompts at each evaluation. */
  readonly rollouts?: MetricsLine["rollouts"];
}

/** An algorithm that is ready to run. */
export interface Task {
  readonly model: ModelConfig;
  readonly trainer: Trainer;
  /** Rows of a batch and tokens of a row, as the program is compiled for. */
  readonly rows: number;
  readonly sequence: number;
  /** Examples of a batch, and examples in all: an epoch. */
  readonly batch: number;
  readonly examples: number;
  /** What decides the numbers beside the plan: encoded examples, settings of the loss. */
  readonly identity: readonly unknown[];
  /** The learning rate unless one is given. */
  readonly learningRate: number;
  readonly reasons: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  /** Writes the first values of all variables of the model. */
  writeWeights(training: TrainingProgram): Promise<void>;
  /** Called once the program has its first weights, before the first step. */
  begin?(training: TrainingProgram): Promise<void>;
  load(step: number, accumulate: number, training: TrainingProgram): Promise<StepBatches>;
  /** False where batches depend on the model as the last step left it. */
  readonly ahead?: boolean;
  /** Parameters in all, if they are not those of the model. */
  readonly parameters?: number;
  /** Held-out batches; null without evaluation data. */
  readonly evaluation: readonly TrainingBatch[] | null;
  /** Evaluates in another way than by the trainer's loss on `evaluation`. */
  evaluate?(training: TrainingProgram, step: number): Promise<Evaluation | null>;
  /** What the algorithm itself must remember between steps, as JSON; checkpoints keep it. */
  readonly state?: { read(): unknown /** Null before the first step. */; write(value: unknown): void };
  /** The smallest and largest values of metrics; beyond them the run has collapsed, and stops. */
  readonly limits?: Readonly<Record<string, { readonly least?: number; readonly most?: number }>>;
  /** Further results on the evaluation data, once after the last step. */
  summarize?(training: TrainingProgram): Promise<Readonly<Record<string, unknown>>>;
  format(training: TrainingProgram): CheckpointFormat;
  /** The first examples as the model sees them. */
  preview?(count: number): readonly Preview[];
  close(): Promise<void>;
}

const DEFAULTS = { epochs: 3, batch: 8, accumulate: 1 };

const runLayout: OutputLayout = {
  writes: (path) =>
    /^(run\.json|metrics\.jsonl|report\.html|cache\/[^/]+|checkpoints\/\d+\/[^/]+|events\.[^/]+)$/.test(path),
  folders: /^(checkpoints|cache)$/,
};

/**
 * Runs an algorithm into a run folder.
 * @param schema of the verb; it extends `alignOptions`
 * @throws QuernError for options that do not fit, a run that is there already, or a training that diverges
 */
export async function runAlignment<S extends typeof alignOptions>(
  algorithm: string,
  schema: S,
  given: z.input<S> & AlignCalls,
  inputsOf: (o: z.output<S>) => readonly (string | undefined)[],
  prepare: (context: Context<z.output<S>>) => Promise<Task>,
  open: OpenBase = openTextModel,
): Promise<AlignResult> {
  const { calls, options } = separate(given);
  const now = checkOptions(schema, options) as z.output<S> & AlignOptions;
  const planned = {
    now,
    calls,
    algorithm,
    open,
    prepare: prepare as (context: Context<AlignOptions>) => Promise<Task>,
  };
  if (calls.dryRun) return runInto(planned);
  const inputs = inputsOf(now).filter((path) => path !== undefined && !/^\w+:\/\//.test(path)) as string[];
  const claim = { verb: algorithm, out: now.out, inputs, layout: runLayout, force: now.force, resume: now.resume };
  return withOutput(claim, () => runInto(planned));
}

/** Returns the first examples of a run as the model sees them; trains and writes nothing. */
export async function previewAlignment<S extends typeof alignOptions>(
  schema: S,
  given: z.input<S> & AlignCalls,
  count: number,
  prepare: (context: Context<z.output<S>>) => Promise<Task>,
  open: OpenBase = openTextModel,
): Promise<readonly Preview[]> {
  const { calls, options } = separate(given);
  const { target, onNote, signal, onProgress } = calls;
  const o = checkOptions(schema, options) as z.output<S> & AlignOptions;
  const base = await openBase(o, open);
  try {
    const task = await prepare({ o, base, note: onNote ?? (() => {}), target, signal, onProgress, folder: null });
    const previews = task.preview?.(count) ?? [];
    await task.close();
    return previews;
  } finally {
    await base.close();
  }
}

/** Separates what a library call takes beside its options. */
function separate(given: AlignCalls & object): { readonly calls: AlignCalls; readonly options: object } {
  const { target, onPlan, onNote, dryRun, explain, signal, onProgress, ...options } = given;
  return { calls: { target, onPlan, onNote, dryRun, explain, signal, onProgress }, options };
}

/** Opens the model that a run starts from. */
type OpenBase = (path: string) => Promise<TextModel>;

function openBase({ model }: AlignOptions, open: OpenBase): Promise<TextModel> {
  if (model === undefined) throw new QuernError("--model is missing: the model to train", { exitCode: 2 });
  return open(model);
}

interface Planned {
  readonly now: AlignOptions;
  readonly calls: AlignCalls;
  readonly algorithm: string;
  readonly open: OpenBase;
  readonly prepare: (context: Context<AlignOptions>) => Promise<Task>;
}

async function runInto({ now, calls, algorithm, open, prepare }: Planned): Promise<AlignResult> {
  const started = performance.now();
  const { target, onPlan, onNote, dryRun = false, signal, onProgress } = calls;
  const before = await recordOf(now, algorithm, dryRun);
  const o = before === null ? now : resumedOptions(before, now);
  checkBudgets(o);
  const base = await openBase(o, open);
  const note = onNote ?? (() => {});
  const folder = dryRun ? null : o.out;
  let task: Task | null = null;
  let training: TrainingProgram | null = null;
  try {
    task = await prepare({ o, base, note, target, signal, onProgress, folder });
    onProgress?.({ task: "compile", done: 0, total: 1, unit: "program" });
    training = await compileTrainer(task.trainer, {
      optimizer: optimizerFor(o),
      accumulate: o.accumulate ?? DEFAULTS.accumulate,
      ...target,
      cpu: { threads: o.threads, ...target?.cpu },
      dtype: o.dtype ?? "auto",
    });
    onProgress?.({ task: "compile", done: 1, total: 1, unit: "program" });
    const fixed = before?.plan === undefined ? null : (before.plan as unknown as AlignPlan);
    const plan = fixed ?? (await makePlan(algorithm, o, task, training, signal));
    const identity = identityOf(plan, task.model, algorithm, plan.dataset);
    if (fixed !== null && fixed.dataset !== datasetHash(task, o)) {
      throw new QuernError("the examples are not those that the run began with: the data or the template differs", {
        exitCode: 2,
      });
    }
    onPlan?.(plan);
    if (calls.explain) for (const line of explainTrainer(task.trainer, plan)) note(line);
    if (dryRun) return dryResult(o.out, plan);
    await checkSpace(o.out, plan.expected.disk_bytes);
    return await trainAndReport({ o, task, training, plan, identity, before, calls, started });
  } catch (error) {
    if (!signal?.aborted || error instanceof InterruptedError || error instanceof QuernError) throw error;
    if (dryRun || (await readRunRecord(o.out)) === null) throw error;
    throw new InterruptedError(`interrupted; ${o.out} keeps the run, --resume continues from there`, o.out, {
      cause: error,
    });
  } finally {
    training?.program.dispose();
    await task?.close();
    await base.close();
  }
}

interface Ready {
  readonly o: AlignOptions;
  readonly task: Task;
  readonly training: TrainingProgram;
  readonly plan: AlignPlan;
  readonly identity: string;
  readonly before: RunRecord | null;
  readonly calls: AlignCalls;
  readonly started: number;
}

async function trainAndReport(ready: Ready): Promise<AlignResult> {
  const { o, task, training, plan, identity, before, calls, started } = ready;
  const { signal, onProgress } = calls;
  const run = o.out;
  const record = before ?? { ...(await firstRecord(o, plan)), preview: shortened(task.preview?.(3) ?? []) };
  if (before === null) await writeRunRecord(run, record);
  const saved = {
    program: training.program,
    format: withState(task.format(training), task.state),
    state: optimizerState(training.trainable, plan.optimizer),
  };
  await task.writeWeights(training);
  resetOptimizer(training);
  task.state?.write(null); // timing the steps for a budget in minutes has changed it
  await task.begin?.(training);
  const restored = before && (await restoreCheckpoint(run, identity, saved));
  const done = restored ?? { step: 0, seconds: 0 };
  const kept = await rewindMetrics(run, done.step);
  const events = o.reportTo === undefined ? null : await createEventFile(run, { firstStep: done.step + 1 });

  const loadedOf = new Map<number, StepBatches>();
  const source: BatchSource = {
    ahead: task.ahead,
    load: async (step) => {
      const loaded = await task.load(step, plan.accumulate, training);
      loadedOf.set(step, loaded);
      return loaded.batches;
    },
  };
  let tokens = kept.findLast((line) => line.tokens !== undefined)?.tokens ?? 0;
  let last: Record<string, unknown> = {};
  // A finished run that is resumed has been evaluated before.
  let evaluation = evaluationIn(kept.findLast((line) => line.validation_loss !== undefined));
  let evaluated: { readonly step: number; readonly line: Record<string, unknown> } | null = null;
  const spent = { rollouts: 0, scoring: 0 };
  let isEqualNoted = false;
  let lastSaved = restored ? checkpointPath(run, restored.step) : undefined;
  const evaluate = async (step: number) => {
    const measured = await evaluateTask(task, training, step);
    if (measured === null) return null;
    const named = Object.entries(measured.metrics).map(([name, value]) => [`validation_${name}`, value]);
    evaluation = { validation_loss: measured.loss, ...Object.fromEntries(named) };
    const line = { ...evaluation, ...(measured.rollouts && { rollouts: measured.rollouts }) };
    evaluated = { step, line };
    return { loss: measured.loss, line };
  };
  const trained = await train({
    ...{ training, plan, done, signal, onProgress, source },
    deadline: o.minutes === undefined || before !== null ? null : deadlineOf(o.minutes, started),
    lastSaved,
    hooks: {
      record: async ({ gradient_norm, tokens: _, tokens_per_second, ...line }) => {
        const loaded = loadedOf.get(line.step - 1);
        loadedOf.delete(line.step - 1);
        tokens += loaded?.tokens ?? 0;
        // The loop counts padding as well.
        const share = (loaded?.tokens ?? 0) / (plan.batch * plan.sequence * plan.accumulate);
        last = {
          ...line,
          ...loaded?.metrics,
          ...(gradient_norm !== undefined && { grad_norm: gradient_norm }),
          ...(loaded !== undefined && { tokens }),
          ...(tokens_per_second !== undefined && { tokens_per_second: tokens_per_second * share }),
        };
        await appendMetrics(run, last as never);
        await events?.append(line.step, scalarsOf(last));
        if (last.equal_groups === 1 && !isEqualNoted) {
          isEqualNoted = true;
          calls.onNote?.(EQUAL_GROUPS.replace("STEP", String(line.step)));
        }
        spent.rollouts += (loaded?.metrics?.rollout_seconds ?? 0) as number;
        spent.scoring += (loaded?.metrics?.scoring_seconds ?? 0) as number;
        refuseCollapse(task.limits ?? {}, last, lastSaved);
      },
      save: async (step, seconds, validationLoss) => {
        lastSaved = await saveCheckpoint(run, saved, { step, seconds, run: identity, validationLoss }, keepOf(o));
        return lastSaved;
      },
      evaluate,
      replan: (changed) => writeRunRecord(run, { ...record, plan: { ...changed } }),
    },
  });
  if (task.evaluation !== null && task.summarize !== undefined) {
    evaluation = { ...(evaluation as object | null), ...(await task.summarize(training)) };
  }
  const steps = trained.plan.cuts.at(-1)?.steps ?? trained.plan.steps;
  // The loop records evaluations between steps, not the one before the last checkpoint.
  const atEnd = evaluated as { readonly step: number; readonly line: Record<string, unknown> } | null;
  if (atEnd?.step === steps) {
    await appendMetrics(run, { step: steps, ...atEnd.line });
    await events?.append(steps, scalarsOf(atEnd.line));
  }
  const result = { ...(evaluation as object | null), steps };
  await writeRunRecord(run, { ...record, plan: { ...trained.plan }, result: result as never });
  const report = await writeReport(run);
  return {
    run,
    checkpoint: checkpointPath(run, steps),
    best_checkpoint: checkpointPath(run, (await bestCheckpoint(run)) ?? steps),
    report,
    plan: trained.plan,
    steps,
    loss: trained.loss,
    metrics: last,
    evaluation,
    tokens_per_second: (last.tokens_per_second as number | undefined) ?? null,
    seconds: (performance.now() - started) / 1000,
    ...(spent.rollouts > 0 && { time_shares: timeShares(spent, trained.seconds - done.seconds) }),
  };
}

function timeShares({ rollouts, scoring }: { rollouts: number; scoring: number }, seconds: number) {
  const total = Math.max(seconds, rollouts + scoring);
  return { rollouts: rollouts / total, scoring: scoring / total, updates: (total - rollouts - scoring) / total };
}

/** A line of the metrics as TensorBoard groups them: `train/loss`, `validation/loss`. */
function scalarsOf({ step: _, ...line }: Readonly<Record<string, unknown>>): Record<string, number> {
  const numbers = Object.entries(line).filter((entry): entry is [string, number] => typeof entry[1] === "number");
  const tag = (name: string) =>
    name.startsWith("validation_") ? name.replace("validation_", "validation/") : `train/${name}`;
  return Object.fromEntries(numbers.map(([name, value]) => [tag(name), value]));
}

/** Tokens of a text in the report. */
const PREVIEW_TOKENS = 300;

const shortened = (previews: readonly Preview[]) =>
  previews.map(({ example, part, tokens }) => ({
    ...{ example, part },
    tokens: tokens.slice(0, PREVIEW_TOKENS).map(({ text, learned }) => ({ text, learned })),
  }));

/** The result of an algorithm's own evaluation, or of its loss on held-out batches. */
async function evaluateTask(task: Task, training: TrainingProgram, step: number): Promise<Evaluation | null> {
  if (task.evaluate !== undefined) return task.evaluate(training, step);
  if (task.evaluation === null) return null;
  const { loss, metrics } = await evaluateBatches(training, task.evaluation);
  return loss === null ? null : { loss, metrics };
}

const STATE_FILE = "algorithm_state.json";

/** Checkpoints that keep an algorithm's own state beside the model. */
function withState(format: CheckpointFormat, state: Task["state"]): CheckpointFormat {
  if (state === undefined) return format;
  return {
    write: async (folder) => {
      await format.write(folder);
      await writeFileAtomic(join(folder, STATE_FILE), JSON.stringify(state.read()));
    },
    read: async (folder) => {
      await format.read(folder);
      state.write(await readJsonFile(join(folder, STATE_FILE)));
    },
  };
}

/** Stops a run whose metrics left their limits. @throws QuernError with the step, the reason and the last good checkpoint */
function refuseCollapse(
  limits: NonNullable<Task["limits"]>,
  line: Readonly<Record<string, unknown>>,
  lastSaved: string | undefined,
): void {
  for (const [name, { least = Number.NEGATIVE_INFINITY, most = Number.POSITIVE_INFINITY }] of Object.entries(limits)) {
    const value = line[name];
    if (typeof value !== "number" || (value >= least && value <= most)) continue;
    const bound = value < least ? `below ${least}` : `above ${most}`;
    const good =
      lastSaved === undefined ? "no checkpoint was saved before it" : `the last good checkpoint is ${lastSaved}`;
    throw new QuernError(
      `the policy collapsed at step ${line.step}: ${name} is ${value.toPrecision(4)}, ${bound}; ${good}; lower the ` +
        "learning rate, or raise the weight of the KL penalty",
    );
  }
}

/** Why a loss is 0. */
const EQUAL_GROUPS =
  "in step STEP the rewards of each prompt's completions are all equal, so that none is better than another and the loss is 0: " +
  "choose prompts that the model sometimes gets right, or a finer reward";

const deadlineOf = (minutes: number, started: number) => ({
  aim: started + minutes * 60_000 * 1.1,
  limit: started + minutes * 60_000 * 1.2,
});

/** The record of the run that is resumed; null for a new one. */
async function recordOf(now: AlignOptions, algorithm: string, dryRun: boolean): Promise<RunRecord | null> {
  const found = await readRunRecord(now.out);
  if (found === null) {
    if (!now.resume) return null;
    throw new QuernError(`${now.out} contains no run to resume; check --out`, { exitCode: 2 });
  }
  if (!now.resume) {
    if (dryRun || now.force) return null;
    throw new QuernError(`${now.out} already contains a run; resume it with --resume, or choose another folder`, {
      exitCode: 2,
    });
  }
  const own = found.plan?.algorithm;
  if (own === algorithm) return found;
  throw new QuernError(`${now.out} contains a run of ${own ?? "pretrain"}, not of ${algorithm}`, { exitCode: 2 });
}

/** Options that belong to one call, or that may differ from call to call. */
const FREE = ["out", "force", "resume", "threads", "saveEvery", "keep", "strict", "reportTo"];

/** The flag of an option. */
const flagOf = (key: string) =>
  key === "learningRate" ? "--lr" : `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** The options of a run, with those that were given now and may differ. @throws QuernError for one that may not */
function resumedOptions({ config = {} }: RunRecord, now: AlignOptions): AlignOptions {
  for (const [key, value] of Object.entries(now)) {
    if (value === undefined || FREE.includes(key)) continue;
    if (JSON.stringify(config[key]) === JSON.stringify(value)) continue;
    const was = config[key] === undefined ? "was not given" : `was ${JSON.stringify(config[key])}`;
    throw new QuernError(
      `a resumed run keeps its plan: ${flagOf(key)} ${was} there, and is ${JSON.stringify(value)} now`,
      {
        exitCode: 2,
      },
    );
  }
  const given = Object.fromEntries(Object.entries(now).filter(([, value]) => value !== undefined));
  return { ...config, ...given } as AlignOptions;
}

function checkBudgets(o: AlignOptions): void {
  const given = (["steps", "epochs", "minutes"] as const).filter((key) => o[key] !== undefined);
  if (given.length < 2) return;
  throw new QuernError(`${given.join(" and ")} are both training budgets; give only one`, { exitCode: 2 });
}

/** AdamW as post-training uses it: a longer memory of squares, and no decay unless requested. */
const optimizerFor = ({ decay = 0, clip = 1 }: AlignOptions) => ({ ...ADAMW_DEFAULTS, beta2: 0.999, decay, clip });

function datasetHash(task: Task, { seed = 0, order = "shuffled" }: AlignOptions): string {
  const hash = createHash("sha256");
  // Piece by piece: as one text, a large dataset would be longer than a string may be.
  const add = (value: unknown): void => {
    if (!Array.isArray(value) || value.every((one) => typeof one !== "object")) {
      hash.update(`${JSON.stringify(value)},`);
      return;
    }
    hash.update("[");
    for (const one of value) add(one);
    hash.update("]");
  };
  add([task.identity, task.batch, order, seed]);
  return hash.digest("hex");
}

/** Checkpoints that stay: with evaluation data alone, the last one and the best. */
const keepOf = ({ keep, evalData, saveEvery }: AlignOptions): number | undefined =>
  keep ?? (evalData !== undefined && saveEvery === undefined ? 1 : undefined);

/** The results of an evaluation in a line of the metrics. */
function evaluationIn(line: MetricsLine | undefined): Record<string, unknown> | null {
  if (line === undefined) return null;
  return Object.fromEntries(Object.entries(line).filter(([name]) => name.startsWith("validation_")));
}

async function makePlan(
  algorithm: string,
  o: AlignOptions,
  task: Task,
  training: TrainingProgram,
  signal: AbortSignal | undefined,
): Promise<AlignPlan> {
  const accumulate = o.accumulate ?? DEFAULTS.accumulate;
  const { program, trainable } = training;
  const parameters = task.parameters ?? countParameters(task.model);
  const trainable_parameters = trainable.reduce((total, { variable }) => total + sizeOf(variable.shape), 0);
  const { steps, why, seconds } = await stepsFor(o, task, training, signal);
  const validate_every = o.evalEvery ?? validationInterval(steps);
  // Each evaluation saves a checkpoint, so that the best one is there in the end.
  const save_every = o.saveEvery ?? (o.evalData === undefined ? null : validate_every);
  const checkpoints = Math.min(save_every === null ? 1 : Math.ceil(steps / save_every), (keepOf(o) ?? steps) + 1);
  return {
    algorithm,
    model: task.model,
    parameters,
    trainable_parameters,
    dataset: datasetHash(task, o),
    examples: task.examples,
    batch: task.rows,
    sequence: task.sequence,
    accumulate,
    steps,
    cuts: [],
    schedule: {
      kind: o.schedule ?? "linear",
      learningRate: o.learningRate ?? task.learningRate,
      warmupSteps: o.warmup ?? 0,
      decaySteps: Math.ceil(steps / 5),
      finalShare: 0,
    },
    optimizer: optimizerFor(o),
    seed: o.seed ?? 0,
    threads: program.plan.threads,
    precision: program.plan.dtype,
    target: program.plan.target,
    validate_every,
    save_every,
    expected: {
      minutes: (seconds * steps) / 60,
      memory_bytes: program.plan.arenaBytes,
      disk_bytes: 4 * (checkpoints + 1) * trainable_parameters + 24 * trainable_parameters,
    },
    reasons: { steps: why, ...task.reasons },
    warnings: task.warnings,
  };
}

/** How many steps a run takes, why, and the seconds of one; without a time budget those are not measured. */
async function stepsFor(
  o: AlignOptions,
  task: Task,
  training: TrainingProgram,
  signal: AbortSignal | undefined,
): Promise<{ readonly steps: number; readonly why: string; readonly seconds: number }> {
  const perStep = task.batch * (o.accumulate ?? DEFAULTS.accumulate);
  if (o.steps !== undefined) return { steps: o.steps, why: "as given", seconds: 0 };
  if (o.minutes === undefined) {
    const { epochs = DEFAULTS.epochs } = o;
    const steps = Math.max(1, Math.ceil((epochs * task.examples) / perStep));
    return { steps, why: `${epochs} epochs of ${task.examples} examples, ${perStep} per step`, seconds: 0 };
  }
  await task.writeWeights(training);
  await task.begin?.(training);
  const load = async (step: number) => (await task.load(step, o.accumulate ?? 1, training)).batches;
  const { step } = await measureThroughput(training, { load }, Math.min(4, Math.max(0.2, o.minutes * 2)), signal);
  const steps = Math.max(1, Math.floor((o.minutes * 60 * 0.92) / step));
  return { steps, why: `${o.minutes} minutes at ${step.toPrecision(3)} s per step, measured here`, seconds: step };
}

async function firstRecord(o: AlignOptions, plan: AlignPlan): Promise<RunRecord> {
  const machine = await examineMachine({ measure: false });
  return {
    version,
    created: new Date().toISOString(),
    config: o,
    plan: { ...plan },
    seed: plan.seed,
    machine: {
      line: machine.line,
      processor: machine.processor,
      cores: machine.cores,
      compiler: machine.compiler?.version ?? machine.clang,
    },
  };
}

function dryResult(run: string, plan: AlignPlan): AlignResult {
  const paths = runPaths(run);
  return {
    ...{ run, plan, steps: plan.steps, loss: null, metrics: {}, evaluation: null, tokens_per_second: null, seconds: 0 },
    checkpoint: checkpointPath(run, plan.steps),
    best_checkpoint: checkpointPath(run, plan.steps),
    report: paths.record.replace(/run\.json$/, "report.html"),
  };
}

/**
 * Refuses a training that cannot fit the memory that is free: weights, gradients and two moments of what learns in fp32.
 * The compiled plan is exact; this one is in time.
 */
export function refuseMemory({ config, trainable }: Policy): void {
  const learned = trainable.reduce((total, { variable }) => total + sizeOf(variable.shape), 0);
  const needed = 4 * countParameters(config) + 12 * learned;
  if (needed <= freeMemory()) return;
  const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  throw new QuernError(
    `the training needs at least ${gigabytes(needed)} of memory and ${gigabytes(freeMemory())} are free; use --lora, or a ` +
      "smaller model",
  );
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** The width of the models that the papers' learning rates are for. */
const WIDE = 2048;

/**
 * The default learning rate: a paper's for a model 2048 wide, in inverse proportion to the width (Yang et al.,
 * arXiv:2203.03466), and ten times that for adapters (Schulman et al., "LoRA without regret", 2025).
 */
export function learningRateFor(rate: number, { config, lora }: Policy): Pick<Task, "learningRate" | "reasons"> {
  const factor = lora === null ? 1 : 10;
  const adapters = lora === null ? "" : ", ten times that for adapters";
  return {
    learningRate: rate * factor * Math.max(1, WIDE / config.width),
    reasons: { learningRate: `${rate} for a model ${WIDE} wide, in inverse proportion to the width${adapters}` },
  };
}
