/** @file One training step, the same for every trainer: counts, gradients of each batch, one update. */
import type { Values } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { optimizerScalars } from "./optimizer/optimizer.js";
import { learningRateAt, type Schedule } from "./optimizer/schedule.js";
import { scaleOf, type TrainingProgram } from "./trainer.js";

/** The values of a batch: one for each name of the trainer's `batch`; others are left alone. */
export type TrainingBatch = Values;

/** Source of batches. The batches of a step depend only on its number, so that a resumed run continues exactly. */
export interface BatchSource {
  /** The batches of step `step`, from 0. */
  load(step: number): Promise<readonly TrainingBatch[]>;
  /** False where batches are made by the model as the step before left it: they are not loaded ahead. Default true. */
  readonly ahead?: boolean;
}

/** Where in its schedule a step stands. */
export interface StepTime {
  /** From 0. */
  readonly step: number;
  /** Steps of the whole run. */
  readonly steps: number;
  readonly schedule: Schedule;
}

/** Losses and metrics of one or more batches together, each divided by its own count. */
export interface Measures {
  /** Σ weight · sum / count over the terms; null where nothing is counted. */
  readonly loss: number | null;
  /** By name: the metrics, and each term where the loss has several. Those with nothing to count are absent. */
  readonly metrics: Readonly<Record<string, number>>;
  /** What each term of the loss counted: tokens, examples. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface StepResult extends Measures {
  readonly learningRate: number;
  /** Norm of all gradients together before clipping; null for a step that was skipped. */
  readonly gradientNorm: number | null;
}

/**
 * Takes one optimizer step over all batches together. Each term of the loss is its sum over the counted tokens (or
 * examples) of the step, divided by their number: batches with more of them weigh more. A step in which no term counts
 * anything is skipped: parameters and optimizer stay as they are, and the loss is null.
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
    throw new QuernError(`${batches.length} batches in a step of a program for one; compile it with accumulate`);
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
    // The inputs of the only batch are where counting left them.
    const values = batches.length === 1 ? scales : { ...inputsOf(training, batch), ...scales };
    await program.run(i === 0 ? "firstGradient" : "nextGradient", values);
  });
  await program.run("update", optimizerScalars(step + 1, learningRate, optimizer));
  const [gradientNorm] = await program.read("gradient_norm");
  return { ...measuresOf(training, counts, sums), learningRate, gradientNorm };
}

/** Losses and metrics of all batches together, by the `evaluate` entry; updates nothing. */
export async function evaluateBatches(training: TrainingProgram, batches: readonly TrainingBatch[]): Promise<Measures> {
  const counts = await countsOf(training, batches);
  const sums = await addUp(training, batches, (batch) => training.program.run("evaluate", inputsOf(training, batch)));
  return measuresOf(training, counts, sums);
}

/** What each term counts in all batches. */
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

/** @throws QuernError for a batch without one of the inputs: the value of the batch before would stand in for it */
function inputsOf({ inputs }: TrainingProgram, batch: TrainingBatch): Values {
  const missing = inputs.find((name) => batch[name] === undefined);
  if (missing !== undefined)
    throw new QuernError(`the batch has no "${missing}"; it has ${Object.keys(batch).join(", ")}`);
  return Object.fromEntries(inputs.map((name) => [name, batch[name]]));
}

/** Runs each batch and adds up its statistics, in double precision. */
async function addUp(
  { program, terms, metrics }: TrainingProgram,
  batches: readonly TrainingBatch[],
  run: (batch: TrainingBatch, index: number) => Promise<void>,
): Promise<number[]> {
  const sums = new Array<number>(terms.length + 2 * metrics.length).fill(0);
  for (const [i, batch] of batches.entries()) {
    await run(batch, i);
    (await program.read("statistics")).forEach((value, k) => {
      sums[k] += value;
    });
  }
  return sums;
}

function measuresOf(training: TrainingProgram, counts: readonly number[], sums: readonly number[]): Measures {
  const { terms, metrics } = training;
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
    ]),
    counts: named(training, counts),
  };
}

const named = ({ terms }: TrainingProgram, values: readonly number[]) =>
  Object.fromEntries(terms.map(({ name }, k) => [name, values[k]]));
