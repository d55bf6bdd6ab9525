/**
 * @file The training loop of every trainer, from the program's current step to the end of the plan. It reads the next
 * step's batches while the program runs.
 */
import { InterruptedError, QuernError } from "../errors.js";
import type { OnProgress } from "../progress.js";
import { endOf, type RunPlan, stepsAt } from "./run/plan.js";
import type { MetricsLine } from "./run/run-record.js";
import { type BatchSource, step } from "./step.js";
import { createWatch, type Deadline, median } from "./throughput.js";
import type { TrainingProgram } from "./trainer.js";

/** The result of a measurement on held-out data. */
export interface Evaluated {
  readonly loss: number;
  /** For the metrics, beside the step. */
  readonly line: Omit<MetricsLine, "step">;
}

/** Callbacks of a trainer, called between steps. */
export interface TrainHooks {
  /** Saves the trained variables as the checkpoint of a step; returns its path. */
  readonly save: (step: number, seconds: number, validationLoss: number | null) => Promise<string>;
  /** Keeps a line of the metrics. */
  readonly record: (line: MetricsLine) => Promise<void>;
  /** Measures on held-out data, every `validate_every` steps and before saving; null where there is none. */
  readonly evaluate?: (step: number) => Promise<Evaluated | null>;
  /** Samples from the model, at a quarter, half and three quarters of the run. */
  readonly sample?: (step: number) => Promise<void>;
  /** Keeps a plan that was cut. */
  readonly replan?: (plan: RunPlan) => Promise<void>;
}

