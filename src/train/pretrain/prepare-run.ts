/**
 * @file Prepares a run before its first step: reads the options, finds the text, chooses sizes, builds and times the
 * program, and makes the plan.
 */
import type { z } from "zod";
import { type CompileOptions, examineMachine, freeMemory, type Plan, peakOnce } from "../../backends/index.js";
import type { GivenDocument, OutputLayout, OutputRequest, ReadReport } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import {
  countParameters,
  listCheckpoints,
  randomStream,
  type StoredModel,
  trainingFlopsPerToken,
} from "../../model/index.js";
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
import { optimizerOf } from "../optimizer/optimizer.js";
import type { RunRecord } from "../report/report.js";
import { baselineSeconds, planEvaluation } from "../report/verdict.js";
import { readRunRecord, runPaths } from "../run/run-folder.js";
import { measureThroughput, type Throughput } from "../throughput.js";
import { compileTrainer, type TrainingProgram } from "../trainer.js";
import { languageModelTrainer } from "./language-model.js";
import {
  budgetOf,
  chooseSizes,
  DEFAULT_MINUTES,
  diskFor,
  leastMemory,
  makePlan,
  type PretrainPlan,
  type Sizes,
  stepsFor,
} from "./plan.js";
import { checkBudgets, plannedBefore, readPlanFile } from "./plan-file.js";
import { type CheckedPretrainOptions, pretrainOptions } from "./pretrain-options.js";

export type PretrainOptions = z.input<typeof pretrainOptions> & {
  /** Documents to learn from, instead of `text`. */
  readonly documents?: readonly GivenDocument[];
  /** Documents for the verdict; by default a share of the others is held out. */
  readonly heldOut?: readonly GivenDocument[];
  /** Where to run; by default the cpu backend with the widest instruction set. */
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  /** Called with the plan when it is fixed, before the first step. */
  readonly onPlan?: (plan: PretrainPlan) => void;
  /** Called with what was read of the text and what was skipped. */
  readonly onRead?: (report: ReadReport) => void;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
};

/** What Node and the text take beside the program. */
const PROCESS_BYTES = 150 * 2 ** 20;

/** What samples and the report take after training, and each sample on the way, roughly. */
const SAMPLES_SECONDS = 2;
const SAMPLE_SECONDS = 0.5;

/** What comes after the model's own verdict. */
export const secondsAfter = ({ training, heldout }: PreparedRun["tokens"]) =>
  SAMPLES_SECONDS + baselineSeconds(training, heldout);

/** Bytes of text a second that a tokenizer is trained on and then encodes, roughly. */
const ENCODING_RATE = 5e6;

/** Bytes a second that checkpoints are written with, their checksums counted: slower than most disks. */
const DISK_RATE = 4e8;

/** A call of `pretrain` with what was planned before it. */
export interface RunRequest {
  /** What is asked for: by this call, and by the run or plan that it follows. */
  readonly o: CheckedPretrainOptions;
  /** The record of the run that is resumed. */
  readonly before: RunRecord | null;
  /** A plan that is followed, not made. */
  readonly fixed: PretrainPlan | null;
  /** What was promised, where steps follow from it. */
  readonly minutes: number | null;
  readonly peakFlops: number | null;
  /** The same of bf16 products; null where the machine has none. */
  readonly bf16Flops: number | null;
}

/** What a run is on disk. */
const runLayout: OutputLayout = {
  writes: (path) =>
    /^(run\.json|metrics\.jsonl|report\.html|tokenizer\/tokenizer(_config)?\.json|tokens\/[^/]+|checkpoints\/\d+\/[^/]+)$/.test(
      path,
    ),
  folders: /^(tokenizer|tokens|checkpoints)$/,
};

/** Who may write to the run's folder: a run that is resumed goes on, a new one needs an empty folder, or `force`. */
export function runClaim(options: PretrainOptions): OutputRequest {
  const { out, text = [], data, from, plan, tokenizer, resume, force } = settingsOf(options);
  const named = [data, from, plan, tokenizer].filter((path) => path !== undefined);
  return {
    ...{ verb: "pretrain", out, inputs: [...text, ...named], layout: runLayout, force },
    resume,
  };
}

