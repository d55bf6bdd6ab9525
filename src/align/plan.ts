/** @file The plan of a post-training run: its steps, learning rate, memory and checkpoints, from options and task. */
import { createHash } from "node:crypto";
import { freeMemory } from "../backends/index.js";
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";
import { countParameters } from "../model/index.js";
import {
  ADAMW_DEFAULTS,
  measureThroughput,
  oneRank,
  type TrainingProgram,
  validationInterval,
} from "../train/index.js";
import type { AlignOptions } from "./options.js";
import type { Policy } from "./policy.js";
import type { AlignPlan, Task } from "./task.js";

export const DEFAULTS = { epochs: 3, batch: 8, accumulate: 1 };

export function checkBudgets(o: AlignOptions): void {
  const given = (["steps", "epochs", "minutes"] as const).filter((key) => o[key] !== undefined);
  if (given.length < 2) return;
  throw new QuernError(`${given.join(" and ")} are both training budgets; give only one`, { exitCode: 2 });
}

/** AdamW as post-training uses it: a longer memory of squares, and no decay unless requested. */
export const optimizerFor = ({ decay = 0, clip = 1 }: AlignOptions) => ({
  ...ADAMW_DEFAULTS,
  beta2: 0.999,
  decay,
  clip,
});

export function datasetHash(task: Task, { seed = 0, order = "shuffled" }: AlignOptions): string {
  const hash = createHash("sha256");
  // Piece by piece: as one text, a large dataset would be longer than a string may be.
  const add = (value: unknown): void => {
    if (!Array.isArray(value) || value.every((one) => typeof one !== "object")) {
      hash.update(`${JSON.stringify(value)},`);
      return;
    }
    hash.update("[");
    for (const one of value) add(one);
    hash.update("]");
  };
  add([task.identity, task.batch, order, seed]);
  return hash.digest("hex");
}

/** Checkpoints that stay: with evaluation data alone, the last one and the best. */
export const keepOf = ({ keep, evalData, saveEvery }: AlignOptions): number | undefined =>
  keep ?? (evalData !== undefined && saveEvery === undefined ? 1 : undefined);

export async function makePlan(
  algorithm: string,
  o: AlignOptions,
  task: Task,
  training: TrainingProgram,
  signal: AbortSignal | undefined,
): Promise<AlignPlan> {
  const accumulate = o.accumulate ?? DEFAULTS.accumulate;
  const { program, trainable } = training;
  const parameters = task.parameters ?? countParameters(task.model);
  const trainable_parameters = trainable.reduce((total, { variable }) => total + sizeOf(variable.shape), 0);
  const { steps, why, seconds } = await stepsFor(o, task, training, signal);
  const validate_every = o.evalEvery === "end" ? null : (o.evalEvery ?? validationInterval(steps));
  // Each evaluation saves a checkpoint, so that the best one is there in the end.
  const save_every = o.saveEvery ?? (o.evalData === undefined ? null : validate_every);
  const checkpoints = Math.min(save_every === null ? 1 : Math.ceil(steps / save_every), (keepOf(o) ?? steps) + 1);
  return {
    algorithm,
    model: task.model,
    parameters,
    trainable_parameters,
    dataset: datasetHash(task, o),
    examples: task.examples,
    batch: task.rows,
    sequence: task.sequence,
    accumulate,
    steps,
    cuts: [],
    schedule: {
      kind: o.schedule ?? "linear",
      learningRate: o.learningRate ?? task.learningRate,
      warmupSteps: o.warmup ?? 0,
      decaySteps: Math.ceil(steps / 5),
      finalShare: 0,
    },
    optimizer: optimizerFor(o),
    seed: o.seed ?? 0,
    threads: program.plan.threads,
    precision: program.plan.dtype,
    target: program.plan.target,
    validate_every,
    save_every,
    expected: {
      minutes: (seconds * steps) / 60,
      memory_bytes: training.bytes,
      disk_bytes: 4 * (checkpoints + 1) * trainable_parameters + 24 * trainable_parameters,
    },
    reasons: { steps: why, ...task.reasons },
    warnings: task.warnings,
  };
}

/** How many steps a run takes, why, and the seconds of one; without a time budget those are not measured. */
async function stepsFor(
  o: AlignOptions,
  task: Task,
  training: TrainingProgram,
  signal: AbortSignal | undefined,
): Promise<{ readonly steps: number; readonly why: string; readonly seconds: number }> {
  const perStep = task.batch * (o.accumulate ?? DEFAULTS.accumulate);
  if (o.steps !== undefined) return { steps: o.steps, why: "as given", seconds: 0 };
  if (o.minutes === undefined) {
    const { epochs = DEFAULTS.epochs } = o;
    const steps = Math.max(1, Math.ceil((epochs * task.examples) / perStep));
    return {
      steps,
      why: `${counted(epochs, "epoch")} of ${counted(task.examples, "example")}, ${perStep} per step`,
      seconds: 0,
    };
  }
  // Only this rank computes.
  const own = { ...training, ranks: oneRank };
  await task.writeWeights(own);
  await task.begin?.(own);
  const load = async (step: number) => (await task.load(step, training.accumulate, own)).batches;
  const { step } = await measureThroughput(training, { load }, Math.min(4, Math.max(0.2, o.minutes * 2)), signal);
  const steps = Math.max(1, Math.floor((o.minutes * 60 * 0.92) / step));
  return {
    steps,
    why: `${counted(o.minutes, "minute")} at ${step.toPrecision(3)} s per step, measured here`,
    seconds: step,
  };
}

/**
 * Refuses a training that cannot fit the memory that is free: weights, gradients and two moments of what learns in fp32.
 * The compiled plan is exact; this one is in time.
 */
export function refuseMemory({ config, trainable }: Policy): void {
  const learned = trainable.reduce((total, { variable }) => total + sizeOf(variable.shape), 0);
  const needed = 4 * countParameters(config) + 12 * learned;
  if (needed <= freeMemory()) return;
  const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  throw new QuernError(
    `the training needs at least ${gigabytes(needed)} of memory and ${gigabytes(freeMemory())} are free; use --lora, or a ` +
      "smaller model",
  );
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

/** The width of the models that the papers' learning rates are for. */
const WIDE = 2048;

/**
 * The default learning rate: a paper's for a model 2048 wide, in inverse proportion to the width (Yang et al.,
 * arXiv:2203.03466), and ten times that for adapters (Schulman et al., "LoRA without regret", 2025).
 */
export function learningRateFor(rate: number, { config, lora }: Policy): Pick<Task, "learningRate" | "reasons"> {
  const factor = lora === null ? 1 : 10;
  const adapters = lora === null ? "" : ", ten times that for adapters";
  return {
    learningRate: rate * factor * Math.max(1, WIDE / config.width),
    reasons: { learningRate: `${rate} for a model ${WIDE} wide, in inverse proportion to the width${adapters}` },
  };
}
