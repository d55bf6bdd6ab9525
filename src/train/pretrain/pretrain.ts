/**
 * @file Pretraining from text to a checkpoint, in order: dataset, sizes, program, throughput, plan, loop, evaluation,
 * report. Each part is a function in another file.
 */

import { withOutput } from "../../documents/index.js";
import { InterruptedError, QuernError } from "../../errors.js";
import { checkpointPath } from "../../model/index.js";
import { readHeldOutSources } from "../../tokenizer/index.js";
import type { Dataset } from "../data/dataset.js";
import { batchesOf } from "../data/loader.js";
import { alone } from "../distributed/join.js";
import type { Ranks } from "../distributed/ranks.js";
import { refuseSeparateFolders } from "../distributed/shared-folder.js";
import { type Trained, train } from "../loop.js";
import { continuePrompts, drawPrompts, evaluateRun, loadHeldOut, planEvaluation } from "../report/final-evaluation.js";
import { fusionSavings } from "../report/fusion.js";
import { type RunResult, writeReport } from "../report/report.js";
import { restoreCheckpoint, type Saved, saveCheckpoint } from "../run/checkpoints.js";
import { endOf } from "../run/plan.js";
import {
  appendMetrics,
  bufferedMetrics,
  checkSpace,
  readRunRecord,
  rewindMetrics,
  runPaths,
  writeRunRecord,
} from "../run/run-folder.js";
import { deadlineOf, meanSeconds } from "../throughput.js";
import { storedState, type ZeroStage } from "../trainer.js";
import { beginRun, describeData, firstValuesOf, setFirstState } from "./begin-run.js";
import { followRun, refuseOtherOptions, sendOrders, validate } from "./follow-run.js";
import { modelFormat } from "./model-format.js";
import { type PretrainPlan, pretrainIdentity } from "./plan.js";
import {
  compileTraining,
  estimate,
  type Measured,
  measure,
  openRequest,
  type PretrainOptions,
  peakOf,
  planFrom,
  prepare,
  randomTokens,
  runOutput,
  secondsAfterEvaluation,
  settingsOf,
} from "./prepare-run.js";
import { createRunLoader } from "./sampled-head.js";
import { type Shortened, shortenedOf } from "./shortened.js";

export interface PretrainResult {
  /** The run's folder, its last checkpoint and its report. */
  readonly run: string;
  readonly checkpoint: string;
  readonly report: string;
  readonly plan: PretrainPlan;
  /** Loss of the last training step, in nats per token; null if a finished run was resumed. */
  readonly loss: number | null;
  readonly tokensPerSecond: number | null;
  /** Steps of this call. */
  readonly trainedSteps: number;
  /** Absent for a single rank. */
  readonly ranks?: RankReport;
  /** Seconds of training over all calls, and seconds of this whole call. */
  readonly trainingSeconds: number;
  readonly seconds: number;
  readonly result: RunResult;
  /** Loss of the final evaluation, in nats per token. */
  readonly heldOutLoss: number;
  /** What a run gave up to end in time; null if it trained all of its steps. */
  readonly shortened: Shortened | null;
}

/**
 * Trains a language model on text, into a run folder. `minutes` is the budget for everything, from tokenizer to
 * evaluation. With `resume`, continues from the newest checkpoint and the run's plan; the result has the same bits.
 *
 * When the signal aborts during training, the run is saved and an `InterruptedError` names the checkpoint. Between plan and
 * training, or during the final evaluation, it names the run. Before there is a plan, the signal's reason is thrown.
 *
 * The ranks of a `team` divide the batches of each step. Rank 0 reads the text, makes the plan, prints and writes; the others
 * follow it (follow-run.ts). All get the result. A rank that ends early ends all, with the last checkpoint in the error.
 *
 * @throws QuernError for contradicting options, a text that is too short, a folder that cannot be written, too little memory,
 * or a training that diverges
 */
export async function pretrain(options: PretrainOptions): Promise<PretrainResult> {
  const { team = alone, out } = options;
  const run = async (ranks: Ranks) => {
    if (ranks.size === 1) return leadRun(options);
    await refuseOtherOptions(ranks, settingsOf(options));
    const [result] = await ranks.share(ranks.rank === 0 ? await leadRun(options) : await followRun(options, ranks));
    return result as PretrainResult;
  };
  return team.run(run, out);
}

