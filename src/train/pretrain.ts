/**
 * @file Pretraining from text to a checkpoint, top to bottom: split, tokenizer, token shards, model, plan, loop,
 * verdict, report. Each part is a function of its own elsewhere; here is the order.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { z } from "zod";
import { type CompileOptions, compile, examineMachine, measurePeak, type Program } from "../backends/index.js";
import { type Document, readDocuments, splitHeldOut } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { initialValues, type ModelConfig, parametersOf } from "../model/index.js";
import { checkOptions } from "../options.js";
import type { OnProgress } from "../progress.js";
import {
  loadTokenizer,
  openShards,
  saveTokenizer,
  type Tokenizer,
  type TokenShards,
  trainTokenizer,
  writeShards,
} from "../tokenizer/index.js";
import { packageFolder, version } from "../version.js";
import { ADAMW_DEFAULTS, momentNames } from "./adamw.js";
import { createLoader } from "./loader.js";
import { train } from "./loop.js";
import { measurePace, secondsOf } from "./pace.js";
import { type DefaultSizes, defaultBatch, defaultSizes, modelOf, planRun, type RunPlan } from "./plan.js";
import { type CheckedPretrainOptions, pretrainOptions } from "./pretrain-options.js";
import { type RunRecord, type RunResult, writeReport } from "./report.js";
import {
  appendMetrics,
  checkpointPath,
  checkSpace,
  readRunRecord,
  restoreCheckpoint,
  rewindMetrics,
  runPaths,
  saveCheckpoint,
  writeRunRecord,
} from "./run-folder.js";
import { trainingEntries } from "./training-program.js";
import { continuePrompts, drawPrompts, judge, loadHeldOut, planEvaluation } from "./verdict.js";

export type PretrainOptions = z.input<typeof pretrainOptions> & {
  /** Documents to learn from, instead of `text`. */
  readonly documents?: readonly Document[];
  /** Where to run; by default the cpu backend with the widest instruction set. */
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
};

export interface PretrainResult {
  /** The run's folder, its last checkpoint and its report. */
  readonly run: string;
  readonly checkpoint: string;
  readonly report: string;
  readonly plan: RunPlan;
  /** Loss of the last training step, nats a token; null where a finished run was resumed. */
  readonly loss: number | null;
  readonly tokensPerSecond: number | null;
  /** Of training alone, and of the whole call. */
  readonly trainingSeconds: number;
  readonly seconds: number;
  readonly result: RunResult;
}

interface Prepared {
  readonly tokenizer: Tokenizer;
  readonly shards: TokenShards;
  readonly model: ModelConfig;
}

/**
 * Trains a language model on text, into a run folder. With `minutes` all of it, the tokenizer and the verdict too, takes
 * about so long. With `resume` it goes on from the newest checkpoint as the run's own plan says, to the same bits.
 * When the signal aborts, the run is saved and the signal's reason is thrown.
 *
 * @throws QuernError for options that do not fit each other, a text that is too short, a folder that cannot be written
 */
