/**
 * @file Prepares a run before its first step: reads the options, finds the text, chooses sizes, builds and times the
 * program, and makes the plan.
 */
import type { z } from "zod";
import {
  bf16Row,
  type CompileOptions,
  examineMachine,
  freeMemory,
  limitOf,
  memoryOf,
  type Peak,
  type Plan,
  peakOnce,
} from "../../backends/index.js";
import type { GivenDocument, OutputLayout, OutputRequest, ReadReport } from "../../documents/index.js";
import { OutOfMemoryError, QuernError } from "../../errors.js";
import { countParameters, listCheckpoints, randomStream, type StoredModel } from "../../model/index.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import { loadTokenizer, openTokenizer, saveTokenizer } from "../../tokenizer/index.js";
import {
  type Dataset,
  encodeText,
  guessTokens,
  openBase,
  openDataset,
  splitText,
  tokenizerFor,
  tokenizerOfShards,
} from "../data/dataset.js";
import { batchesOf, type Loader } from "../data/loader.js";
import { alone, type Team } from "../distributed/join.js";
import type { Ranks } from "../distributed/ranks.js";
import { readLaw } from "../law.js";
import { optimizerOf } from "../optimizer/optimizer.js";
import { baselineSeconds, planEvaluation } from "../report/final-evaluation.js";
import type { RunRecord } from "../report/report.js";
import { readRunRecord, runPaths } from "../run/run-folder.js";
import { measureThroughput, type Throughput } from "../throughput.js";
import { compileTrainer, type TrainingProgram, traceTrainer, type ZeroStage } from "../trainer.js";
import { batchThatFits } from "./batch-that-fits.js";
import type { DialLaw } from "./dial.js";
import { languageModelTrainer } from "./language-model.js";
import {
  budgetOf,
  chooseSizes,
  DEFAULT_MINUTES,
  diskFor,
  flopsPerToken,
  leastMemory,
  makePlan,
  type PretrainPlan,
  type Sizes,
  stepsFor,
} from "./plan.js";
import { checkBudgets, plannedBefore, readPlanFile } from "./plan-file.js";
import { type CheckedPretrainOptions, pretrainOptions } from "./pretrain-options.js";
import { candidatesFor, tokenShares } from "./sampled-head.js";

export type PretrainOptions = z.input<typeof pretrainOptions> & {
  /** Documents to train on, instead of `text`. */
  readonly documents?: readonly GivenDocument[];
  /** Held-out documents for the evaluation; by default a share of the training documents. */
  readonly heldOut?: readonly GivenDocument[];
  /** The ranks that train together, all of which make this call; by default this process alone. */
  readonly team?: Team;
  /** Where to run; by default the cpu backend with the widest instruction set. */
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  /**
   * For one of many short runs: no samples, baselines, timing or validation during training. The final evaluation takes the
   * first `heldOutTokens` tokens, and a run that learns nothing is stopped as diverged. With `after`, the run begins at the
   * checkpoint of another run that differs only in its length and decay, and has had the same learning rate up to there.
   */
  readonly brief?: { readonly heldOutTokens: number; readonly after?: { readonly run: string; readonly step: number } };
  /** Called with the plan once it is final, before the first step. */
  readonly onPlan?: (plan: PretrainPlan) => void;
  /** Called with counts of the documents read and skipped. */
  readonly onRead?: (report: ReadReport) => void;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
};

/** Memory of Node and the text, in addition to the program's. */
const PROCESS_BYTES = 150 * 2 ** 20;

/** Rough seconds for the samples and the report after training, and for each sample during training. */
const SAMPLES_SECONDS = 2;
const SAMPLE_SECONDS = 0.5;

/** Estimates the seconds after the model's evaluation: baselines, samples and the report. */
export const secondsAfterEvaluation = ({ training, heldout }: PreparedRun["tokens"]) =>
  SAMPLES_SECONDS + baselineSeconds(training, heldout);

