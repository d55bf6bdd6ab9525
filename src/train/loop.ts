/**
 * @file The training loop: from where the program stands to the end of the plan. A step is one or more batches of
 * gradients and an update; the next batch is read while the program runs.
 */
import type { Program } from "../backends/index.js";
import { InterruptedError, QuernError } from "../errors.js";
import type { OnProgress } from "../progress.js";
import type { Loader } from "./data/loader.js";
import { type Evaluation, evaluate, type HeldOutText } from "./evaluation.js";
import { optimizerScalars } from "./optimizer/optimizer.js";
import { learningRateAt } from "./optimizer/schedule.js";
import { createWatch, type Deadline, median } from "./pace.js";
import { endOf, type RunPlan, stepsAt } from "./pretrain/plan.js";
import type { MetricsLine } from "./report/report.js";

export interface TrainOptions {
  readonly program: Program;
  readonly loader: Loader;
  readonly heldOut: HeldOutText;
  readonly plan: RunPlan;
  /** Steps already done, and the seconds they took. */
  readonly done: { readonly step: number; readonly seconds: number };
  /** Operations a second that this machine reaches at most, for the share of it; null where not measured. */
  readonly peakFlops: number | null;
  /** A run that would pass its limit is cut to meet its aim. Null for a plan that is repeated or resumed: it is kept. */
  readonly deadline: Deadline | null;
  /** Steps between checkpoints; ten minutes unless given. */
  readonly saveEvery?: number;
  /** Keeps a line of the metrics. */
  readonly record: (line: MetricsLine) => Promise<void>;
  /** Saves the program's variables as the checkpoint of a step; gives its path. */
  readonly save: (step: number, seconds: number, validationLoss: number | null) => Promise<string>;
  /** Says something, at a quarter, half and three quarters of the run. */
  readonly speak?: (step: number) => Promise<void>;
  /** The newest checkpoint where the run was resumed. */
  readonly lastSaved?: string;
  /** Keeps a plan that was cut. */
  readonly replan: (plan: RunPlan) => Promise<void>;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface Trained {
  readonly plan: RunPlan;
  readonly seconds: number;
  /** Loss of the last step, or null where there was none to take. */
  readonly loss: number | null;
  /** Mean over the steps of this call, validation and saving aside, or null. */
  readonly tokensPerSecond: number | null;
}

/** Where nothing else was said, a run that is killed loses so many seconds of work at most. */
const SAVE_SECONDS = 600;

/**
 * Trains to the end of the plan and saves there. When the signal aborts, the step at work is finished and saved before
 * an `InterruptedError` is thrown, which names the checkpoint.
 * @throws QuernError when the loss or the gradient is no longer a number, or the loss explodes
 */
export async function train(options: TrainOptions): Promise<Trained> {
  const { program, loader, done, peakFlops, saveEvery, record, signal, onProgress } = options;
  let plan = options.plan;
  const { batch, sequence, accumulate, optimizer, schedule } = plan;
  const tokensPerStep = batch * sequence * accumulate;
  const began = performance.now() - done.seconds * 1000;
  const secondsNow = () => (performance.now() - began) / 1000;
  const recent: number[] = []; // seconds of the last steps
  const held = heldOutLoss(options);
  const guard = divergenceGuard(plan);
  const watch = options.deadline && createWatch(options.deadline, done.step);
  let savedAt = done.seconds;
  let lastSaved = options.lastSaved ?? null;
  let loss: number | null = null;
  let next = loader.load(done.step * accumulate);
  let trainingSeconds = 0;

  const save = async (step: number) => {
    // Ctrl-C wants to be over soon.
    const validationLoss = signal?.aborted ? null : ((await held(step))?.loss ?? null);
    lastSaved = await options.save(step, secondsNow(), validationLoss);
    savedAt = secondsNow();
  };
  const validate = async (step: number) => {
    const measured = await held(step);
    if (measured === null) return;
    const { loss, bitsPerByte } = measured;
    await record({ step, validation_loss: loss, perplexity: Math.exp(loss), bits_per_byte: bitsPerByte });
  };

  for (let step = done.step; step < endOf(plan); step++) {
    const start = performance.now();
    let total = 0;
    for (let part = 0; part < accumulate; part++) {
      const batch = await next;
      const run = program.run(part === 0 ? "firstGradient" : "nextGradient", { ...batch });
      next = loader.load(step * accumulate + part + 1);
      await run;
      total += (await program.read("loss"))[0];
    }
    const rate = learningRateAt(step, stepsAt(plan, step), schedule);
    await program.run("update", optimizerScalars(step + 1, rate, optimizer));
    recent.push((performance.now() - start) / 1000);
    trainingSeconds += recent[recent.length - 1];
    if (recent.length > 20) recent.shift();

    loss = total / accumulate;
    const gradientNorm = (await program.read("gradient_norm"))[0];
    const steps = step + 1;
    const problem = guard(loss, gradientNorm);
    if (problem !== null) {
      const good =
        lastSaved === null ? "no checkpoint was saved before it" : `the last good checkpoint is ${lastSaved}`;
      throw new QuernError(
        `${problem} at step ${steps}: training diverged; ${good}; begin again with a learning rate below ` +
          `${schedule.learningRate}`,
      );
    }
    const tokensPerSecond = tokensPerStep / median(recent);
    const peakShare = peakFlops === null ? null : (tokensPerSecond * plan.training_flops_per_token) / peakFlops;
    await record({
      step: steps,
      loss,
      learning_rate: rate,
      gradient_norm: gradientNorm,
      tokens: steps * tokensPerStep,
      tokens_per_second: tokensPerSecond,
      ...(peakShare !== null && { peak_share: peakShare }),
      seconds: secondsNow(),
    });
    const notes = [`loss ${loss.toFixed(3)}`, `${Math.round(tokensPerSecond)} tokens/s`];
    if (peakShare !== null) notes.push(`${(100 * peakShare).toFixed(0)} % of peak`);
    onProgress?.({ task: "train", done: steps, total: endOf(plan), unit: "step", note: notes.join(", ") });

    if (signal?.aborted) {
      await save(steps);
      const path = lastSaved as string;
      const done = `interrupted at step ${steps} of ${endOf(plan)}; saved as ${path}, --resume goes on from there`;
      throw new InterruptedError(done, path, { cause: signal.reason });
    }
    const last = steps === endOf(plan);
    if (!last && steps % validationInterval(plan) === 0) await validate(steps);
    if (!last && options.speak && quarterEnds(plan.steps).includes(steps)) await options.speak(steps);
    const end = watch?.(steps, endOf(plan)) ?? null;
    if (end !== null) {
      plan = { ...plan, cuts: [...plan.cuts, { from: steps, steps: end }] };
      await options.replan(plan);
    }
    const due = saveEvery === undefined ? secondsNow() - savedAt >= SAVE_SECONDS : steps % saveEvery === 0;
    if (due || steps === endOf(plan)) await save(steps);
  }
  const tokens = (endOf(plan) - done.step) * tokensPerStep;
  const tokensPerSecond = loss === null ? null : tokens / trainingSeconds;
  return { plan, seconds: secondsNow(), loss, tokensPerSecond };
}

/** About ten validations a run; each takes about as long as a few steps. */
function validationInterval(plan: RunPlan): number {
  return Math.max(5, Math.ceil(plan.steps / 10));
}

function quarterEnds(steps: number): number[] {
  return steps < 8 ? [] : [0.25, 0.5, 0.75].map((share) => Math.floor(share * steps));
}

/** Tokens of held-out text, the same ones each time, that the loss on the way is measured on; 2 to 16 batches. */
const VALIDATION_TOKENS = 8192;

/** The loss on held-out text, measured once a step at most; null where there is no such text. */
function heldOutLoss({ program, heldOut, plan }: TrainOptions): (step: number) => Promise<Evaluation | null> {
  const batch = plan.batch * plan.sequence;
  const limit = Math.max(2 * batch, Math.min(16 * batch, VALIDATION_TOKENS));
  let known: { readonly step: number; readonly measured: Evaluation } | null = null;
  return async (step) => {
    if (heldOut.ids.length < 2) return null;
    if (known?.step !== step) known = { step, measured: await evaluate(program, heldOut, plan, { limit }) };
    return known.measured;
  };
}

/** Steps over which a loss must be far too high: one bad batch is no explosion. */
const EXPLODED_STEPS = 10;

/**
 * Says what is wrong with a step, or null. A loss has exploded that stays half again as high as that of guessing blindly,
 * ln V, or where the run began, whichever is higher.
 */
function divergenceGuard({ model }: RunPlan): (loss: number, gradientNorm: number) => string | null {
  let limit: number | null = null;
  let above = 0;
  return (loss, gradientNorm) => {
    if (!Number.isFinite(loss)) return `the loss is ${loss}, no longer a number,`;
    if (!Number.isFinite(gradientNorm)) return `the gradient's norm is ${gradientNorm}, no longer a number,`;
    limit ??= 1.5 * Math.max(Math.log(model.vocabSize), loss) + 1;
    above = loss > limit ? above + 1 : 0;
    if (above < EXPLODED_STEPS) return null;
    return `the loss has exploded to ${loss.toFixed(2)} (guessing blindly gives ${Math.log(model.vocabSize).toFixed(2)})`;
  };
}