export async function pretrain(options: PretrainOptions): Promise<PretrainResult> {
  const started = performance.now();
  const { documents, target = {}, signal, onProgress, ...given } = options;
  const o = checkOptions(pretrainOptions, given);
  if (o.minutes !== undefined && o.steps !== undefined) {
    throw new QuernError("minutes and steps both say how long to train; give one of them", { exitCode: 2 });
  }
  const minutes = o.steps === undefined ? (o.minutes ?? 3) : null;
  const run = o.out;
  const before = await readRunRecord(run);
  if (before !== null) checkResumable(before, o);

  const peak = await measurePeak({ threads: o.threads, signal }).catch(() => null); // a figure less, no reason to stop
  signal?.throwIfAborted();
  const peakFlops = peak === null ? null : peak.gflops * 1e9;
  const { tokenizer, shards, model } =
    before === null
      ? await prepare(o, await gather(documents, o.text, signal, onProgress), minutes, peakFlops, signal, onProgress)
      : await reopen(run, before);
  try {
    await checkSpace(run, model);
    const heldOut = loadHeldOut(shards.heldout, tokenizer);
    const shape = {
      batch: o.batch ?? defaultBatch(model),
      sequence: model.sequence,
      accumulate: o.accumulate ?? 1,
      ...planOf(before),
    };
    const seed = planOf(before)?.seed ?? o.seed ?? 0;
    const loader = createLoader(shards.train, { ...shape, seed });
    const prompts = drawPrompts(shards.heldout, tokenizer, seed);
    const sampling = { ...target, threads: o.threads, seed, signal };
    const first = new Map(parametersOf(model).map((parameter) => [parameter.name, parameter]));
    const firstValues = (name: string) => initialValues(first.get(name)!, seed);
    onProgress?.({ task: "compile", done: 0, total: 1, unit: "program" });
    const entries = trainingEntries(model, shape, planOf(before)?.optimizer ?? ADAMW_DEFAULTS);
    // Two programs are built side by side: this one, and the decoder that speaks before there is anything to say.
    const compiling = compile(entries, { ...target, threads: o.threads });
    const discard = () => compiling.then((built) => built.dispose()).catch(() => {});
    compiling.catch(() => {}); // it is awaited below; until then a failure must not end the process
    const untrained = await continuePrompts(model, tokenizer, prompts, firstValues, sampling).catch(
      async (error: unknown) => {
        await discard();
        throw error;
      },
    );
    const program = await compiling;
    onProgress?.({ task: "compile", done: 1, total: 1, unit: "program" });
    try {
      for (const name of first.keys()) program.write(name, firstValues(name));
      const pace = await measurePace(program, shape, await loader.load(0), signal);
      const secondsLeft = minutes === null ? null : minutes * 60 - (performance.now() - started) / 1000;
      // The verdict may take an eighth of the time. It is planned again when training is over: other work may have come.
      const planVerdict = (batchSeconds: number) =>
        planEvaluation(heldOut.ids.length - 1, shape, batchSeconds, (minutes ?? Number.POSITIVE_INFINITY) * 60 * 0.125);
      const expected = planVerdict(pace.evaluate).seconds;
      // What is left for training; at least two fifths of what was promised, however long the rest has taken.
      const forTraining = minutes === null ? null : Math.max(minutes * 24, secondsLeft! - expected - SAMPLES_SECONDS);
      const plan =
        planOf(before) ??
        planRun(o, model, {
          steps: o.steps ?? Math.max(1, Math.floor(forTraining! / (pace.step * 1.03))),
          threads: program.plan.threads,
          target: program.plan.target,
          training_tokens: shards.train.tokens,
          heldout_tokens: shards.heldout.tokens,
        });

      const record: RunRecord = before ?? (await beginRun(run, o, plan, peakFlops));
      setFirstState(program, model, firstValues);
      const done = (before && (await restoreCheckpoint(run, program, model))) ?? { step: 0, seconds: 0 };
      await rewindMetrics(run, done.step);
      const save = async (step: number, seconds: number) => {
        await saveCheckpoint(run, program, { step, config: model, tokenizer, seconds });
      };
      const trained = await train({
        program,
        loader,
        heldOut,
        plan,
        done,
        peakFlops,
        deadline: forTraining === null || before !== null ? null : performance.now() + forTraining * 1000,
        saveEvery: o.saveEvery ?? (record.config?.saveEvery as number | undefined),
        record: (line) => appendMetrics(run, line),
        save,
        replan: (changed) => writeRunRecord(run, { ...record, plan: { ...changed } }),
        signal,
        onProgress,
      });

      const firstBatch = await loader.load(0);
      const verdict = planVerdict(await secondsOf(() => program.run("evaluate", { ...firstBatch }), signal));
      const calls = { signal, onProgress };
      const { evaluation, result: judged } = await judge(program, heldOut, tokenizer, shape, verdict, calls);
      const { steps } = trained.plan;
      await appendMetrics(run, {
        step: steps,
        validation_loss: evaluation.loss,
        bits_per_byte: evaluation.bitsPerByte,
      });
      const spoken = await continuePrompts(model, tokenizer, prompts, (name) => program.read(name), sampling);
      const samples = prompts.map((prompt, i) => ({ prompt, before: untrained[i], after: spoken[i] }));
      const result = { ...judged, samples };
      await writeRunRecord(run, { ...record, plan: { ...trained.plan }, result });
      const report = await writeReport(run);
      return {
        run,
        checkpoint: checkpointPath(run, steps),
        report,
        plan: trained.plan,
        loss: trained.loss,
        tokensPerSecond: trained.tokensPerSecond,
        trainingSeconds: trained.seconds,
        seconds: (performance.now() - started) / 1000,
        result,
      };
    } finally {
      program.dispose();
    }
  } finally {
    shards.close();
  }
}

/** What samples and the report take after training, roughly. */
const SAMPLES_SECONDS = 2;

function planOf(record: RunRecord | null): RunPlan | undefined {
  return record?.plan as RunPlan | undefined;
}