/** Rough rate of training a tokenizer and encoding the text with it, in bytes/s. */
const ENCODING_RATE = 5e6;

/** Assumed rate of writing checkpoints with their checksums, in bytes/s: slower than most disks. */
const DISK_RATE = 4e8;

/** The checked options of a call of `pretrain`, with the run or plan it follows. */
export interface RunRequest {
  /** Options of this call and of the run or plan it follows. */
  readonly o: CheckedPretrainOptions;
  /** Record of the run to resume. */
  readonly before: RunRecord | null;
  /** Plan of an earlier run to follow; null if a new one is made. */
  readonly fixed: PretrainPlan | null;
  /** The law of `--law`; null without one, or if a plan is followed. */
  readonly law: DialLaw | null;
  /** Time budget, if the number of steps follows from it. */
  readonly minutes: number | null;
  /** Null if it could not be measured. */
  readonly peak: Peak | null;
  readonly ranks: Ranks;
  /** Threads of each rank; undefined for the backend's default. */
  readonly threads: number | undefined;
}

/** The files of a run. */
const runLayout: OutputLayout = {
  writes: (path) =>
    /^(run\.json|metrics\.jsonl|report\.html|tokenizer\/tokenizer(_config)?\.json|tokens\/[^/]+|checkpoints\/\d+\/[^/]+|job\/[^/]+)$/.test(
      path,
    ),
  folders: /^(tokenizer|tokens|checkpoints|job)$/,
};

/** Claims the run's folder for writing: a new run needs an empty one or `force`; a resumed run continues in its own. */
export function runOutput(options: PretrainOptions): OutputRequest {
  const { out, text = [], data, from, plan, tokenizer, resume, force } = settingsOf(options);
  const named = [data, from, plan, tokenizer].filter((path) => path !== undefined);
  return {
    ...{ verb: "pretrain", out, inputs: [...text, ...named], layout: runLayout, force },
    resume,
  };
}

/** Returns the checked options without what a library call takes beside them. */
export function settingsOf(options: PretrainOptions): CheckedPretrainOptions {
  const { documents: _, heldOut: __, target: ___, team: ________, ...remaining } = options;
  const { signal: ____, onProgress: _____, ...others } = remaining;
  const { onPlan: ______, onRead: _______, brief: _________, ...given } = others;
  return checkOptions(pretrainOptions, given);
}

/**
 * Checks the options and reads the run or plan they follow.
 * @param planning ignores an existing run in the folder, since nothing will be written
 * @throws QuernError for contradicting options, no run to resume, or an existing run without `resume`
 */
export async function openRequest(options: PretrainOptions, planning = false): Promise<RunRequest> {
  const { documents, signal, team = alone } = options;
  const now = settingsOf(options);
  checkBudgets(now);
  const found = await readRunRecord(now.out);
  const before = planning && !now.resume ? null : found;
  if (before === null && now.resume && now.text === undefined && now.data === undefined && documents === undefined) {
    throw new QuernError(`${now.out} contains no run to resume; check --out, or start one with --text or --data`, {
      exitCode: 2,
    });
  }
  if (before !== null && !now.resume) {
    throw new QuernError(`${now.out} already contains a run; resume it with --resume, or choose another folder`, {
      exitCode: 2,
    });
  }
  const planned =
    before !== null
      ? plannedBefore(before, runPaths(now.out).record, now)
      : now.plan !== undefined
        ? await readPlanFile(now.plan, now)
        : null;
  const o = planned?.options ?? now;
  const byTime = planned === null && o.steps === undefined && o.flops === undefined && o.depth === undefined;
  const threads = o.threads ?? (process.env.QUERN_THREADS ? undefined : (team.threads ?? undefined));
  const peak = await peakOnce({ threads, signal }).catch(() => null); // the run does not need it
  signal?.throwIfAborted();
  return {
    ...{ o, before, fixed: planned?.plan ?? null, ranks: team.ranks, threads },
    law: planned !== null || o.law === undefined ? null : { ...(await readLaw(o.law)), path: o.law },
    minutes: byTime ? (o.minutes ?? DEFAULT_MINUTES) : null,
    peak,
  };
}

