/**
 * @file Pretraining from text to a checkpoint, in order: dataset, sizes, program, throughput, plan, loop, evaluation,
 * report. Each part is a function in another file.
 */

import type { Program } from "../../backends/index.js";
import { withOutput } from "../../documents/index.js";
import { InterruptedError, QuernError } from "../../errors.js";
import { checkpointPath } from "../../model/index.js";
import { readHeldOutSources } from "../../tokenizer/index.js";
import type { Dataset } from "../data/dataset.js";
import { batchesOf, createLoader } from "../data/loader.js";
import { evaluate, type HeldOutText } from "../evaluation.js";
import { type Evaluated, train } from "../loop.js";
import { optimizerState } from "../optimizer/optimizer.js";
import { continuePrompts, drawPrompts, evaluateRun, loadHeldOut, planEvaluation } from "../report/final-evaluation.js";
import { fusionSavings } from "../report/fusion.js";
import { type RunResult, writeReport } from "../report/report.js";
import { restoreCheckpoint, saveCheckpoint } from "../run/checkpoints.js";
import { endOf } from "../run/plan.js";
import {
  appendMetrics,
  checkSpace,
  readRunRecord,
  rewindMetrics,
  runPaths,
  writeRunRecord,
} from "../run/run-folder.js";
import { meanSeconds } from "../throughput.js";
import { beginRun, describeData, firstValuesOf, setFirstState } from "./begin-run.js";
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
} from "./prepare-run.js";

export interface PretrainResult {
  /** The run's folder, its last checkpoint and its report. */
  readonly run: string;
  readonly checkpoint: string;
  readonly report: string;
  readonly plan: PretrainPlan;
  /** Loss of the last training step, in nats per token; null if a finished run was resumed. */
  readonly loss: number | null;
  readonly tokensPerSecond: number | null;
  /** Seconds of training over all calls, and seconds of this whole call. */
  readonly trainingSeconds: number;
  readonly seconds: number;
  readonly result: RunResult;
}

/**
 * Trains a language model on text, into a run folder. `minutes` is the budget for everything, from tokenizer to
 * evaluation. With `resume`, continues from the newest checkpoint and the run's plan; the result has the same bits.
 *
 * When the signal aborts during training, the run is saved and an `InterruptedError` names the checkpoint. Between plan and
 * training, or during the final evaluation, it names the run. Before there is a plan, the signal's reason is thrown.
 *
 * @throws QuernError for contradicting options, a text that is too short, a folder that cannot be written, too little memory,
 * or a training that diverges
 */
