/**
 * @file The training loop shared by all trainers. It runs from the current step to the end of the plan and loads the next
 * step's batches while the program runs.
 */
import { InterruptedError, QuernError } from "../errors.js";
import type { OnProgress } from "../progress.js";
import type { Ranks } from "./distributed/ranks.js";
import { endOf, type RunPlan, stepsAt } from "./run/plan.js";
import type { MetricsLine } from "./run/run-record.js";
import { type BatchSource, step } from "./step.js";
import { createWatch, type Deadline, median } from "./throughput.js";
import type { TrainingProgram } from "./trainer.js";

/** The result of an evaluation on held-out data. */
export interface Evaluated {
  readonly loss: number;
  /** Fields for the metrics line, which adds the step. */
  readonly line: Omit<MetricsLine, "step">;
}

/** Callbacks of a trainer, called between steps; with several ranks, by all of them at the same time. */
export interface TrainHooks {
  /** Saves a checkpoint of the trained variables; returns its path. Ranks other than 0 save nothing. */
  readonly save: (step: number, seconds: number, validationLoss: number | null) => Promise<string>;
  /** Appends a line to the metrics. */
  readonly record: (line: MetricsLine) => Promise<void>;
  /** Evaluates on held-out data, every `validate_every` steps and before saving, or once at the end; null without such data. */
  readonly evaluate?: (step: number) => Promise<Evaluated | null>;
  /** Samples from the model at 25, 50 and 75 % of the run. */
  readonly sample?: (step: number) => Promise<void>;
  /** Stores a plan that was shortened. */
  readonly replan?: (plan: RunPlan) => Promise<void>;
}