/** Returns the peak of the plan's instruction set at its dtype in FLOP/s; shares of the peak refer to it. */
export function peakOf(
  { peak }: RunRequest,
  { target, precision }: Pick<PretrainPlan, "target" | "precision">,
): number | null {
  return peak === null ? null : limitOf(peak, { target, dtype: precision }) * 1e9;
}

/** Sizes, dataset and base model of a run. */
export interface PreparedRun {
  readonly sizes: Sizes;
  /** Null if only a plan is wanted and no tokenizer was trained. */
  readonly dataset: Dataset | null;
  /** Tokens of both splits (estimates without a dataset), and bytes per stored token. */
  readonly tokens: { readonly training: number; readonly heldout: number; readonly bytes: number };
  /** Estimated seconds to make the tokenizer and the shards; 0 once they exist. */
  readonly encodingSeconds: number;
  /** Base model of continued training; null without one, or once the run has a checkpoint. */
  readonly base: StoredModel | null;
  /** Counts of documents read and skipped; null if no text was read. */
  readonly report: ReadReport | null;
  close(): Promise<void>;
}

/**
 * Finds the dataset, chooses the sizes, and makes the tokenizer and the token shards if they do not exist.
 * @param making false for a plan alone: makes neither tokenizer nor shards
 */
export async function prepare(request: RunRequest, options: PretrainOptions, making: boolean): Promise<PreparedRun> {
  const { o, before, fixed, peak, ranks } = request;
  const law = request.law ?? undefined;
  const { documents, heldOut, signal, onProgress, onRead } = options;
  const calls = { signal, onProgress };
  const paths = runPaths(o.out);
  const needsBase = o.from !== undefined && (before === null || (await listCheckpoints(o.out)).length === 0);
  const base = needsBase ? await openBase(o.from as string, o.tokenizer, calls) : null;
  const closeBase = async () => base?.model.close();
  let report: ReadReport | null = null;
  const prepared = (
    sizes: Sizes,
    dataset: Dataset | null,
    tokens: PreparedRun["tokens"],
    encodingSeconds = 0,
  ): PreparedRun => ({
    ...{ sizes, dataset, tokens, encodingSeconds, base: base?.model ?? null, report },
    close: async () => {
      dataset?.close();
      await closeBase();
    },
  });
  const countTokens = ({ train, heldout, dtype }: Dataset) => ({
    training: train.tokens,
    heldout: heldout.tokens,
    bytes: dtype === "u16" ? 2 : 4,
  });
  const sizesFor = (textBytes: number, vocabSize?: number) =>
    fixed === null
      ? chooseSizes(o, budgetOf(o, peak === null ? null : ranks.size * peak.gflops * 1e9, law), textBytes, {
          vocabSize,
          law,
          base: base?.model.config,
          ranks: ranks.size,
        })
      : sizesOf(fixed);
  const opened = async (dataset: Dataset, chosen: Sizes): Promise<PreparedRun> => {
    const sizes = await withHead(request, options, dataset, chosen);
    // A plan that was made ahead of its text takes any.
    if (fixed !== null && fixed.dataset === "" && dataset.tokenizer.vocabSize > fixed.model.vocabSize) {
      const { vocabSize } = dataset.tokenizer;
      dataset.close();
      throw new QuernError(
        `the tokenizer has ${vocabSize} tokens, but the plan's model only ${fixed.model.vocabSize}; predict again with --vocab-size ${vocabSize}`,
        { exitCode: 2 },
      );
    }
    if (fixed !== null && fixed.dataset !== "" && fixed.dataset !== dataset.hash) {
      dataset.close();
      throw new QuernError("the plan was made for other tokens: the text or the tokenizer differs", {
        exitCode: 2,
      });
    }
    return prepared(sizes, dataset, countTokens(dataset));
  };

  try {
    if (before !== null && o.data === undefined) {
      const sizes = sizesFor(0);
      refuseMemory(sizes, fixed?.recompute ?? false, dividedBy(request));
      return await opened(openDataset(paths.tokens, await loadTokenizer(paths.tokenizer)), sizes);
    }
    const named =
      base?.tokenizer ?? (o.tokenizer === undefined ? undefined : await openTokenizer(o.tokenizer, { signal }));
    if (o.data !== undefined) {
      const kept = before === null ? undefined : await loadTokenizer(paths.tokenizer);
      const tokenizer = await tokenizerOfShards(o.data, kept ?? named, calls);
      const dataset = openDataset(o.data, tokenizer);
      const sizes = sizesFor(dataset.train.bytes, tokenizer.vocabSize);
      refuseMemory(sizes, o.recompute ?? false, dividedBy(request));
      if (making) await saveTokenizer(tokenizer, paths.tokenizer);
      return await opened(dataset, sizes);
    }
    const split = await splitText(documents, heldOut, o, calls);
    report = split.report;
    if (report !== null) onRead?.(report);
    // Reports inconsistent or too large sizes now, not after minutes of tokenizer training.
    const wanted = sizesFor(split.trainingBytes, named?.vocabSize);
    refuseMemory(wanted, o.recompute ?? false, dividedBy(request));
    if (!making) {
      const tokens = { training: guessTokens(split.trainingBytes), heldout: guessTokens(split.heldOutBytes), bytes: 2 };
      return prepared(wanted, null, tokens, 1 + split.trainingBytes / ENCODING_RATE);
    }
    const tokenizer = await tokenizerFor(split, wanted.model.vocabSize, named, calls);
    const dataset = await encodeText(o.out, split, tokenizer, calls);
    return await opened(dataset, sizesFor(split.trainingBytes, tokenizer.vocabSize));
  } catch (error) {
    await closeBase();
    throw error;
  }
}