export async function pretrain(options: PretrainOptions): Promise<PretrainResult> {
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

async function pretrainInto(options: PretrainOptions): Promise<PretrainResult> {
  const started = performance.now();
  const { target = {}, signal, onProgress, onPlan } = options;
  const request = await openRequest(options);
  const { o, before, fixed, minutes } = request;
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
    const loader = createLoader(dataset.train, { ...sizes, seed, order, endOfText: tokenizer.endOfText });
    const firstValues = firstValuesOf(prepared, seed);
    const first = before?.result?.samples?.map(({ prompt }) => prompt);
    const prompts = first ?? drawPrompts(dataset.heldout, tokenizer, seed);
    const training = await compileTraining(request, sizes, target, onProgress);
    const { program } = training;
    const sample = (list: readonly string[], tokens?: number) =>
      continuePrompts(model, tokenizer, list, program, { backend: target.backend, seed, tokens, signal });
    try {
      const sampled = before?.result?.samples?.map((each) => each.before ?? "");
      if (sampled === undefined) await setFirstState(training, prepared, firstValues);
      const untrained = sampled ?? (await sample(prompts));
      const elapsed = () => (performance.now() - started) / 1000;
      const measured = fixed === null ? await measure(request, prepared, training, loader, signal) : null;
      const plan = fixed ?? planFrom(request, prepared, measured as Measured, elapsed);
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
      const format = modelFormat(program, model, tokenizer, prepared.base?.endOfText);
      const saved = { program, format, state: optimizerState(training.trainable, plan.optimizer) };
      const newest = before && (await restoreCheckpoint(run, identity, saved));
      const isFirst = sampled === undefined && measured === null; // timing changes the parameters
      if (newest === null && !isFirst) await setFirstState(training, prepared, firstValues);
      const done = newest ?? { step: 0, seconds: 0 };
      await rewindMetrics(run, done.step);
      // The evaluation may take an eighth of the time. It is planned again after training: the machine may be busier then.
      const planFinalEvaluation = (batchSeconds: number) =>
        planEvaluation(heldOut.ids.length - 1, sizes, batchSeconds, (minutes ?? Number.POSITIVE_INFINITY) * 60 * 0.125);
      const tail =
        measured === null
          ? 0
          : planFinalEvaluation(measured.throughput.evaluate).seconds + secondsAfterEvaluation(prepared.tokens);
      const peak = peakOf(request, plan);
      const by = (share: number) => started + 1000 * ((minutes ?? 0) * 60 * share - tail);
      const trained = await train({
        ...{ training, plan, done, signal, onProgress },
        source: batchesOf(loader, plan.accumulate),
        peak: peak === null ? null : { flops: peak, flopsPerToken: plan.training_flops_per_token },
        blindLoss: Math.log(model.vocabSize),
        deadline: minutes === null || fixed !== null ? null : { aim: by(1.1), limit: by(1.2) },
        lastSaved: newest === null ? undefined : checkpointPath(run, newest.step),
        hooks: {
          record: (line) => appendMetrics(run, line),
          save: (step, seconds, validationLoss) =>
            saveCheckpoint(run, saved, { step, seconds, run: identity, validationLoss }, o.keep),
          evaluate: () => validate(program, heldOut, plan),
          sample: async (step) => {
            const [text] = await sample(prompts.slice(0, 1), 40);
            if (text !== undefined) await appendMetrics(run, { step, samples: [{ prompt: prompts[0], text }] });
          },
          replan: (changed) => writeRunRecord(run, { ...record, plan: { ...changed } }),
        },
      });

      const firstBatch = await loader.load(0);
      const evaluateSeconds = await meanSeconds(() => program.run("evaluate", { ...firstBatch }), 0.2, signal);
      const evaluationPlan = planFinalEvaluation(evaluateSeconds);
      const sources = await readHeldOutSources(o.data ?? runPaths(run).tokens);
      const { evaluation, result: evaluated } = await evaluateRun(program, heldOut, tokenizer, sizes, evaluationPlan, {
        ...{ split: dataset.heldout, training: dataset.train, sources, signal, onProgress },
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
        trainingSeconds: trained.seconds,
        seconds: elapsed(),
        result,
      };
    } finally {
      program.dispose();
    }
  } finally {
    await prepared.close();
  }
}

/** Held-out tokens of each validation during training, always the same ones; bounded to 2 to 16 batches. */
const VALIDATION_TOKENS = 8192;

/** Evaluates on the beginning of the held-out text; null if there is none. */
async function validate(program: Program, heldOut: HeldOutText, plan: PretrainPlan): Promise<Evaluated | null> {
  if (heldOut.ids.length < 2) return null;
  const batch = plan.batch * plan.sequence;
  const limit = Math.max(2 * batch, Math.min(16 * batch, VALIDATION_TOKENS));
  const { loss, bitsPerByte } = await evaluate(program, heldOut, plan, { limit });
  return { loss, line: { validation_loss: loss, perplexity: Math.exp(loss), bits_per_byte: bitsPerByte } };
}

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
      const loader = dataset === null ? randomTokens(sizes) : createLoader(dataset.train, { ...sizes, seed: 0 });
      await setFirstState(training, prepared, firstValuesOf(prepared, 0));
      return planFrom(request, prepared, await measure(request, prepared, training, loader, signal), elapsed);
    } finally {
      training.program.dispose();
    }
  } finally {
    await prepared.close();
  }
}

/** With longer steps (seconds) or more layers, building and timing the program for a plan alone takes too long. */
const MEASURED_STEP = 0.3;
const MEASURED_LAYERS = 128;