export interface TrainOptions {
  readonly training: TrainingProgram;
  readonly source: BatchSource;
  readonly plan: RunPlan;
  readonly hooks: TrainHooks;
  /** Steps already done, and the seconds they took. */
  readonly done: { readonly step: number; readonly seconds: number };
  /** Peak of this machine in FLOP/s, and FLOPs per trained token; null if unknown. */
  readonly peak?: { readonly flops: number; readonly flopsPerToken: number } | null;
  /** Shortens a run that would exceed its time limit. Null for a repeated or resumed plan, which must not change. */
  readonly deadline?: Deadline | null;
  /** Loss of a uniform guess, such as ln V. A loss that stays far above it counts as diverged. */
  readonly blindLoss?: number;
  /** From this step on, a loss above that of a uniform guess counts as diverged, too. */
  readonly learnsBy?: number;
  /** Path of the checkpoint that a resumed run starts from. */
  readonly lastSaved?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface Trained<P extends RunPlan = RunPlan> {
  readonly plan: P;
  readonly seconds: number;
  /** Loss of the last step that was not skipped; null if no step was taken. */
  readonly loss: number | null;
  /** Mean over the steps of this call, without validation and saving; null if no step was taken. Of all ranks together. */
  readonly tokensPerSecond: number | null;
  /** Share of the steps' time in which this rank computed nothing and exchanged values with others, or waited; null for a single rank. */
  readonly communicationShare: number | null;
}

/** Without `save_every`, a killed run loses at most about this many seconds of work. */
const SAVE_SECONDS = 600;

/**
 * Trains to the end of the plan and saves the last checkpoint. A step without counted targets is skipped and marked
 * `skipped` in the metrics.
 * @throws InterruptedError when the signal aborts, after finishing and saving the current step; it names the checkpoint
 * @throws QuernError when the loss or the gradient is not finite, the loss explodes, or no step has counted targets
 */
export async function train<P extends RunPlan>(options: TrainOptions & { readonly plan: P }): Promise<Trained<P>> {
  const { training, source, hooks, done, peak, signal, onProgress } = options;
  let plan = options.plan;
  const { batch, sequence, accumulate, schedule } = plan;
  const tokensPerStep = batch * sequence * accumulate;
  const began = performance.now() - done.seconds * 1000;
  const secondsNow = () => (performance.now() - began) / 1000;
  const recent: number[] = []; // seconds of the last 20 steps
  const evaluate = oncePerStep(hooks.evaluate);
  const guard = divergenceGuard(options.blindLoss, options.learnsBy);
  const watch = options.deadline && createWatch(options.deadline, done.step);
  const ahead = source.ahead ?? true;
  const { ranks } = training;
  /** Clocks and signals differ between ranks, so rank 0 decides for all. */
  const decided = async <T>(own: T): Promise<T> => (ranks.size === 1 ? own : (await ranks.share(own))[0]);
  const isStopped = async () => (await ranks.gatherNumbers([signal?.aborted ? 1 : 0])).some(([flag]) => flag === 1);
  let savedAt = done.seconds;
  let lastSaved = options.lastSaved ?? null;
  let stopped = false;
  let loss: number | null = null;
  let next = ahead ? source.load(done.step) : null;
  let trainingSeconds = 0;
  let communicationSeconds = 0;

  const save = async (step: number) => {
    // Skips validation after Ctrl-C, which must end the process soon.
    const skips =
      stopped || (ranks.size === 1 && signal?.aborted) || (plan.validate_every === null && step < endOf(plan));
    const validationLoss = skips ? null : ((await evaluate(step))?.loss ?? null);
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
    next?.catch(() => {}); // a rejection is reported when `next` is awaited
    const result = await running;
    const stepSeconds = (performance.now() - start) / 1000;
    const communicated = result.communicationSeconds;
    recent.push(stepSeconds);
    trainingSeconds += stepSeconds;
    communicationSeconds += communicated;
    if (recent.length > 20) recent.shift();

    const { gradientNorm, learningRate: learning_rate, metrics } = result;
    const steps = index + 1;
    const problem = result.loss === null || gradientNorm === null ? null : guard(result.loss, gradientNorm, steps);
    if (problem !== null) {
      const checkpoint =
        lastSaved === null ? "no checkpoint was saved before it" : `the last good checkpoint is ${lastSaved}`;
      throw new QuernError(
        `training diverged at step ${steps}: ${problem}; ${checkpoint}; start again with a learning rate below ` +
          `${schedule.learningRate}`,
      );
    }
    loss = result.loss ?? loss;
    const tokensPerSecond = tokensPerStep / median(recent);
    const peakShare = peak ? (tokensPerSecond * peak.flopsPerToken) / peak.flops : null;
    const skipped = result.loss === null ? "the step has no counted targets" : null;
    await hooks.record({
      step: steps,
      ...(result.loss !== null && { loss: result.loss }),
      ...metrics,
      learning_rate,
      ...(gradientNorm !== null && { gradient_norm: gradientNorm }),
      tokens: steps * tokensPerStep,
      tokens_per_second: tokensPerSecond,
      ...(peakShare !== null && { peak_share: peakShare }),
      ...(ranks.size > 1 && {
        communication_share: communicated / stepSeconds,
        ...slowNode(ranks, result.rankSeconds),
      }),
      seconds: secondsNow(),
      ...(skipped !== null && { skipped }),
    });
    const notes = [
      result.loss === null ? `skipped: ${skipped}` : `loss ${result.loss.toFixed(3)}`,
      `${Math.round(tokensPerSecond)} tokens/s`,
    ];
    if (peakShare !== null) notes.push(`${(100 * peakShare).toFixed(0)} % of peak`);
    onProgress?.({ task: "train", done: steps, total: endOf(plan), unit: "step", note: notes.join(", ") });

    stopped = await isStopped();
    if (stopped) {
      await save(steps);
      await ranks.barrier(); // no rank may end before rank 0 has saved
      const path = lastSaved as string;
      const done = `interrupted at step ${steps} of ${endOf(plan)}; saved ${path}; continue with --resume`;
      throw new InterruptedError(done, path, { cause: signal?.reason });
    }
    const last = steps === endOf(plan);
    if (last && loss === null) {
      throw new QuernError("every target of this run is masked, so nothing was trained; check the masks of the data");
    }
    if (!last && plan.validate_every !== null && steps % plan.validate_every === 0) await validate(steps);
    if (!last && hooks.sample && quarterEnds(plan.steps).includes(steps)) await hooks.sample(steps);
    const end = await decided(watch?.(steps, endOf(plan)) ?? null);
    if (end !== null) {
      plan = { ...plan, cuts: [...plan.cuts, { from: steps, steps: end }] };
      await hooks.replan?.(plan);
    }
    const due =
      plan.save_every === null ? await decided(secondsNow() - savedAt >= SAVE_SECONDS) : steps % plan.save_every === 0;
    if (due || steps === endOf(plan)) await save(steps);
  }
  const tokens = (endOf(plan) - done.step) * tokensPerStep;
  const tokensPerSecond = loss === null ? null : tokens / trainingSeconds;
  const communicationShare = ranks.size > 1 && trainingSeconds > 0 ? communicationSeconds / trainingSeconds : null;
  return { plan, seconds: secondsNow(), loss, tokensPerSecond, communicationShare };
}

/** A rank that computes this much longer than the median makes its node slow. */
const SLOW = 1.5;

/** Names the node of the slowest rank, if it keeps the others waiting. */
function slowNode({ nodes }: Ranks, seconds: readonly number[]): Pick<MetricsLine, "slow_node"> {
  const most = Math.max(...seconds);
  const rank = seconds.indexOf(most);
  if (most <= SLOW * median(seconds.filter((_, k) => k !== rank))) return {};
  return { slow_node: `${nodes[rank]} (rank ${rank})` };
}

function quarterEnds(steps: number): number[] {
  return steps < 8 ? [] : [0.25, 0.5, 0.75].map((share) => Math.floor(share * steps));
}

/** Evaluates a step once even when it is both validated and saved. */
function oncePerStep(evaluate: TrainHooks["evaluate"]): (step: number) => Promise<Evaluated | null> {
  let known: { readonly step: number; readonly measured: Evaluated | null } | null = null;
  return async (step) => {
    if (known?.step !== step) known = { step, measured: (await evaluate?.(step)) ?? null };
    return known.measured;
  };
}

/** Consecutive steps with a far too high loss that count as divergence; a single bad batch does not. */
const EXPLODED_STEPS = 10;

/**
 * Returns a check of each step: a description of the problem, or null. The limit is 1.5 times the loss of a uniform guess
 * or of the first step, whichever is higher, plus 1 nat.
 */
function divergenceGuard(
  blindLoss = 0,
  learnsBy = Number.POSITIVE_INFINITY,
): (loss: number, gradientNorm: number, step: number) => string | null {
  let limit: number | null = null;
  let above = 0;
  return (loss, gradientNorm, step) => {
    if (!Number.isFinite(loss)) return `the loss is ${loss}`;
    if (!Number.isFinite(gradientNorm)) return `the gradient norm is ${gradientNorm}`;
    limit ??= 1.5 * Math.max(blindLoss, loss) + 1;
    above = loss > (step >= learnsBy ? blindLoss : limit) ? above + 1 : 0;
    if (above < EXPLODED_STEPS) return null;
    const guessing = blindLoss > 0 ? ` (a uniform guess has ${blindLoss.toFixed(2)})` : "";
    return `the loss ${loss > limit ? "exploded to" : "is still"} ${loss.toFixed(2)}${guessing}`;
  };
}