/** Chooses the head of a new run: a time budget is best spent on more tokens. FLOPs, steps and laws count the whole head. */
async function withHead(
  { o, fixed, law, minutes }: RunRequest,
  { brief }: PretrainOptions,
  { train }: Dataset,
  sizes: Sizes,
): Promise<Sizes> {
  const isNew = o.from === undefined && brief === undefined && law === null;
  const head = o.head ?? (minutes !== null && isNew ? "sampled" : "full");
  if (fixed !== null || head === "full") return sizes;
  const { value, reason } = candidatesFor(sizes.model, await tokenShares(train, sizes.model.vocabSize), sizes);
  return { ...sizes, candidates: value ?? undefined, reasons: { ...sizes.reasons, candidates: reason } };
}

function sizesOf(plan: PretrainPlan): Sizes {
  const { model, sequence, batch, accumulate, candidates, reasons } = plan;
  const [optimizer, { learningRate }] = [plan.optimizer.kind, plan.schedule];
  return { model, sequence, batch, accumulate, candidates, reasons, learningRate, optimizer, flops: 0 };
}

const WHAT_TO_LOWER =
  "lower --batch (and raise --accumulate), --sequence, --vocab-size or --width, or give --recompute";

const dividedBy = ({ o, ranks }: RunRequest) => ({ zero: o.zero ?? 0, ranks: ranks.size });

/** @throws QuernError if the free memory is below the lower bound for training */
function refuseMemory(sizes: Sizes, recompute: boolean, divided: Parameters<typeof leastMemory>[2]): void {
  const needed = leastMemory(sizes, recompute, divided);
  const free = freeMemory();
  if (needed <= free) return;
  const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  throw new QuernError(
    `the training needs at least ${gigabytes(needed)} of memory, but only ${gigabytes(free)} are free; ${WHAT_TO_LOWER}`,
  );
}

/**
 * Compiles the training program of a run, with the plan's or the chosen optimizer and dtype.
 * @throws OutOfMemoryError with the batch that fits
 */