function settingsOf(options: PretrainOptions): CheckedPretrainOptions {
  const { documents: _, heldOut: __, target: ___, signal: ____, onProgress: _____, ...others } = options;
  const { onPlan: ______, onRead: _______, ...given } = others;
  return checkOptions(pretrainOptions, given);
}

/** @param planning a run that is there already is left alone: nothing will be written */
export async function openRequest(options: PretrainOptions, planning = false): Promise<RunRequest> {
  const { documents, signal } = options;
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
  const peak = await peakOnce({ threads: o.threads, signal }).catch(() => null); // a figure less, no reason to stop
  signal?.throwIfAborted();
  return {
    ...{ o, before, fixed: planned?.plan ?? null },
    minutes: byTime ? (o.minutes ?? DEFAULT_MINUTES) : null,
    peakFlops: peak === null ? null : peak.gflops * 1e9,
    bf16Flops: peak === null || peak.bf16 === 0 ? null : peak.bf16 * 1e9,
  };
}

/** What the machine could do at most at the plan's precision: what a share of the peak is of. */
export function peakOf(
  { peakFlops, bf16Flops }: RunRequest,
  { precision }: Pick<PretrainPlan, "precision">,
): number | null {
  // Without the instruction bf16 products are computed as fp32 ones.
  return precision === "bf16" ? (bf16Flops ?? peakFlops) : peakFlops;
}

/** What a run begins with. */
export interface PreparedRun {
  readonly sizes: Sizes;
  /** Null where a plan alone is wanted and no tokenizer was trained. */
  readonly dataset: Dataset | null;
  readonly tokens: { readonly training: number; readonly heldout: number; readonly bytes: number };
  /** Seconds that making the tokenizer and the shards will take, where they are not made yet. */
  readonly ahead: number;
  /** The model that is trained further, where there is one and no checkpoint of the run yet. */
  readonly base: StoredModel | null;
  /** What was read of the text; null where none was. */
  readonly report: ReadReport | null;
  close(): Promise<void>;
}

