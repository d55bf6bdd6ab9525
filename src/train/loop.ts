/**
 * @file The training loop: from where the program stands to the end of the plan. A step is one or more batches of
 * gradients and an update; the next batch is read while the program runs.
 */
import type { Program } from "../backends/index.js";
import { QuernError } from "../errors.js";
import type { OnProgress } from "../progress.js";
import { adamwScalars } from "./adamw.js";
import { evaluate, type HeldOutText } from "./evaluation.js";
import type { Loader } from "./loader.js";
import { median } from "./pace.js";
import { type RunPlan, stepsAt, withHorizon } from "./plan.js";
import type { MetricsLine } from "./report.js";
import { learningRateAt } from "./schedule.js";

export interface TrainOptions {
  readonly program: Program;
  readonly loader: Loader;
  readonly heldOut: HeldOutText;
  readonly plan: RunPlan;
  /** Steps already done, and the seconds they took. */
  readonly done: { readonly step: number; readonly seconds: number };
  /** fp32 operations a second that this machine reaches at most, for the share of it; null where not measured. */
  readonly peakFlops: number | null;
  /** The time by `performance.now()` when training should be over; a run that turns out slower gets fewer steps. */
  readonly deadline: number | null;
  /** Steps between checkpoints; ten minutes unless given. */
  readonly saveEvery?: number;
  /** Keeps a line of the metrics. */
  readonly record: (line: MetricsLine) => Promise<void>;
  /** Saves the program's variables as the checkpoint of a step. */
  readonly save: (step: number, seconds: number) => Promise<void>;
  /** Keeps a plan that has changed. */
  readonly replan: (plan: RunPlan) => Promise<void>;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface Trained {
  readonly plan: RunPlan;
  readonly seconds: number;
  /** Loss of the last step, or null where there was none to take. */
  readonly loss: number | null;
  /** Median over the steps of this call, or null. */
  readonly tokensPerSecond: number | null;
}

/** Where nothing else was said, a run that is killed loses so many seconds of work at most. */
const SAVE_SECONDS = 600;

/**
 * Trains to the end of the plan and saves there. When the signal aborts, the step at work is finished and saved before
 * the signal's reason is thrown. Throws a `QuernError` when the loss is no longer a number.
 */
export async function train(options: TrainOptions): Promise<Trained> {
  const { program, loader, heldOut, done, peakFlops, saveEvery, record, save, replan, signal, onProgress } = options;
  let plan = options.plan;
  const { batch, sequence, accumulate, optimizer } = plan;
  const tokensPerStep = batch * sequence * accumulate;
  const began = performance.now() - done.seconds * 1000;
  const secondsNow = () => (performance.now() - began) / 1000;
  const stepSeconds: number[] = [];
  let savedAt = done.seconds;
  let loss: number | null = null;
  let next = loader.load(done.step * accumulate);

  for (let step = done.step; step < plan.steps; step++) {
    const start = performance.now();
    let total = 0;
    for (let part = 0; part < accumulate; part++) {
      const { ids, targets } = await next;
      const run = program.run(part === 0 ? "firstGradient" : "nextGradient", { ids, targets });
      next = loader.load(step * accumulate + part + 1);
      await run;
      total += program.read("loss")[0];
    }
    const rate = learningRateAt(step, stepsAt(plan, step), plan.schedule);
    await program.run("update", adamwScalars(step + 1, rate, optimizer));
    stepSeconds.push((performance.now() - start) / 1000);

    loss = total / accumulate;
    const steps = step + 1;
    if (!Number.isFinite(loss)) {
      throw new QuernError(
        `the loss is no longer a number at step ${steps}: training diverged; begin again with a learning rate below ` +
          `${plan.schedule.learningRate}`,
      );
    }
    const tokensPerSecond = tokensPerStep / median(stepSeconds.slice(-20));
    const peakShare = peakFlops === null ? null : (tokensPerSecond * plan.training_flops_per_token) / peakFlops;
    await record({
      step: steps,
      loss,
      learning_rate: rate,
      gradient_norm: program.read("gradient_norm")[0],
      tokens: steps * tokensPerStep,
      tokens_per_second: tokensPerSecond,
      ...(peakShare !== null && { peak_share: peakShare }),
      seconds: secondsNow(),
    });
    const notes = [`loss ${loss.toFixed(3)}`, `${Math.round(tokensPerSecond)} tokens/s`];
    if (peakShare !== null) notes.push(`${(100 * peakShare).toFixed(0)} % of peak`);
    onProgress?.({ task: "train", done: steps, total: plan.steps, unit: "step", note: notes.join(", ") });

    if (signal?.aborted) {
      await save(steps, secondsNow());
      signal.throwIfAborted();
    }
    if (steps % validationInterval(plan) === 0 && steps < plan.steps) {
      const { loss: validationLoss, bitsPerByte } = await evaluate(program, heldOut, plan, {
        limit: 2 * batch * sequence,
      });
      await record({ step: steps, validation_loss: validationLoss, bits_per_byte: bitsPerByte });
    }
    const end = changedEnd(plan, steps, median(stepSeconds.slice(-20)), options.deadline);
    if (end !== null) {
      plan = withHorizon(plan, steps, end);
      await replan(plan);
    }
    const due = saveEvery === undefined ? secondsNow() - savedAt >= SAVE_SECONDS : steps % saveEvery === 0;
    if (due || steps === plan.steps) {
      await save(steps, secondsNow());
      savedAt = secondsNow();
    }
  }
  const tokensPerSecond = stepSeconds.length === 0 ? null : tokensPerStep / median(stepSeconds);
  return { plan, seconds: secondsNow(), loss, tokensPerSecond };
}

/** About ten validations a run; each takes about as long as a step. */
function validationInterval(plan: RunPlan): number {
  return Math.max(5, Math.ceil(plan.horizons[0].steps / 10));
}

/**
 * Another end for a run whose pace is not what it was planned for (a shared machine): nearer where it would pass its
 * deadline by more than a twentieth of what is left; farther where, before three quarters of it are done, there is time
 * for a fifth more. Null where the plan holds.
 */
function changedEnd(plan: RunPlan, step: number, seconds: number, deadline: number | null): number | null {
  if (deadline === null || step % 10 !== 0 || step >= plan.steps) return null;
  const left = (deadline - performance.now()) / 1000;
  const fits = Math.max(1, Math.floor(left / seconds));
  const planned = plan.steps - step;
  const tooSlow = planned * 0.95 > fits;
  const tooFast = planned * 1.2 < fits && step < plan.steps * 0.75;
  return tooSlow || tooFast ? step + fits : null;
}