export async function compileTraining(
  { o, fixed, ranks, threads }: RunRequest,
  sizes: Sizes,
  target: Pick<CompileOptions, "backend" | "cpu">,
  onProgress: OnProgress | undefined,
): Promise<TrainingProgram> {
  onProgress?.({ task: "compile", done: 0, total: 1, unit: "program" });
  const recompute = fixed?.recompute ?? o.recompute;
  const trainerFor = (batch: number) => languageModelTrainer(sizes.model, { ...sizes, batch, recompute, packed: true });
  const options = {
    optimizer: fixed?.optimizer ?? optimizerOf({ ...o, optimizer: sizes.optimizer }),
    accumulate: sizes.accumulate,
  };
  try {
    const training = await compileTrainer(trainerFor(sizes.batch), {
      ...{ ...options, ...target, ranks, zero: o.zero as ZeroStage | undefined },
      cpu: { threads, ...target.cpu },
      dtype: fixed?.precision ?? o.dtype ?? "auto",
    });
    onProgress?.({ task: "compile", done: 1, total: 1, unit: "program" });
    return training;
  } catch (error) {
    if (!(error instanceof OutOfMemoryError) || fixed !== null || ranks.size > 1) throw error;
    const memory = (batch: number) => memoryOf(traceTrainer(trainerFor(batch), options).entries);
    const batch = batchThatFits(sizes.batch, error.bytes, memory);
    const accumulate = Math.ceil((sizes.accumulate * sizes.batch) / batch);
    const advice = batch > 0 ? `a batch of ${batch} fits: --batch ${batch} --accumulate ${accumulate}` : WHAT_TO_LOWER;
    throw new OutOfMemoryError(error.problem, error.bytes, advice);
  }
}

/** Returns batches of random tokens, to time a program without a dataset. */
export function randomTokens({ model, batch, sequence }: Sizes): Pick<Loader, "load"> {
  const random = randomStream(0, "any tokens");
  const ids = Int32Array.from({ length: batch * sequence }, (_, i) => Math.floor(random.uniform(i) * model.vocabSize));
  return { load: async () => ({ ids, targets: ids, segments: new Int32Array(ids.length) }) };
}

/** Properties of the program that a plan depends on: throughput, memory and target. */
export interface Measured {
  readonly throughput: Throughput;
  /** How the throughput was obtained, for the plan's reasons. */
  readonly how: string;
  readonly program: Pick<Plan, "threads" | "target" | "dtype" | "arenaBytes">;
}

/** Times a program whose parameters are set (zeros would not be representative). This changes the parameters. */
export async function measure(
  { minutes }: RunRequest,
  { sizes }: PreparedRun,
  training: TrainingProgram,
  loader: Pick<Loader, "load">,
  signal: AbortSignal | undefined,
): Promise<Measured> {
  // Worth a few seconds if the number of steps follows from it.
  const seconds = minutes === null ? 0.3 : Math.min(4, Math.max(0.2, minutes * 2));
  const source = batchesOf(loader, sizes.accumulate, training.ranks);
  const throughput = await measureThroughput(training, source, seconds, signal);
  return { throughput, how: "here", program: { ...training.program.plan, arenaBytes: training.bytes } };
}

/** Assumed peak of a machine that could not be measured, in FLOP/s: a laptop's. */
const UNKNOWN_PEAK = 1e11;

