/**
 * @file Pretraining from text to a checkpoint, top to bottom: material, sizes, program, pace, plan, loop, verdict, report.
 * Each part is a function of its own elsewhere; here is the order.
 */
import { withOutput } from "../../documents/index.js";
import { InterruptedError, QuernError } from "../../errors.js";
import { checkpointPath } from "../../model/index.js";
import { readHeldOutSources } from "../data/held-out-sources.js";
import { createLoader } from "../data/loader.js";
import { train } from "../loop.js";
import type { Material } from "../material.js";
import { optimizerState } from "../optimizer/optimizer.js";
import { meanSeconds } from "../pace.js";
import { fusionSavings } from "../report/fusion.js";
import { type RunResult, writeReport } from "../report/report.js";
import { continuePrompts, drawPrompts, judge, loadHeldOut, planEvaluation } from "../report/verdict.js";
import { restoreCheckpoint, saveCheckpoint } from "../run/checkpoints.js";
import {
  appendMetrics,
  checkSpace,
  readRunRecord,
  rewindMetrics,
  runPaths,
  writeRunRecord,
} from "../run/run-folder.js";
import { beginRun, firstValuesOf, identityOf, setFirstState } from "./begin-run.js";
import { endOf, type RunPlan } from "./plan.js";
import {
  anyTokens,
  compileTraining,
  estimate,
  type Measured,
  measure,
  openCall,
  type PretrainOptions,
  peakOf,
  planFrom,
  prepare,
  runClaim,
  secondsAfter,
} from "./prepare-run.js";

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

/**
 * Trains a language model on text, into a run folder. With `minutes` all of it, the tokenizer and the verdict too, takes
 * about so long. With `resume` it goes on from the newest checkpoint as the run's own plan says, to the same bits.
 * When the signal aborts in training, the run is saved and an `InterruptedError` names the checkpoint; in the verdict, or
 * between plan and training, it names the run; before there is a plan, the signal's reason is thrown.
 *
 * @throws QuernError for options that do not fit each other, a text that is too short, a folder that cannot be written, a
 * machine with too little memory, a training that diverges
 */
export async function pretrain(options: PretrainOptions): Promise<PretrainResult> {
  return withOutput(runClaim(options), () =>
    pretrainInto(options).catch(async (error: unknown) => {
      const { out, signal } = options;
      if (!signal?.aborted || error instanceof InterruptedError || error instanceof QuernError) throw error;
      if ((await readRunRecord(out)) === null) throw error;
      throw new InterruptedError(`interrupted; ${out} keeps the run, --resume goes on from there`, out, {
        cause: error,
      });
    }),
  );
}