export interface TrainOptions {
  readonly training: TrainingProgram;
  readonly source: BatchSource;
  readonly plan: RunPlan;
  readonly hooks: TrainHooks;
  /** Steps already done, and the seconds they took. */
  readonly done: { readonly step: number; readonly seconds: number };
  /** What this machine reaches at most (operations a second), and what a token takes; null where not known. */
  readonly peak?: { readonly flops: number; readonly flopsPerToken: number } | null;
  /** Shortens a run that would pass its time limit. Null for a plan that is repeated or resumed: that plan is kept. */
  readonly deadline?: Deadline | null;
  /** Loss of guessing blindly, such as ln V: a loss that stays far above it has exploded. */
  readonly blindLoss?: number;
  /** The newest checkpoint where the run was resumed. */
  readonly lastSaved?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface Trained<P extends RunPlan = RunPlan> {
  readonly plan: P;
  readonly seconds: number;
  /** Loss of the last step that was not skipped, or null where there was none to take. */
  readonly loss: number | null;
  /** Mean over the steps of this call, validation and saving aside, or null. */
  readonly tokensPerSecond: number | null;
}

/** Without `save_every` a run that is killed loses at most this many seconds of work. */
const SAVE_SECONDS = 600;

/**
 * Trains to the end of the plan and saves there. When the signal aborts, the current step is finished and saved before
 * an `InterruptedError` is thrown, which names the checkpoint. A step in which nothing is counted is skipped; its line of
 * the metrics says so.
 * @throws QuernError when the loss or the gradient is no longer a number, the loss explodes, or no step counts anything
 */
export async function train<P extends RunPlan>(options: TrainOptions & { readonly plan: P }): Promise<Trained<P>> {
  const { training, source, hooks, done, peak, signal, onProgress } = options;
  let plan = options.plan;
  const { batch, sequence, accumulate, schedule } = plan;
  const tokensPerStep = batch * sequence * accumulate;
  const began = performance.now() - done.seconds * 1000;
  const secondsNow = () => (performance.now() - began) / 1000;
  const recent: number[] = []; // seconds of the last steps
  const evaluate = onceAStep(hooks.evaluate);
  const guard = divergenceGuard(options.blindLoss);
  const watch = options.deadline && createWatch(options.deadline, done.step);
  const ahead = source.ahead ?? true;
  let savedAt = done.seconds;
  let lastSaved = options.lastSaved ?? null;
  let loss: number | null = null;
  let next = ahead ? source.load(done.step) : null;
  let trainingSeconds = 0;

  const save = async (step: number) => {
    // Ctrl-C must end soon.
    const validationLoss = signal?.aborted ? null : ((await evaluate(step))?.loss ?? null);
    lastSaved = await hooks.save(step, secondsNow(), validationLoss);
    savedAt = secondsNow();
  };
  const validate = async (step: number) => {
    const measured = await evaluate(step);
    if (measured !== null) await hooks.record({ step, ...measured.line });
  };

  for (let index = done.step; index < endOf(plan); index++) {
    const start = performance.now();
    const batches = await (next ?? source.load(index));
    const running = step(training, batches, { step: index, steps: stepsAt(plan, index), schedule });
    next = ahead && index + 1 < endOf(plan) ? source.load(index + 1) : null;
    next?.catch(() => {}); // reported when it is awaited
    const taken = await running;
    recent.push((performance.now() - start) / 1000);
    trainingSeconds += recent[recent.length - 1];
    if (recent.length > 20) recent.shift();

    const { gradientNorm, learningRate: learning_rate, metrics } = taken;
    const steps = index + 1;
    const problem = taken.loss === null || gradientNorm === null ? null : guard(taken.loss, gradientNorm);
    if (problem !== null) {
      const good =
        lastSaved === null ? "no checkpoint was saved before it" : `the last good checkpoint is ${lastSaved}`;
      throw new QuernError(
        `${problem} at step ${steps}: training diverged; ${good}; start again with a learning rate below ` +
          `${schedule.learningRate}`,
      );
    }
    loss = taken.loss ?? loss;
    const tokensPerSecond = tokensPerStep / median(recent);
    const peakShare = peak ? (tokensPerSecond * peak.flopsPerToken) / peak.flops : null;
    const skipped = taken.loss === null ? "nothing is counted in this step" : null;
    await hooks.record({
      step: steps,
      ...(taken.loss !== null && { loss: taken.loss }),
      ...metrics,
      learning_rate,
      ...(gradientNorm !== null && { gradient_norm: gradientNorm }),
      tokens: steps * tokensPerStep,
      tokens_per_second: tokensPerSecond,
      ...(peakShare !== null && { peak_share: peakShare }),
      seconds: secondsNow(),
      ...(skipped !== null && { skipped }),
    });
    const notes = [
      taken.loss === null ? `skipped: ${skipped}` : `loss ${taken.loss.toFixed(3)}`,
      `${Math.round(tokensPerSecond)} tokens/s`,
    ];
    if (peakShare !== null) notes.push(`${(100 * peakShare).toFixed(0)} % of peak`);
    onProgress?.({ task: "train", done: steps, total: endOf(plan), unit: "step", note: notes.join(", ") });

    if (signal?.aborted) {
      await save(steps);
      const path = lastSaved as string;
      const done = `interrupted at step ${steps} of ${endOf(plan)}; saved as ${path}, --resume continues from there`;
      throw new InterruptedError(done, path, { cause: signal.reason });
    }
    const last = steps === endOf(plan);
    if (last && loss === null) {
      throw new QuernError("no step of this run counted anything: every target is masked; check the data's masks");
    }
    if (!last && steps % plan.validate_every === 0) await validate(steps);
    if (!last && hooks.sample && quarterEnds(plan.steps).includes(steps)) await hooks.sample(steps);
    const end = watch?.(steps, endOf(plan)) ?? null;
    if (end !== null) {
      plan = { ...plan, cuts: [...plan.cuts, { from: steps, steps: end }] };
      await hooks.replan?.(plan);
    }
    const due = plan.save_every === null ? secondsNow() - savedAt >= SAVE_SECONDS : steps % plan.save_every === 0;
    if (due || steps === endOf(plan)) await save(steps);
  }
  const tokens = (endOf(plan) - done.step) * tokensPerStep;
  const tokensPerSecond = loss === null ? null : tokens / trainingSeconds;
  return { plan, seconds: secondsNow(), loss, tokensPerSecond };
}

function quarterEnds(steps: number): number[] {
  return steps < 8 ? [] : [0.25, 0.5, 0.75].map((share) => Math.floor(share * steps));
}

/** A step may be both validated and saved; it is measured once. */
function onceAStep(evaluate: TrainHooks["evaluate"]): (step: number) => Promise<Evaluated | null> {
  let known: { readonly step: number; readonly measured: Evaluated | null } | null = null;
  return async (step) => {
    if (known?.step !== step) known = { step, measured: (await evaluate?.(step)) ?? null };
    return known.measured;
  };
}

/** Steps over which a loss must be far too high: one bad batch is no explosion. */
const EXPLODED_STEPS = 10;

/**
 * Says what is wrong with a step, or null. A loss has exploded that stays half again as high as that of guessing blindly,
 * or where the run began, whichever is higher.
 */
function divergenceGuard(blindLoss = 0): (loss: number, gradientNorm: number) => string | null {
  let limit: number | null = null;
  let above = 0;
  return (loss, gradientNorm) => {
    if (!Number.isFinite(loss)) return `the loss is ${loss}, no longer a number,`;
    if (!Number.isFinite(gradientNorm)) return `the gradient's norm is ${gradientNorm}, no longer a number,`;
    limit ??= 1.5 * Math.max(blindLoss, loss) + 1;
    above = loss > limit ? above + 1 : 0;
    if (above < EXPLODED_STEPS) return null;
    const guessing = blindLoss > 0 ? ` (guessing blindly gives ${blindLoss.toFixed(2)})` : "";
    return `the loss has exploded to ${loss.toFixed(2)}${guessing}`;
  };
}