/** Finds what to learn from, chooses the sizes, and makes the tokenizer and the token shards where they are to be made. */
export async function prepare(request: RunRequest, options: PretrainOptions, making: boolean): Promise<PreparedRun> {
  const { o, before, fixed, peakFlops } = request;
  const { documents, heldOut, signal, onProgress, onRead } = options;
  const calls = { signal, onProgress };
  const paths = runPaths(o.out);
  const needsBase = o.from !== undefined && (before === null || (await listCheckpoints(o.out)).length === 0);
  const base = needsBase ? await openBase(o.from as string, o.tokenizer, calls) : null;
  const closeBase = async () => base?.model.close();
  let report: ReadReport | null = null;
  const prepared = (sizes: Sizes, dataset: Dataset | null, tokens: PreparedRun["tokens"], ahead = 0): PreparedRun => ({
    ...{ sizes, dataset, tokens, ahead, base: base?.model ?? null, report },
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
      ? chooseSizes(o, budgetOf(o, peakFlops), textBytes, { vocabSize, base: base?.model.config })
      : sizesOf(fixed);
  const opened = (dataset: Dataset, sizes: Sizes): PreparedRun => {
    if (fixed !== null && fixed.dataset !== dataset.hash) {
      dataset.close();
      throw new QuernError("the tokens are not those that the plan was made for: the text or the tokenizer differs", {
        exitCode: 2,
      });
    }
    return prepared(sizes, dataset, countTokens(dataset));
  };

  try {
    if (before !== null && o.data === undefined) {
      const sizes = sizesFor(0);
      refuseMemory(sizes, fixed?.recompute ?? false);
      return opened(openDataset(paths.tokens, await loadTokenizer(paths.tokenizer)), sizes);
    }
    const named =
      base?.tokenizer ?? (o.tokenizer === undefined ? undefined : await openTokenizer(o.tokenizer, { signal }));
    if (o.data !== undefined) {
      const kept = before === null ? undefined : await loadTokenizer(paths.tokenizer);
      const tokenizer = await tokenizerOfShards(o.data, kept ?? named, calls);
      const dataset = openDataset(o.data, tokenizer);
      const sizes = sizesFor(dataset.train.bytes, tokenizer.vocabSize);
      refuseMemory(sizes, o.recompute ?? false);
      if (making) await saveTokenizer(tokenizer, paths.tokenizer);
      return opened(dataset, sizes);
    }
    const split = await splitText(documents, heldOut, o, calls);
    report = split.report;
    if (report !== null) onRead?.(report);
    // Sizes that do not fit each other or this machine are told now, not after minutes.
    const wanted = sizesFor(split.trainingBytes, named?.vocabSize);
    refuseMemory(wanted, o.recompute ?? false);
    if (!making) {
      const tokens = { training: guessTokens(split.trainingBytes), heldout: guessTokens(split.heldOutBytes), bytes: 2 };
      return prepared(wanted, null, tokens, 1 + split.trainingBytes / ENCODING_RATE);
    }
    const tokenizer = await tokenizerFor(split, wanted.model.vocabSize, named, calls);
    const dataset = await encodeText(o.out, split, tokenizer, calls);
    return opened(dataset, sizesFor(split.trainingBytes, tokenizer.vocabSize));
  } catch (error) {
    await closeBase();
    throw error;
  }
}

function sizesOf(plan: PretrainPlan): Sizes {
  const { model, sequence, batch, accumulate, reasons } = plan;
  return { model, sequence, batch, accumulate, reasons, learningRate: plan.schedule.learningRate, flops: 0 };
}

const WHAT_TO_LOWER =
  "lower --batch (and raise --accumulate), --sequence, --vocab-size or --width, or give --recompute";

/** @throws QuernError where the machine's free memory could not hold the training, whatever the compiler makes of it */
function refuseMemory(sizes: Sizes, recompute: boolean): void {
  const needed = leastMemory(sizes, recompute);
  const free = freeMemory();
  if (needed <= free) return;
  const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  throw new QuernError(
    `the training needs at least ${gigabytes(needed)} of memory and ${gigabytes(free)} are free; ${WHAT_TO_LOWER}`,
  );
}

export async function compileTraining(
  { o, fixed }: RunRequest,
  sizes: Sizes,
  target: Pick<CompileOptions, "backend" | "cpu">,
  onProgress: OnProgress | undefined,
): Promise<TrainingProgram> {
  onProgress?.({ task: "compile", done: 0, total: 1, unit: "program" });
  const shape = { ...sizes, recompute: fixed?.recompute ?? o.recompute, packed: true };
  const training = await compileTrainer(languageModelTrainer(sizes.model, shape), {
    optimizer: fixed?.optimizer ?? optimizerOf(o),
    accumulate: sizes.accumulate,
    ...target,
    cpu: { threads: o.threads, ...target.cpu },
    dtype: fixed?.precision ?? o.dtype ?? "auto",
  });
  onProgress?.({ task: "compile", done: 1, total: 1, unit: "program" });
  return training;
}

/** Batches of any tokens, to time a program by. */
export function anyTokens({ model, batch, sequence }: Sizes): Pick<Loader, "load"> {
  const random = randomStream(0, "any tokens");
  const ids = Int32Array.from({ length: batch * sequence }, (_, i) => Math.floor(random.uniform(i) * model.vocabSize));
  return { load: async () => ({ ids, targets: ids, segments: new Int32Array(ids.length) }) };
}

/** What a plan needs to know of the program: how fast it is, what it takes, where it runs. */
export interface Measured {
  readonly throughput: Throughput;
  /** How it was measured, for the reasons. */
  readonly how: string;
  readonly program: Pick<Plan, "threads" | "target" | "dtype" | "arenaBytes">;
}

/** Times a program that holds a model, and changes it: a matrix of zeros is never what is trained. */
export async function measure(
  { minutes }: RunRequest,
  { sizes }: PreparedRun,
  training: TrainingProgram,
  loader: Pick<Loader, "load">,
  signal: AbortSignal | undefined,
): Promise<Measured> {
  // Where steps follow from it, it is worth a few seconds.
  const seconds = minutes === null ? 0.3 : Math.min(4, Math.max(0.2, minutes * 2));
  const throughput = await measureThroughput(training, batchesOf(loader, sizes.accumulate), seconds, signal);
  return { throughput, how: "here", program: training.program.plan };
}

/** Of a machine whose peak is not known: a laptop's, operations a second. */
const UNKNOWN_PEAK = 1e11;

/** The same without a program: training reaches about half of the peak, and takes the least memory it can. */
export async function estimate(request: RunRequest, sizes: Sizes): Promise<Measured> {
  const { model, sequence, batch, accumulate } = sizes;
  const { o, peakFlops, bf16Flops } = request;
  const faster = peakFlops !== null && bf16Flops !== null && bf16Flops > 1.2 * peakFlops;
  const precision = o.dtype === "fp32" || (o.dtype !== "bf16" && !faster) ? "fp32" : "bf16";
  const peak = peakOf(request, { precision }) ?? UNKNOWN_PEAK;
  const part = (trainingFlopsPerToken(model, sequence) * batch * sequence) / (0.5 * peak);
  const { threads, instructionSet } = await examineMachine({ measure: false });
  return {
    throughput: { step: part * accumulate, evaluate: part / 3 },
    how: "by half of this machine's peak; it was not timed",
    program: {
      threads: o.threads ?? threads,
      target: instructionSet,
      dtype: precision,
      arenaBytes: leastMemory(sizes, o.recompute ?? false),
    },
  };
}

/** A plan from the sizes and the program's throughput. */
export function planFrom(
  { o, minutes }: RunRequest,
  prepared: PreparedRun,
  { throughput, how, program }: Measured,
  elapsed: () => number,
): PretrainPlan {
  const { sizes, tokens, dataset } = prepared;
  const { model, batch, sequence } = sizes;
  // Ten validations on the way, three samples, and a checkpoint every ten minutes.
  const validation = Math.max(2, Math.min(16, Math.ceil(8192 / (batch * sequence)))) * throughput.evaluate;
  const savingSeconds = (12 * countParameters(model)) / DISK_RATE;
  const apart = 11 * validation + 3 * SAMPLE_SECONDS + savingSeconds * Math.ceil((minutes ?? 10) / 10);
  const verdict = planEvaluation(
    tokens.heldout,
    sizes,
    throughput.evaluate,
    (minutes ?? Number.POSITIVE_INFINITY) * 7.5,
  ).seconds;
  let steps: number;
  let why: string;
  if (minutes !== null) {
    const left = minutes * 60 - elapsed() - prepared.ahead - verdict - secondsAfter(tokens) - apart;
    // At least two fifths of what was promised, however long the rest has taken.
    const training = Math.max(minutes * 24, left * 0.97);
    steps = Math.max(1, Math.floor(training / throughput.step));
    why = `${training.toFixed(0)} s are left for training, and a step takes ${(1000 * throughput.step).toFixed(1)} ms ${how}`;
  } else if (o.steps !== undefined) {
    steps = o.steps;
    why = "as given";
  } else {
    steps = stepsFor(sizes.flops, model, sizes);
    why =
      `${sizes.flops.toExponential(1)} operations` +
      (o.depth === undefined ? "" : ", for which this depth is best (Hoffmann et al., arXiv:2203.15556),") +
      " over those of a step";
  }
  const whole = elapsed() + prepared.ahead + steps * throughput.step + apart + verdict + secondsAfter(tokens);
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
