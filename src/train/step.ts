/** @file One training step, shared by all trainers: count the targets, add up the gradients of all batches, update. */
import type { Values } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { optimizerScalars } from "./optimizer/optimizer.js";
import { learningRateAt, type Schedule } from "./optimizer/schedule.js";
import { createReduction } from "./reduction.js";
import { scaleOf, type TrainingProgram } from "./trainer.js";
import { update } from "./update.js";

/** The values of a batch, by the names of the trainer's `batch`; other names are ignored. */
export type TrainingBatch = Values;

/** Source of batches. The batches of a step depend only on its number, so a resumed run continues with the same data. */
export interface BatchSource {
  /** Returns the batches of step `step`, counted from 0; with several ranks, this rank's share of them. */
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
  /** Seconds that each rank computed gradients, by rank. A slow one makes the others wait. */
  readonly rankSeconds: readonly number[];
  /** Seconds in which this rank computed nothing because it exchanged values with others, or waited for them. */
  readonly communicationSeconds: number;
}

/**
 * Takes one optimizer step over all batches. Each loss term is its sum over the step's counted tokens (or examples),
 * divided by their number. So a batch with more of them weighs more. If all counts are 0 the step is skipped:
 * parameters and optimizer state do not change, and the loss is null.
 *
 * With several ranks, each passes its own batches. Counts, gradients and statistics are summed over all of them, so that every
 * rank takes the same optimizer step, and returns the same result.
 * @throws QuernError for no batch, or more batches than the program was compiled for
 */
export async function step(
  training: TrainingProgram,
  batches: readonly TrainingBatch[],
  { step, steps, schedule }: StepTime,
): Promise<StepResult> {
  const { program, optimizer, terms, ranks } = training;
  if (batches.length === 0) throw new QuernError("a training step needs at least one batch");
  if (batches.length > 1 && training.accumulate === 1) {
    throw new QuernError(
      `the step has ${batches.length} batches, but the program was compiled for one; compile it with accumulate > 1`,
    );
  }
  const learningRate = learningRateAt(step, steps, schedule);
  const start = performance.now();
  const communicatedBefore = ranks.seconds;
  const own = await countsOf(training, batches);
  let seconds = secondsSince(start);
  const [most, ...counts] = countedBy(await ranks.gatherNumbers([batches.length, ...own]));
  const communicated = ranks.seconds - communicatedBefore;
  if (counts.every((count) => count === 0)) {
    return {
      ...{ loss: null, metrics: {}, counts: named(training, counts), learningRate, gradientNorm: null },
      ...{ rankSeconds: new Array<number>(ranks.size).fill(0), communicationSeconds: communicated },
    };
  }
  const scales = Object.fromEntries(
    terms.map(({ name, weight }, k) => [scaleOf(name), counts[k] === 0 ? 0 : weight / counts[k]]),
  );
  const gradientStart = performance.now();
  const reduction = createReduction(training);
  // Transient gradients are summed for each batch, others when the last batch has been added to them.
  const isTransient = training.sharded?.stage === 2;
  const gradientsOf = (i: number, values: Values) => {
    const sums = ranks.size > 1 && (isTransient || i === batches.length - 1);
    const entry = i === 0 || isTransient ? "firstGradient" : "nextGradient";
    return program.run(entry, values, sums ? (delivered) => reduction.receive(delivered, i) : undefined);
  };
  const ownSums = await addUp(training, batches, (batch, i) =>
    // With a single batch, `countsOf` has already written its inputs.
    gradientsOf(i, batches.length === 1 ? scales : { ...inputsOf(training, batch), ...scales }),
  );
  if (isTransient) {
    // Ranks with fewer batches than others take part in their sums with gradients of 0.
    const nothing = Object.fromEntries(Object.keys(scales).map((name) => [name, 0]));
    for (let i = batches.length; i < most; i++) await gradientsOf(i, nothing);
  }
  seconds += secondsSince(gradientStart) - reduction.waitedSeconds;
  const communicatedLater = ranks.seconds;
  const gradientNorm = await update(training, optimizerScalars(step + 1, learningRate, optimizer));
  const all = await ranks.gatherNumbers([seconds, ...ownSums]);
  const communicationSeconds = communicated + reduction.waitedSeconds + (ranks.seconds - communicatedLater);
  const sums = combined(
    training,
    all.map((values) => values.subarray(1)),
  );
  const rankSeconds = all.map((values) => values[0]);
  return { ...measuresOf(training, counts, sums), learningRate, gradientNorm, rankSeconds, communicationSeconds };
}

const secondsSince = (start: number) => (performance.now() - start) / 1000;

/** The most batches that a rank has, and the counts of all ranks together. */
const countedBy = (all: readonly Float64Array[]): number[] => [
  Math.max(...all.map(([batches]) => batches)),
  ...sumOf(all.map((values) => values.subarray(1))),
];

/** Adds vectors of equal length, in their order. */
const sumOf = ([first, ...others]: readonly Float64Array[]): number[] =>
  others.reduce<number[]>((sum, values) => sum.map((value, i) => value + values[i]), Array.from(first));

/** Combines the statistics of all ranks: sums are added, of maxima the largest is kept. */
function combined(training: TrainingProgram, all: readonly Float64Array[]): number[] {
  return sumOf(all).map((sum, k) => (k < additiveOf(training) ? sum : Math.max(...all.map((values) => values[k]))));
}

/** Number of statistics that are sums; the others are maxima. */
const additiveOf = ({ terms, metrics }: TrainingProgram) => terms.length + 2 * metrics.length;

/** Returns losses and metrics over all batches, computed by the `evaluate` entry; updates nothing, and asks no other rank. */
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
  training: TrainingProgram,
  batches: readonly TrainingBatch[],
  run: (batch: TrainingBatch, index: number) => Promise<void>,
): Promise<number[]> {
  const { program } = training;
  const additive = additiveOf(training);
  const sums = [
    ...new Array<number>(additive).fill(0),
    ...new Array<number>(training.maxima.length).fill(Number.NEGATIVE_INFINITY),
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