/** What rank 0 does, or the only rank. */
function leadRun(options: PretrainOptions): Promise<PretrainResult> {
  return withOutput(runOutput(options), () =>
    pretrainInto(options).catch(async (error: unknown) => {
      const { out, signal } = options;
      if (!signal?.aborted || error instanceof InterruptedError || error instanceof QuernError) throw error;
      if ((await readRunRecord(out)) === null) throw error;
      throw new InterruptedError(`interrupted; the run is saved in ${out}; continue with --resume`, out, {
        cause: error,
      });
    }),
  );
}

/** What several ranks add to a result. */
export interface RankReport {
  readonly count: number;
  /** Machine of each rank. */
  readonly nodes: readonly string[];
  /** What moved the data. */
  readonly transport: string;
  readonly tokens_per_second_per_rank: number | null;
  /** Share of the steps' time in exchange with other ranks, waiting included. */
  readonly communication_share: number | null;
}

export const rankReport = (
  { size, nodes, transport }: Ranks,
  { tokensPerSecond, communicationShare }: Trained,
): RankReport => ({
  ...{ count: size, nodes, transport },
  tokens_per_second_per_rank: tokensPerSecond === null ? null : tokensPerSecond / size,
  communication_share: communicationShare,
});

async function pretrainInto(options: PretrainOptions): Promise<PretrainResult> {
  const started = performance.now();
  const { target = {}, signal, onProgress, onPlan, brief } = options;
  await refuseSeparateFolders((options.team ?? alone).ranks, options.out);
  const request = await openRequest(options);
  const { o, before, fixed, minutes, ranks } = request;
  const run = o.out;
  const prepared = await prepare(request, options, true);
  const dataset = prepared.dataset as Dataset;
  const { sizes } = prepared;
  const { model } = sizes;
  try {
    const { tokenizer } = dataset;
    const heldOut = loadHeldOut(dataset.heldout, tokenizer);
    const seed = fixed?.seed ?? o.seed ?? 0;
    const order = fixed?.order ?? o.order;
    const loader = await createRunLoader(dataset.train, { ...sizes, seed, order, endOfText: tokenizer.endOfText });
    const firstValues = firstValuesOf(prepared, seed);
    const first = before?.result?.samples?.map(({ prompt }) => prompt);
    const prompts = first ?? (brief ? [] : drawPrompts(dataset.heldout, tokenizer, seed));
    const training = await compileTraining(request, sizes, target, onProgress);
    const { program } = training;
    const sample = (list: readonly string[], tokens?: number) =>
      list.length === 0
        ? []
        : continuePrompts(model, tokenizer, list, program, { backend: target.backend, seed, tokens, signal });
    try {
      const sampled = before?.result?.samples?.map((each) => each.before ?? "");
      if (sampled === undefined) await setFirstState(training, prepared, firstValues);
      const untrained = sampled ?? (await sample(prompts));
      const elapsed = () => (performance.now() - started) / 1000;
      const timing = () =>
        brief
          ? estimate(request, sizes).then((guess) => ({
              ...guess,
              program: { ...program.plan, arenaBytes: training.bytes },
            }))
          : measure(request, prepared, training, loader, signal);
      const measured = fixed === null ? await timing() : null;
      const followed = fixed?.dataset === "" ? withDataset(fixed, dataset) : fixed;
      const plan = followed ?? planFrom(request, prepared, measured as Measured, elapsed);
      await checkSpace(run, plan.expected.disk_bytes);
      onPlan?.(plan);
      const record =
        before ??
        (await beginRun(
          request,
          plan,
          prompts.map((prompt, i) => ({ prompt, before: untrained[i] })),
          { ...prepared.report, data: await describeData(dataset, o.text) },
        ));
      const identity = pretrainIdentity(plan);
      if (plan.accumulate < ranks.size) {
        throw new QuernError(
          `the plan has ${plan.accumulate} ${plan.accumulate === 1 ? "batch" : "batches"} per step, too few for ` +
            `${ranks.size} ranks; start at most ${plan.accumulate}`,
          { exitCode: 2 },
        );
      }
      const format = modelFormat(program, model, tokenizer, prepared.base?.endOfText);
      const saved = { format, state: storedState(training) };
      const newest = before && (await restoreCheckpoint(run, identity, saved));
      const shared =
        newest === null && brief?.after !== undefined ? await restoreShared(brief.after, plan, saved) : null;
      const isFirst = sampled === undefined && measured === null; // timing changes the parameters
      if (newest === null && shared === null && !isFirst) await setFirstState(training, prepared, firstValues);
      const done = newest ?? shared ?? { step: 0, seconds: 0 };
      await rewindMetrics(run, done.step);
      await sendOrders(ranks, training, {
        ...{ plan, done, program: program.plan, zero: (o.zero ?? 0) as ZeroStage, brief: brief !== undefined },
        ...(newest !== null && { restored: checkpointPath(run, newest.step) }),
        ...(shared !== null && { restored: checkpointPath(brief?.after?.run as string, shared.step) }),
      });
      // The evaluation may take an eighth of the time. It is planned again after training: the machine may be busier then.
      const seconds = minutes === null ? Number.POSITIVE_INFINITY : minutes * 60;
      const planFinalEvaluation = (batchSeconds: number, most = seconds / 8) =>
        planEvaluation(heldOut.ids.length - 1, sizes, batchSeconds, Math.min(most, seconds / 8));
      const tail = secondsAfterEvaluation(prepared.tokens);
      const peak = peakOf(request, plan);
      const metrics = bufferedMetrics(run);
      const trains = train({
        ...{ training, plan, done, signal, onProgress },
        source: batchesOf(loader, plan.accumulate, ranks),
        peak: peak === null ? null : { flops: ranks.size * peak, flopsPerToken: plan.training_flops_per_token },
        blindLoss: Math.log(model.vocabSize),
        ...(brief && { learnsBy: Math.max(MIN_LEARNING_STEPS, 2 * plan.schedule.warmupSteps) }),
        deadline:
          minutes === null || measured === null
            ? null
            : deadlineOf(started, minutes, {
                milliseconds: 1000 * (planFinalEvaluation(measured.throughput.evaluate).seconds + tail),
                plannedStep: 1000 * measured.throughput.step,
              }),
        lastSaved: newest === null ? undefined : checkpointPath(run, newest.step),
        hooks: {
          record: (line) => (brief ? metrics.record(line) : appendMetrics(run, line)),
          save: async (step, seconds, validationLoss) => {
            await metrics.flush();
            return saveCheckpoint(run, saved, { step, seconds, run: identity, validationLoss }, o.keep);
          },
          evaluate: async () => (brief ? null : validate(program, heldOut, plan, ranks)),
          sample: async (step) => {
            const [text] = await sample(prompts.slice(0, 1), 40);
            if (text !== undefined) await appendMetrics(run, { step, samples: [{ prompt: prompts[0], text }] });
          },
          replan: (changed) => writeRunRecord(run, { ...record, plan: { ...changed } }),
        },
      });
      const trained = await trains.finally(() => metrics.flush());

      const firstBatch = await loader.load(0);
      const timeEvaluation = () => meanSeconds(() => program.run("evaluate", { ...firstBatch }), 0.2, signal);
      const evaluationPlan = brief
        ? { limit: Math.min(brief.heldOutTokens, heldOut.ids.length - 1), context: 0 }
        : planFinalEvaluation(await timeEvaluation(), Math.max(0, 1.1 * seconds - elapsed() - tail));
      await ranks.share(evaluationPlan);
      const sources = await readHeldOutSources(o.data ?? runPaths(run).tokens);
      const { evaluation, result: evaluated } = await evaluateRun(program, heldOut, tokenizer, sizes, evaluationPlan, {
        ...{ split: dataset.heldout, training: dataset.train, sources, ranks, signal, onProgress },
        baselines: brief === undefined,
      });
      const steps = endOf(trained.plan);
      await appendMetrics(run, {
        step: steps,
        validation_loss: evaluation.loss,
        perplexity: Math.exp(evaluation.loss),
        bits_per_byte: evaluation.bitsPerByte,
      });
      const after = await sample(prompts);
      const samples = prompts.map((prompt, i) => ({ prompt, before: untrained[i], after: after[i] }));
      const result = { ...evaluated, samples, fusion: fusionSavings(trained.plan) };
      await writeRunRecord(run, { ...record, plan: { ...trained.plan }, result });
      const report = await writeReport(run);
      return {
        run,
        checkpoint: checkpointPath(run, steps),
        report,
        plan: trained.plan,
        loss: trained.loss,
        tokensPerSecond: trained.tokensPerSecond,
        trainedSteps: steps - done.step,
        ...(ranks.size > 1 && { ranks: rankReport(ranks, trained) }),
        trainingSeconds: trained.seconds,
        seconds: elapsed(),
        result,
        heldOutLoss: evaluation.loss,
        shortened: shortenedOf(trained.plan, request.law, evaluation.bitsPerByte / evaluation.loss),
      };
    } finally {
      training.dispose();
    }
  } finally {
    await prepared.close();
  }
}