/** Refuses to overwrite a run, and to go on with one that was planned otherwise than the options say now. */
function checkResumable(record: RunRecord, o: CheckedPretrainOptions): void {
  if (!o.resume) {
    throw new QuernError(`${o.out} already holds a run; go on with it by --resume, or choose another folder`, {
      exitCode: 2,
    });
  }
  for (const [key, value] of Object.entries(o)) {
    // Where the text lies and how many threads there are may differ from machine to machine.
    if (value === undefined || ["out", "resume", "text", "threads", "saveEvery"].includes(key)) continue;
    const planned = record.config?.[key];
    if (planned !== value) {
      const was = planned === undefined ? "was not given" : `was ${planned}`;
      throw new QuernError(`a resumed run goes on as planned: ${key} ${was} there, and is ${value} now`, {
        exitCode: 2,
      });
    }
  }
  if (planOf(record)?.model === undefined) throw new QuernError(`${o.out}/run.json has no plan; begin the run anew`);
}

async function gather(
  documents: readonly Document[] | undefined,
  paths: readonly string[] | undefined,
  signal: AbortSignal | undefined,
  onProgress: OnProgress | undefined,
): Promise<readonly Document[]> {
  if (documents !== undefined) return documents;
  if (paths === undefined)
    throw new QuernError("no text to learn from; name files or folders with --text", { exitCode: 2 });
  const reader = readDocuments(paths, { signal });
  const found: Document[] = [];
  for await (const document of reader) {
    found.push(document);
    if (found.length % 1000 === 0) onProgress?.({ task: "read text", done: found.length, unit: "document" });
  }
  const { skipped } = reader;
  const note =
    skipped.length === 0
      ? undefined
      : `${skipped.length} files skipped, such as ${skipped[0].path}: ${skipped[0].reason}`;
  onProgress?.({ task: "read text", done: found.length, total: found.length, unit: "document", note });
  return found;
}

/** Splits the text, trains the tokenizer, writes both kinds of tokens, and chooses the model's sizes. */
async function prepare(
  o: CheckedPretrainOptions,
  documents: readonly Document[],
  minutes: number | null,
  peakFlops: number | null,
  signal: AbortSignal | undefined,
  onProgress: OnProgress | undefined,
): Promise<Prepared> {
  const paths = runPaths(o.out);
  const split = splitHeldOut(documents);
  // Training reaches about half of the peak.
  const flops = minutes === null || peakFlops === null ? null : minutes * 60 * peakFlops * 0.5;
  const sizes: DefaultSizes = defaultSizes(flops, split.trainingBytes);
  modelOf(o, sizes, o.vocabSize ?? sizes.vocabSize); // sizes that do not fit each other are told now, not after minutes
  const texts = split.training.map(({ text }) => text);
  const tokenizer = await trainTokenizer(texts, { vocabSize: o.vocabSize ?? sizes.vocabSize, signal, onProgress });
  await saveTokenizer(tokenizer, paths.tokenizer);
  const heldout = split.heldOut.map(({ text }) => text);
  await writeShards(paths.tokens, { tokenizer, train: texts, heldout, signal, onProgress });
  return { tokenizer, shards: openShards(paths.tokens), model: modelOf(o, sizes, tokenizer.vocabSize) };
}

/** A run's own tokenizer, tokens and model. */
async function reopen(run: string, record: RunRecord): Promise<Prepared> {
  const paths = runPaths(run);
  const model = (planOf(record) as RunPlan).model;
  return { tokenizer: await loadTokenizer(paths.tokenizer), shards: openShards(paths.tokens), model };
}

async function beginRun(
  run: string,
  o: CheckedPretrainOptions,
  plan: RunPlan,
  peakFlops: number | null,
): Promise<RunRecord> {
  const machine = await examineMachine({ measure: false });
  const record: RunRecord = {
    version,
    created: new Date().toISOString(),
    git: await gitRevision(),
    config: o,
    plan: { ...plan },
    seed: plan.seed,
    machine: {
      line: machine.line,
      processor: machine.processor,
      cores: machine.cores,
      compiler: machine.compiler?.version ?? machine.clang,
      peak_gflops: peakFlops === null ? null : peakFlops / 1e9,
    },
  };
  await writeRunRecord(run, record);
  return record;
}

/** The revision of Quern's own source, where it is a checkout. */
async function gitRevision(): Promise<string | undefined> {
  return promisify(execFile)("git", ["describe", "--always", "--dirty"], { cwd: packageFolder }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
}

function setFirstState(program: Program, model: ModelConfig, firstValues: (name: string) => Float32Array): void {
  for (const { name } of parametersOf(model)) {
    const values = firstValues(name);
    program.write(name, values);
    for (const moment of momentNames(name)) program.write(moment, new Float32Array(values.length));
  }
}