/** Estimates the same properties without a program: throughput as half of the peak, memory by its lower bound. */
export async function estimate(request: RunRequest, sizes: Sizes): Promise<Measured> {
  const { batch, sequence, accumulate } = sizes;
  const { o, peak: measured } = request;
  const { threads, instructionSet } = await examineMachine({ measure: false });
  const bf16Set = measured === null ? instructionSet : await bf16Row(measured);
  const faster = measured !== null && limitOf(measured, { target: bf16Set, dtype: "bf16" }) > 1.2 * measured.gflops;
  const fastest = faster ? "bf16" : "fp32";
  const dtype = o.dtype === undefined || o.dtype === "auto" ? fastest : o.dtype;
  const target = dtype === "bf16" ? bf16Set : instructionSet;
  const peak = peakOf(request, { target, precision: dtype }) ?? UNKNOWN_PEAK;
  const part = (flopsPerToken(sizes) * batch * sequence) / (0.5 * peak);
  return {
    throughput: { step: part * Math.ceil(accumulate / request.ranks.size), evaluate: part / 3 },
    how: "at half of this machine's peak (estimated, not timed)",
    program: {
      threads: request.threads ?? threads,
      target,
      dtype,
      arenaBytes: leastMemory(sizes, o.recompute ?? false, dividedBy(request)),
    },
  };
}

/**
 * Makes a plan from the sizes and the program's throughput.
 * @param elapsed returns the seconds since the call began
 */
export function planFrom(
  { o, minutes }: RunRequest,
  prepared: PreparedRun,
  { throughput, how, program }: Measured,
  elapsed: () => number,
): PretrainPlan {
  const { sizes, tokens, dataset } = prepared;
  const { model, batch, sequence } = sizes;
  // Eleven validations and three samples during training, and a checkpoint every ten minutes.
  const validation = Math.max(2, Math.min(16, Math.ceil(8192 / (batch * sequence)))) * throughput.evaluate;
  const savingSeconds = (12 * countParameters(model)) / DISK_RATE; // weights and two moments in fp32
  const interruptions = 11 * validation + 3 * SAMPLE_SECONDS + savingSeconds * Math.ceil((minutes ?? 10) / 10);
  const evaluation = planEvaluation(
    tokens.heldout,
    sizes,
    throughput.evaluate,
    (minutes ?? Number.POSITIVE_INFINITY) * 7.5,
  ).seconds;
  let steps: number;
  let why: string;
  if (minutes !== null) {
    const left =
      minutes * 60 - elapsed() - prepared.encodingSeconds - evaluation - secondsAfterEvaluation(tokens) - interruptions;
    // At least 40 % of the time budget, even if everything else takes longer than planned.
    const training = Math.max(minutes * 24, left * 0.97);
    steps = Math.max(1, Math.floor(training / throughput.step));
    why = `${training.toFixed(0)} s of training at ${(1000 * throughput.step).toFixed(1)} ms per step ${how}`;
  } else if (o.steps !== undefined) {
    steps = o.steps;
    why = "as given";
  } else {
    steps = stepsFor(sizes.flops, sizes);
    why =
      `${sizes.flops.toExponential(1)} FLOPs` +
      (o.depth === undefined ? "" : ", for which this depth is optimal (Hoffmann et al., arXiv:2203.15556),") +
      " divided by the FLOPs of a step";
  }
  const whole =
    elapsed() +
    prepared.encodingSeconds +
    steps * throughput.step +
    interruptions +
    evaluation +
    secondsAfterEvaluation(tokens);
  const saves =
    1 + (o.saveEvery === undefined ? Math.floor((steps * throughput.step) / 600) : Math.floor(steps / o.saveEvery));
  const checkpoints = Math.min(saves, (o.keep ?? saves) + 1);
  const plan = makePlan(
    o,
    sizes,
    {
      steps,
      threads: program.threads,
      target: program.target,
      precision: program.dtype,
      training_tokens: tokens.training,
      heldout_tokens: tokens.heldout,
      dataset: dataset?.hash ?? "",
      expected: {
        minutes: Number((whole / 60).toPrecision(3)),
        memory_bytes: program.arenaBytes + PROCESS_BYTES,
        disk_bytes: diskFor(
          model,
          { tokens: tokens.training + tokens.heldout, bytesPerToken: tokens.bytes },
          checkpoints,
        ),
      },
    },
    why,
  );
  return { ...plan, warnings: [...(prepared.base?.warnings ?? []), ...plan.warnings] };
}