/**
 * Restores the checkpoint of another run at a step that both plans reach in the same way.
 * @throws QuernError if the plans differ in more than their length and decay, or the decay of either has begun before it
 */
async function restoreShared(
  { run, step }: NonNullable<NonNullable<PretrainOptions["brief"]>["after"]>,
  plan: PretrainPlan,
  saved: Saved,
): Promise<{ readonly step: number; readonly seconds: number }> {
  const other = (await readRunRecord(run))?.plan as PretrainPlan | undefined;
  if (other === undefined) throw new QuernError(`${run} contains no run to continue from; train it first`);
  const { steps, schedule } = plan;
  const asThis = { ...other, steps, schedule: { ...other.schedule, decaySteps: schedule.decaySteps } };
  const isShared = (each: PretrainPlan) =>
    each.schedule.kind === "wsd" && step <= each.steps - each.schedule.decaySteps;
  if (pretrainIdentity(asThis) !== pretrainIdentity(plan) || !isShared(other) || !isShared(plan)) {
    throw new QuernError(
      `${run} at step ${step} is not the beginning of this run; give both the same plan up to there`,
    );
  }
  await restoreCheckpoint(run, pretrainIdentity(other), saved, step);
  return { step, seconds: 0 };
}

/** A plan that was made ahead of its text, with the text. */
const withDataset = (plan: PretrainPlan, { train: training, heldout, hash }: Dataset): PretrainPlan => ({
  ...plan,
  ...{ dataset: hash, training_tokens: training.tokens, heldout_tokens: heldout.tokens },
});