async function pretrainInto(options: PretrainOptions): Promise<PretrainResult> {
  const started = performance.now();
  const { target = {}, signal, onProgress, onPlan } = options;
  const call = await openCall(options);
  const { o, before, fixed, minutes } = call;
  const run = o.out;
  const begun = await prepare(call, options, true);
  const material = begun.material as Material;
  const { sizes } = begun;
  const { model } = sizes;
  try {
    const { tokenizer } = material;
    const heldOut = loadHeldOut(material.heldout, tokenizer);
    const seed = fixed?.seed ?? o.seed ?? 0;
    const order = fixed?.order ?? o.order;
    const loader = createLoader(material.train, { ...sizes, seed, order, endOfText: tokenizer.endOfText });
    const sampling = { ...target, threads: o.threads, seed, signal };
    const firstValues = firstValuesOf(begun, seed);
    const first = before?.result?.samples?.map(({ prompt }) => prompt);
    const prompts = first ?? drawPrompts(material.heldout, tokenizer, seed);
    // Two programs are built side by side: this one, and the decoder that speaks before there is anything to say.
    const compiling = compileTraining(call, sizes, target, onProgress);
    const speaking = before?.result?.samples
      ? Promise.resolve(before.result.samples.map((sample) => sample.before ?? ""))
      : continuePrompts(model, tokenizer, prompts, firstValues, sampling);
    const untrained = await speaking.catch(async (error: unknown) => {
      await compiling.then((built) => built.dispose()).catch(() => {});
      throw error;
    });
    const program = await compiling;
    try {
      const elapsed = () => (performance.now() - started) / 1000;
      const measured = fixed === null ? await measure(call, begun, program, loader, signal) : null;
      const plan = fixed ?? planFrom(call, begun, measured as Measured, elapsed);
      await checkSpace(run, plan.expected.disk_bytes);
      onPlan?.(plan);
      const record =
        before ??
        (await beginRun(
          call,
          plan,
          prompts.map((prompt, i) => ({ prompt, before: untrained[i] })),
          begun.report,
        ));
      const identity = identityOf(plan);
      const saved = { program, config: model, state: optimizerState(model, plan.optimizer), tokenizer };
      const newest = before && (await restoreCheckpoint(run, identity, saved));
      if (newest === null) await setFirstState(program, begun, firstValues, plan);
      const done = newest ?? { step: 0, seconds: 0 };
      const endOfText = newest?.endOfText ?? begun.base?.endOfText;
      await rewindMetrics(run, done.step);
      // The verdict may take an eighth of the time. It is planned again when training is over: other work may have come.
      const planVerdict = (batchSeconds: number) =>
        planEvaluation(heldOut.ids.length - 1, sizes, batchSeconds, (minutes ?? Number.POSITIVE_INFINITY) * 60 * 0.125);
      const speak = (list: readonly string[], tokens?: number) =>
        continuePrompts(model, tokenizer, list, (name) => program.read(name), { ...sampling, tokens });
      const tail = measured === null ? 0 : planVerdict(measured.pace.evaluate).seconds + secondsAfter(begun.tokens);
      const by = (share: number) => started + 1000 * ((minutes ?? 0) * 60 * share - tail);
      const trained = await train({
        ...{ program, loader, heldOut, plan, done, signal, onProgress },
        peakFlops: peakOf(call, plan),
        deadline: minutes === null || fixed !== null ? null : { aim: by(1.1), limit: by(1.2) },
        saveEvery: o.saveEvery,
        lastSaved: newest === null ? undefined : checkpointPath(run, newest.step),
        record: (line) => appendMetrics(run, line),
        save: (step, seconds, validationLoss) =>
          saveCheckpoint(run, { ...saved, endOfText }, { step, seconds, run: identity, validationLoss }, o.keep),
        speak: async (step) => {
          const [text] = await speak(prompts.slice(0, 1), 40);
          if (text !== undefined) await appendMetrics(run, { step, samples: [{ prompt: prompts[0], text }] });
        },
        replan: (changed) => writeRunRecord(run, { ...record, plan: { ...changed } }),
      });

      const firstBatch = await loader.load(0);
      const evaluateSeconds = await meanSeconds(() => program.run("evaluate", { ...firstBatch }), 0.2, signal);
      const verdict = planVerdict(evaluateSeconds);
      const sources = await readHeldOutSources(o.data ?? runPaths(run).tokens);
      const calls = { split: material.heldout, training: material.train, sources, signal, onProgress };
      const { evaluation, result: judged } = await judge(program, heldOut, tokenizer, sizes, verdict, calls);
      const steps = endOf(trained.plan);
      await appendMetrics(run, {
        step: steps,
        validation_loss: evaluation.loss,
        perplexity: Math.exp(evaluation.loss),
        bits_per_byte: evaluation.bitsPerByte,
      });
      const spoken = await speak(prompts);
      const samples = prompts.map((prompt, i) => ({ prompt, before: untrained[i], after: spoken[i] }));
      const result = { ...judged, samples, fusion: fusionSavings(trained.plan) };
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
    await begun.close();
  }
}

/**
 * The plan that `pretrain` would follow, with reasons, time, memory and disk; writes nothing, also where a run is already.
 * No tokenizer is trained: the number of tokens in the text is a guess. The program is built and timed where a step takes
 * less than .3 s by the machine's peak; else time and memory are estimated from that.
 * @throws QuernError as `pretrain` does
 */
export async function planPretraining(options: PretrainOptions): Promise<RunPlan> {
  const started = performance.now();
  const { target = {}, signal, onProgress } = options;
  const call = await openCall(options, true);
  const begun = await prepare(call, options, false);
  const elapsed = () => (performance.now() - started) / 1000;
  try {
    const { sizes, material } = begun;
    if (call.fixed !== null) return call.fixed;
    const estimated = await estimate(call, sizes);
    if (estimated.pace.step > MEASURED_STEP || sizes.model.layers > MEASURED_LAYERS) {
      return planFrom(call, begun, estimated, elapsed);
    }
    const program = await compileTraining(call, sizes, target, onProgress);
    try {
      const loader = material === null ? anyTokens(sizes) : createLoader(material.train, { ...sizes, seed: 0 });
      return planFrom(call, begun, await measure(call, begun, program, loader, signal), elapsed);
    } finally {
      program.dispose();
    }
  } finally {
    await begun.close();
  }
}

/** Where a step takes longer (seconds), or a model is deeper, a plan is not worth building and timing the program for it. */
const MEASURED_STEP = 0.3;
const MEASURED_LAYERS = 128;
