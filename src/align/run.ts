/**
 * @file One post-training run, the same for every algorithm: options → model and examples → program → plan → loop →
 * checkpoints, metrics and report. An algorithm is a `Task`: a trainer, its batches, and what its checkpoints keep.
 */
import { join } from "node:path";
import type { z } from "zod";
import { counted } from "../counted.js";
import { type OutputLayout, withOutput, writeFileAtomic } from "../documents/index.js";
import { InterruptedError, QuernError } from "../errors.js";
import { openTextModel, type TextModel } from "../infer/index.js";
import { readJsonFile } from "../json-file.js";
import { checkpointPath } from "../model/index.js";
import { checkOptions } from "../options.js";
import {
  alone,
  appendMetrics,
  type BatchSource,
  bestCheckpoint,
  type CheckpointFormat,
  checkSpace,
  compileTrainer,
  contributeState,
  createEventFile,
  deadlineOf,
  evaluateBatches,
  explainTrainer,
  identityOf,
  type MetricsLine,
  type Ranks,
  type RunRecord,
  rankReport,
  readRunRecord,
  refuseOtherOptions,
  resetOptimizer,
  restoreCheckpoint,
  restoreState,
  rewindMetrics,
  runPaths,
  saveCheckpoint,
  storedState,
  type TrainingProgram,
  train,
  writeReport,
  writeRunRecord,
  type ZeroStage,
} from "../train/index.js";
import type { Preview } from "./data/preview.js";
import type { AlignOptions, alignOptions } from "./options.js";
import { checkBudgets, DEFAULTS, datasetHash, keepOf, makePlan, optimizerFor } from "./plan.js";
import { firstRecord, recordOf, resumedOptions } from "./record.js";
import type { AlignCalls, AlignPlan, AlignResult, Context, Evaluation, Previewed, StepBatches, Task } from "./task.js";

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
  if (calls.dryRun) return runInto(planned, (calls.team ?? alone).ranks);
  const inputs = inputsOf(now).filter((path) => path !== undefined && !/^\w+:\/\//.test(path)) as string[];
  const claim = { verb: algorithm, out: now.out, inputs, layout: runLayout, force: now.force, resume: now.resume };
  const { team = alone } = calls;
  const run = async (ranks: Ranks) => {
    const lead = () => withOutput(claim, () => runInto(planned, ranks));
    if (ranks.size === 1) return lead();
    await refuseOtherOptions(ranks, now);
    const [result] = await ranks.share(ranks.rank === 0 ? await lead() : await follow(planned, ranks));
    return result as AlignResult;
  };
  return team.run(run, now.out);
}