/** A short run must have learned something after this many steps. */
const MIN_LEARNING_STEPS = 50;

/**
 * Returns the plan that `pretrain` would follow, with reasons, time, memory and disk. Writes nothing, even if the folder
 * contains a run. No tokenizer is trained, so the number of tokens in the text is an estimate. The program is built and
 * timed only if a step should take less than .3 s at peak; otherwise time and memory are estimated.
 * @throws QuernError as `pretrain` does
 */
export async function planPretraining(options: PretrainOptions): Promise<PretrainPlan> {
  const started = performance.now();
  const { target = {}, signal, onProgress } = options;
  const request = await openRequest(options, true);
  const prepared = await prepare(request, options, false);
  const elapsed = () => (performance.now() - started) / 1000;
  try {
    const { sizes, dataset } = prepared;
    if (request.fixed !== null) return request.fixed;
    const estimated = await estimate(request, sizes);
    if (estimated.throughput.step > MEASURED_STEP || sizes.model.layers > MEASURED_LAYERS) {
      return planFrom(request, prepared, estimated, elapsed);
    }
    const training = await compileTraining(request, sizes, target, onProgress);
    try {
      const loader =
        dataset === null ? randomTokens(sizes) : await createRunLoader(dataset.train, { ...sizes, seed: 0 });
      await setFirstState(training, prepared, firstValuesOf(prepared, 0));
      return planFrom(request, prepared, await measure(request, prepared, training, loader, signal), elapsed);
    } finally {
      training.dispose();
    }
  } finally {
    await prepared.close();
  }
}

/** With longer steps (seconds) or more layers, building and timing the program for a plan alone takes too long. */
const MEASURED_STEP = 0.3;
const MEASURED_LAYERS = 128;
