/** @file One training step, shared by all trainers: count the targets, add up the gradients of all batches, update. */
import type { Values } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { optimizerScalars } from "./optimizer/optimizer.js";
import { learningRateAt, type Schedule } from "./optimizer/schedule.js";
import { scaleOf, type TrainingProgram } from "./trainer.js";

/** The values of a batch, by the names of the trainer's `batch`; other names are ignored. */
export type TrainingBatch = Values;

/** Source of batches. The batches of a step depend only on its number, so a resumed run continues with the same data. */
export interface BatchSource {
  /** Returns the batches of step `step`, counted from 0. */
  load(step: number): Promise<readonly TrainingBatch[]>;
  /** Whether batches may load before the previous step ends; false if the current model generates them. Default true. */
  readonly ahead?: boolean;
}

/** Position of a step in its schedule. */
export interface StepTime {
  /** From 0. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  readonly schedule: Schedule;
}

/** Losses and metrics over one or more batches, each divided by its own count. */
export interface Measures {
  /** Σ weight · sum / count over the terms; null if nothing is counted. */
  readonly loss: number | null;
  /** Metrics and maxima by name, and each loss term if there are several. Those with a count of 0 are absent. */
  readonly metrics: Readonly<Record<string, number>>;
  /** Count of each loss term: its tokens or examples. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface StepResult extends Measures {
  readonly learningRate: number;
  /** Global gradient norm before clipping; null for a skipped step. */
  readonly gradientNorm: number | null;
}

/**
 * Takes one optimizer step over all batches. Each loss term is its sum over the step's counted tokens (or examples),
 * divided by their number. So a batch with more of them weighs more. If all counts are 0 the step is skipped:
 * parameters and optimizer state do not change, and the loss is null.
 * @throws QuernError for no batch, or more batches than the program was compiled for
 */
export async function step(
  training: TrainingProgram,
  batches: readonly TrainingBatch[],
  { step, steps, schedule }: StepTime,
): Promise<StepResult> {
  const { program, optimizer, terms } = training;
  if (batches.length === 0) throw new QuernError("a training step needs at least one batch");
  if (batches.length > 1 && training.accumulate === 1) {
    throw new QuernError(
      `the step has ${batches.length} batches, but the program was compiled for one; compile it with accumulate > 1`,
    );
  }
  const learningRate = learningRateAt(step, steps, schedule);
  const counts = await countsOf(training, batches);
  if (counts.every((count) => count === 0)) {
    return { loss: null, metrics: {}, counts: named(training, counts), learningRate, gradientNorm: null };
  }
  const scales = Object.fromEntries(
    terms.map(({ name, weight }, k) => [scaleOf(name), counts[k] === 0 ? 0 : weight / counts[k]]),
  );
  const sums = await addUp(training, batches, async (batch, i) => {
    // With a single batch, `countsOf` has already written its inputs.
    const values = batches.length === 1 ? scales : { ...inputsOf(training, batch), ...scales };
    await program.run(i === 0 ? "firstGradient" : "nextGradient", values);
  });
  await program.run("update", optimizerScalars(step + 1, learningRate, optimizer));
  const [gradientNorm] = await program.read("gradient_norm");
  return { ...measuresOf(training, counts, sums), learningRate, gradientNorm };
}

/** Returns losses and metrics over all batches, computed by the `evaluate` entry; updates nothing. */
export async function evaluateBatches(training: TrainingProgram, batches: readonly TrainingBatch[]): Promise<Measures> {
  const counts = await countsOf(training, batches);
  const sums = await addUp(training, batches, (batch) => training.program.run("evaluate", inputsOf(training, batch)));
  return measuresOf(training, counts, sums);
}

/** Returns the count of each loss term over all batches. */
async function countsOf(training: TrainingProgram, batches: readonly TrainingBatch[]): Promise<number[]> {
  const { program, terms } = training;
  const counts = terms.map(() => 0);
  for (const batch of batches) {
    await program.run("counts", inputsOf(training, batch));
    (await program.read("counts")).forEach((count, k) => {
      counts[k] += count;
    });
  }
  return counts;
}

/** @throws QuernError for a batch that lacks an input: the program would silently reuse the previous batch's value */
export function inputsOf({ inputs }: TrainingProgram, batch: TrainingBatch): Values {
  const missing = inputs.find((name) => batch[name] === undefined);
  if (missing !== undefined)
    throw new QuernError(`the batch has no "${missing}"; it has ${Object.keys(batch).join(", ")}`);
  return Object.fromEntries(inputs.map((name) => [name, batch[name]]));
}

/** Runs each batch and adds up its statistics in float64; of maxima it keeps the largest. */
async function addUp(
  { program, terms, metrics, maxima }: TrainingProgram,
  batches: readonly TrainingBatch[],
  run: (batch: TrainingBatch, index: number) => Promise<void>,
): Promise<number[]> {
  const additive = terms.length + 2 * metrics.length;
  const sums = [
    ...new Array<number>(additive).fill(0),
    ...new Array<number>(maxima.length).fill(Number.NEGATIVE_INFINITY),
  ];
  for (const [i, batch] of batches.entries()) {
    await run(batch, i);
    (await program.read("statistics")).forEach((value, k) => {
      sums[k] = k < additive ? sums[k] + value : Math.max(sums[k], value);
    });
  }
  return sums;
}

function measuresOf(training: TrainingProgram, counts: readonly number[], sums: readonly number[]): Measures {
  const { terms, metrics, maxima } = training;
  const means = terms.map(({ name, weight }, k) => ({
    name,
    weight,
    mean: counts[k] === 0 ? null : sums[k] / counts[k],
  }));
  const measured = means.filter((term): term is typeof term & { mean: number } => term.mean !== null);
  const found = metrics.flatMap((name, m): [string, number][] => {
    const [sum, count] = sums.slice(terms.length + 2 * m);
    return count === 0 ? [] : [[name, sum / count]];
  });
  return {
    loss: measured.length === 0 ? null : measured.reduce((total, { weight, mean }) => total + weight * mean, 0),
    metrics: Object.fromEntries([
      ...(terms.length > 1 ? measured.map(({ name, mean }): [string, number] => [name, mean]) : []),
      ...found,
      ...maxima.map((name, m): [string, number] => [name, sums[terms.length + 2 * metrics.length + m]]),
    ]),
    counts: named(training, counts),
  };
}

const named = ({ terms }: TrainingProgram, values: readonly number[]) =>
  Object.fromEntries(terms.map(({ name }, k) => [name, values[k]]));