/** Returns the first examples of a run as the model sees them; trains and writes nothing, and needs no `out`. */
export async function previewAlignment<S extends typeof alignOptions>(
  schema: S,
  given: Previewed<z.input<S> & AlignCalls>,
  count: number,
  prepare: (context: Context<z.output<S>>) => Promise<Task>,
  open: OpenBase = openTextModel,
): Promise<readonly Preview[]> {
  const { calls, options } = separate(given);
  const { target, onNote, signal, onProgress } = calls;
  const o = checkOptions(schema, { ...options, out: given.out ?? "" }) as z.output<S> & AlignOptions;
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
  const { target, team, onPlan, onNote, dryRun, explain, signal, onProgress, ...options } = given;
  return { calls: { target, team, onPlan, onNote, dryRun, explain, signal, onProgress }, options };
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

/** What rank 0 tells the others before they compile their programs. */
interface Orders {
  readonly plan: AlignPlan;
  readonly zero: ZeroStage;
}

/** Steps that the restored checkpoint has, and the seconds they took; 0 for a new run. */
interface Done {
  readonly step: number;
  readonly seconds: number;
}

/**
 * A rank other than 0: it prepares the same task, trains with the others, and writes nothing.
 * @throws QuernError if this node lacks the model or the data, or has others
 */
async function follow({ now, calls, open, prepare }: Planned, ranks: Ranks): Promise<null> {
  const { target, signal } = calls;
  const [options] = await ranks.share<AlignOptions | null>(null);
  const o = { ...now, ...(options as AlignOptions), threads: now.threads };
  const base = await openBase(o, open);
  let task: Task | null = null;
  let training: TrainingProgram | null = null;
  try {
    task = await prepare({ o, base, note: () => {}, target, signal, folder: null });
    const [orders] = await ranks.share<Orders | null>(null);
    const { plan, zero } = orders as Orders;
    if (plan.dataset !== datasetHash(task, o)) {
      throw new QuernError("the examples are not those of rank 0; give all nodes the same files");
    }
    training = await compileTrainer(task.trainer, {
      ...{ optimizer: plan.optimizer, accumulate: plan.accumulate, ranks, zero },
      ...target,
      // The same program gives the same bits on every rank.
      cpu: { ...target?.cpu, threads: plan.threads, instructionSet: plan.target },
      dtype: plan.precision,
    });
    const own = { format: withState(task.format(training), task.state), state: storedState(training) };
    await task.writeWeights(training);
    resetOptimizer(training);
    await task.begin?.(training);
    const [found] = await ranks.share<Done | null>(null);
    const done = found as Done;
    if (done.step > 0) {
      const path = checkpointPath(o.out, done.step);
      await own.format.read(path);
      await restoreState(path, own.state);
    }
    const { load, ahead } = task;
    const program = training;
    await train({
      ...{ training, plan, done, signal },
      source: { ahead, load: async (step) => (await load(step, plan.accumulate, program)).batches },
      hooks: {
        record: async () => {},
        save: async (step) => {
          await contributeState(program);
          return checkpointPath(o.out, step);
        },
      },
    });
    return null;
  } finally {
    training?.dispose();
    await task?.close();
    await base.close();
  }
}

async function runInto({ now, calls, algorithm, open, prepare }: Planned, ranks: Ranks): Promise<AlignResult> {
  const started = performance.now();
  const { target, onPlan, onNote, dryRun = false, signal, onProgress } = calls;
  const before = await recordOf(now, algorithm, dryRun);
  const o = before === null ? now : resumedOptions(before, now);
  checkBudgets(o);
  await ranks.share(o);
  const base = await openBase(o, open);
  const note = onNote ?? (() => {});
  const folder = dryRun ? null : o.out;
  let task: Task | null = null;
  let training: TrainingProgram | null = null;
  try {
    task = await prepare({ o, base, note, target, signal, onProgress, folder });
    onProgress?.({ task: "compile", done: 0, total: 1, unit: "program" });
    const fixed = before?.plan === undefined ? null : (before.plan as unknown as AlignPlan);
    // Each rank has as many batches.
    const accumulate = fixed?.accumulate ?? (o.accumulate ?? DEFAULTS.accumulate) * ranks.size;
    if (accumulate < ranks.size) {
      throw new QuernError(
        `the plan has ${counted(accumulate, "batch", "batches")} per step, too few for ${ranks.size} ranks; start at most ` +
          `${accumulate}`,
        { exitCode: 2 },
      );
    }
    const zero = (o.zero ?? 0) as ZeroStage;
    const threads = o.threads ?? (process.env.QUERN_THREADS ? undefined : (calls.team?.threads ?? undefined));
    training = await compileTrainer(task.trainer, {
      ...{ optimizer: optimizerFor(o), accumulate, ranks, zero },
      ...target,
      cpu: { threads, ...target?.cpu },
      dtype: o.dtype ?? "auto",
    });
    onProgress?.({ task: "compile", done: 1, total: 1, unit: "program" });
    const plan = fixed ?? (await makePlan(algorithm, { ...o, accumulate }, task, training, signal));
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
    return await trainAndReport({ o, task, training, plan, identity, before, calls, started, zero });
  } catch (error) {
    if (!signal?.aborted || error instanceof InterruptedError || error instanceof QuernError) throw error;
    if (dryRun || (await readRunRecord(o.out)) === null) throw error;
    throw new InterruptedError(`interrupted; ${o.out} keeps the run, --resume continues from there`, o.out, {
      cause: error,
    });
  } finally {
    training?.dispose();
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
  readonly zero: ZeroStage;
}

async function trainAndReport(ready: Ready): Promise<AlignResult> {
  const { o, task, training, plan, identity, before, calls, started, zero } = ready;
  const { ranks } = training;
  const { signal, onProgress } = calls;
  const run = o.out;
  const record = before ?? { ...(await firstRecord(o, plan)), preview: shortened(task.preview?.(3) ?? []) };
  if (before === null) await writeRunRecord(run, record);
  const saved = {
    format: withState(task.format(training), task.state),
    state: storedState(training),
  };
  await task.writeWeights(training);
  resetOptimizer(training);
  task.state?.write(null); // timing the steps for a budget in minutes has changed it
  await ranks.share<Orders>({ plan, zero });
  await task.begin?.(training);
  const restored = before && (await restoreCheckpoint(run, identity, saved));
  const done = restored ?? { step: 0, seconds: 0 };
  await ranks.share<Done>({ step: done.step, seconds: done.seconds });
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
    deadline: o.minutes === undefined || before !== null ? null : deadlineOf(started, o.minutes),
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
  if (task.summarize !== undefined) {
    evaluation = { ...(evaluation as object | null), ...(await task.summarize(training)) };
  }
  const steps = trained.plan.cuts.at(-1)?.steps ?? trained.plan.steps;
  // The loop records evaluations between steps, not the one before the last checkpoint.
  const atEnd = evaluated as { readonly step: number; readonly line: Record<string, unknown> } | null;
  if (atEnd?.step === steps) {
    await appendMetrics(run, { step: steps, ...atEnd.line });
    await events?.append(steps, scalarsOf(atEnd.line));
  }
  const timing =
    spent.rollouts > 0 ? { time_shares: timeShares(spent, trained.seconds - done.seconds) } : ({} as const);
  const result = { ...(evaluation as object | null), steps, ...timing };
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
    ...(ranks.size > 1 && { ranks: rankReport(ranks, trained) }),
    ...timing,
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
  const { loss, metrics } = await evaluateBatches(training, task.evaluation());
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

/** The results of an evaluation in a line of the metrics. */
function evaluationIn(line: MetricsLine | undefined): Record<string, unknown> | null {
  if (line === undefined) return null;
  return Object.fromEntries(Object.entries(line).filter(([name]) => name.startsWith("validation_")));
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
