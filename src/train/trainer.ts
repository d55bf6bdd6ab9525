/**
 * @file A trainer is one training algorithm: the graph from a batch to its losses and metrics, and the trainable
 * parameters. It compiles to a program with four kinds of entries, which `step` (step.ts) runs for every algorithm.
 */
import { type CompileOptions, compile, type Program } from "../backends/index.js";
import { type ModelConfig, type ModelVariables, type Parameter, parametersOf } from "../model/index.js";
import {
  add,
  broadcast,
  bytesOf,
  cast,
  concatenate,
  type Delivery,
  type Entries,
  type Entry,
  equal,
  gradients,
  input,
  isOp,
  literal,
  mul,
  nodesOf,
  reshape,
  ShapeError,
  sameShape,
  scalar,
  sizeOf,
  sub,
  sum,
  type Tensor,
  type TensorType,
  variable,
} from "../tensor/index.js";
import { oneRank, type Ranks } from "./distributed/ranks.js";
import { gradientName, type OptimizerOptions, optimizerState, optimizerUpdate } from "./optimizer/optimizer.js";
import { compileSharded, type ShardedOptimizer, type ShardingStage, type StoredVariable } from "./optimizer/sharded.js";

/**
 * A mean over everything counted in a step. Each batch contributes a sum and a count, both of shape []. Every counted
 * token, example or group therefore has the same weight, whichever batch contains it.
 */
export interface Mean {
  readonly sum: Tensor;
  readonly count: Tensor;
}

/** Returns the weighted mean of `values`; a mask has weights of 0 and 1. Without weights, every value counts once. */
export function meanOver(values: Tensor, weights?: Tensor): Mean {
  if (weights === undefined) return { sum: sum(values), count: literal(sizeOf(values.shape)) };
  if (!sameShape(values.shape, weights.shape)) {
    throw new ShapeError(`meanOver: values of shape (${values.shape}) with weights of shape (${weights.shape})`);
  }
  return { sum: sum(mul(values, weights)), count: sum(weights) };
}

/** Maps targets i32 to 1 where a target is counted and 0 where it is −100; same shape. */
export function countedTargets(targets: Tensor): Tensor {
  return sub(1, equal(cast(targets, "f32"), -100));
}

export interface LossTerm extends Mean {
  /** Factor of the term in the loss; default 1. */
  readonly weight?: number;
}

/** Losses and metrics that a trainer computes from a batch. */
export interface Objective {
  /** Loss = Σ weight · sum / count over the terms. A count must depend on the batch alone: the gradients need it first. */
  readonly losses: Readonly<Record<string, LossTerm>>;
  /** Each metric is divided by its own count. */
  readonly metrics?: Readonly<Record<string, Mean>>;
  /** Metrics of shape [] of which a step keeps the largest over its batches. */
  readonly maxima?: Readonly<Record<string, Tensor>>;
  /** Further entries on the same variables. An entry named `evaluate` replaces the default one. */
  readonly entries?: Entries;
}

/** A variable that the optimizer updates: a model parameter, or an added one (value head, LoRA pair). */
export interface TrainableParameter {
  /** Name of the variable; its gradient and optimizer state are named after it. */
  readonly name: string;
  readonly variable: Tensor;
  /** Muon updates the projections. */
  readonly kind: Parameter["kind"];
  /** Whether model folders store the matrix as (in, out). */
  readonly storedTransposed?: boolean;
}

export interface Trainer {
  /** Shapes and types of a batch, by name. */
  readonly batch: Readonly<Record<string, TensorType>>;
  /** Builds the graph from a batch. Variables that are not in `trainable` are frozen: no gradient, no optimizer state. */
  readonly objective: (batch: Readonly<Record<string, Tensor>>) => Objective;
  /**
   * A second objective on the same batch, such as a value model's, whose names differ. Its graph is built after the gradients of
   * the first one: what both keep for their gradients need not fit the memory at once.
   */
  readonly second?: Trainer["objective"];
  readonly trainable: readonly TrainableParameter[];
}

/** Returns the trainable parameters of a model: all, or those that `select` accepts. */
export function trainableParameters(
  config: ModelConfig,
  weights: ModelVariables,
  select: (parameter: Parameter) => boolean = () => true,
): TrainableParameter[] {
  return parametersOf(config)
    .filter(select)
    .map(({ name, kind, storedTransposed }) => trainable(weights.get(name) as Tensor, { kind, storedTransposed }));
}

/** Makes a variable trainable. @throws ShapeError for any other node */
export function trainable(
  variable: Tensor,
  layout: Pick<TrainableParameter, "kind" | "storedTransposed">,
): TrainableParameter {
  if (!isOp(variable.node, "variable"))
    throw new ShapeError(`cannot train a ${variable.node.op}: it is not a variable`);
  return { name: variable.node.attributes.name, variable, ...layout };
}

export interface TrainingEntries extends Readonly<Record<string, Entry>> {
  /** batch → counts (K), one per loss term. */
  readonly counts: Entry;
  /** batch, `scale.TERM` [] → statistics; sets the gradients to those of Σ scale · sum. */
  readonly firstGradient: Entry;
  /** `optimizerScalars` → gradient_norm; clips and takes one optimizer step. */
  readonly update: Entry;
  /** batch → statistics, without gradients; the objective may replace it. */
  readonly evaluate: Entry;
}

/** The entries of a trainer, and the order of their inputs and outputs. */
export interface TracedTrainer {
  /** Names in a batch that the graph reads. */
  readonly inputs: readonly string[];
  readonly entries: TrainingEntries;
  /** Loss terms, in the order of `counts`. */
  readonly terms: readonly { readonly name: string; readonly weight: number }[];
  /** Metric names. `statistics` contains the sum of each loss term, sum and count of each metric, then the maxima. */
  readonly metrics: readonly string[];
  readonly maxima: readonly string[];
}

export interface TrainingOptions {
  readonly optimizer: OptimizerOptions;
  /** Batches per step. With more than one, the entry `nextGradient` adds the gradients of the later batches. */
  readonly accumulate: number;
  /**
   * Delivers gradients in portions while the rest is computed, for several ranks; default false. Transient ones exist only then:
   * each batch has its own, `nextGradient` is absent, and `update` belongs to another program.
   */
  readonly delivers?: "gradients" | "transient gradients" | false;
  /** Least bytes of a portion; default 4 MiB. There are at most 32 portions: each costs a wake-up of all threads. */
  readonly portionBytes?: number;
}

/** Traces the entries of a trainer. */
export function traceTrainer(
  trainer: Trainer,
  { optimizer, accumulate, delivers = false, portionBytes = PORTION_BYTES }: TrainingOptions,
): TracedTrainer {
  const inputs = Object.entries(trainer.batch).map(([name, { shape, dtype }]) => [name, input(name, shape, dtype)]);
  const found = [trainer.objective, ...(trainer.second ? [trainer.second] : [])].map((build) => {
    const objective = build(Object.fromEntries(inputs));
    return { ...objective, gradientOf: gradientsOf(objective, trainer.trainable) };
  });
  const [losses, metrics, maxima, entries] = (["losses", "metrics", "maxima", "entries"] as const).map((key) =>
    Object.assign({}, ...found.map((part) => part[key])),
  ) as [Objective["losses"], Required<Objective>["metrics"], Required<Objective>["maxima"], Entries];
  const terms = Object.entries(losses);
  if (terms.length === 0) throw new ShapeError("an objective needs at least one loss term");
  const counts = vector(terms.map(([, { count }]) => count));
  if (nodesOf({ outputs: { counts } }).some((node) => isOp(node, "variable"))) {
    throw new ShapeError("a loss term's count depends on a variable; it must depend on the batch alone");
  }
  const statistics = vector([
    ...terms.map(([, term]) => term.sum),
    ...Object.values(metrics).flatMap((mean) => [mean.sum, mean.count]),
    ...Object.values(maxima),
  ]);
  const parts = trainer.trainable.map((parameter) => {
    const { name, variable: own } = parameter;
    const values = found.flatMap(({ gradientOf }) => gradientOf.get(name) ?? []);
    return {
      ...parameter,
      gradient: variable(gradientName(name), own.shape),
      value: values.length === 0 ? broadcast(literal(0), own.shape) : values.reduce((a, b) => add(a, b)),
    };
  });
  const { assign, gradientNorm } = optimizerUpdate(parts, optimizer);
  const set = parts.map((part) => [part.gradient, part.value] as const);
  const more = parts.map((part) => [part.gradient, add(part.gradient, part.value)] as const);
  const transient = delivers === "transient gradients";
  const delivery = delivers && { delivers: deliveryOf(trainer.trainable, transient, portionBytes) };
  const all: TrainingEntries = {
    counts: { outputs: { counts } },
    firstGradient: { outputs: { statistics }, assign: set, ...delivery },
    ...(accumulate > 1 && !transient && { nextGradient: { outputs: { statistics }, assign: more, ...delivery } }),
    update: { outputs: { gradient_norm: gradientNorm }, assign },
    evaluate: { outputs: { statistics } },
    ...entries,
  };
  const read = new Set(
    nodesOf(...Object.values(all)).map((node) => (isOp(node, "input") ? node.attributes.name : null)),
  );
  return {
    inputs: Object.keys(trainer.batch).filter((name) => read.has(name)),
    entries: all,
    terms: terms.map(([name, { weight = 1 }]) => ({ name, weight })),
    metrics: Object.keys(metrics),
    maxima: Object.keys(maxima),
  };
}

const PORTION_BYTES = 4 << 20;
const MAX_PORTIONS = 32;

function deliveryOf(parameters: readonly TrainableParameter[], transient: boolean, portionBytes: number): Delivery {
  const bytes = parameters.reduce((sum, { variable: own }) => sum + bytesOf(own), 0);
  const portions = Math.min(MAX_PORTIONS, Math.max(1, Math.floor(bytes / portionBytes)));
  return { variables: parameters.map(({ name }) => gradientName(name)), portions, transient };
}

/** Gradients of Σ scale · sum with respect to the variables that it depends on, by name. */
function gradientsOf({ losses }: Objective, parameters: readonly TrainableParameter[]): ReadonlyMap<string, Tensor> {
  const terms = Object.entries(losses).map(([name, term]) => mul(term.sum, scalar(scaleOf(name))));
  if (terms.length === 0) return new Map();
  const loss = terms.reduce((a, b) => add(a, b));
  const read = new Set(nodesOf({ outputs: { loss } }));
  const reached = parameters.filter(({ variable: own }) => read.has(own.node));
  const values = gradients(
    loss,
    reached.map((parameter) => parameter.variable),
  );
  return new Map(reached.map(({ name }, i) => [name, values[i]]));
}

/** Name of the input that multiplies a term's sum: its weight divided by the step's count. */
export const scaleOf = (term: string) => `scale.${term}`;

/** Concatenates K scalars to one tensor (K), so that a batch needs a single read. */
function vector(scalars: readonly Tensor[]): Tensor {
  return concatenate(
    scalars.map((each) => reshape(each, [1])),
    0,
  );
}

/** A compiled trainer, run by `step`. */
export interface TrainingProgram extends Omit<TracedTrainer, "entries"> {
  readonly program: Program;
  readonly optimizer: OptimizerOptions;
  readonly accumulate: number;
  readonly trainable: readonly TrainableParameter[];
  /** The ranks that divide the batches of each step; each has the same program. */
  readonly ranks: Ranks;
  /** This rank's part of the optimizer; null where each rank has all of it. */
  readonly sharded: ShardedOptimizer | null;
  /** Bytes of the program's memory on this rank, with the optimizer's. */
  readonly bytes: number;
  dispose(): void;
}

/** Resets the optimizer state to 0. */
export function resetOptimizer({ program, trainable, optimizer, sharded }: TrainingProgram): void {
  if (sharded !== null) sharded.reset();
  else
    for (const { name } of optimizerState(trainable, optimizer)) program.write(name, (values) => void values.fill(0));
}

/** The optimizer's state as checkpoints store it. */
export function storedState({
  program,
  trainable,
  optimizer,
  sharded,
  ranks,
}: TrainingProgram): readonly StoredVariable[] {
  return optimizerState(trainable, optimizer).map((variable) => ({
    ...variable,
    read: () => (sharded === null ? program.read(variable.name) : sharded.read(ranks, variable.name)),
    write: (values) => (sharded === null ? program.write(variable.name, values) : sharded.write(variable.name, values)),
  }));
}

/** Lets rank 0 read the optimizer's state when it saves a checkpoint: a rank other than 0 calls this at the same time. */
export async function contributeState(training: TrainingProgram): Promise<void> {
  if (training.sharded === null) return;
  for (const { read } of storedState(training)) await read();
}

/** How ranks divide what a step needs: 0, not at all; 1, the optimizer's state; 2, the gradients too (ZeRO's stages). */
export type ZeroStage = 0 | ShardingStage;

/**
 * Compiles a trainer. All variables start at 0: write the parameters, including frozen ones, before the first step.
 * `accumulate` counts the batches of all ranks. A single rank divides nothing, whatever `zero` says.
 * @throws ShapeError for an invalid objective
 * @throws QuernError if this machine cannot build the program or has too little memory for it
 */
export async function compileTrainer(
  trainer: Trainer,
  {
    optimizer,
    accumulate: batches,
    ranks = oneRank,
    zero = 0,
    portionBytes,
    ...compileOptions
  }: TrainingOptions & CompileOptions & { readonly ranks?: Ranks; readonly zero?: ZeroStage },
): Promise<TrainingProgram> {
  const accumulate = Math.ceil(batches / ranks.size);
  const stage = ranks.size === 1 ? 0 : zero;
  const delivers = ranks.size > 1 && (stage === 2 ? "transient gradients" : "gradients");
  const { entries: all, ...traced } = traceTrainer(trainer, { optimizer, accumulate, delivers, portionBytes });
  const { trainable } = trainer;
  const { update, ...others } = all;
  const program = await compile(stage === 0 ? all : others, compileOptions);
  let sharded: ShardedOptimizer | null = null;
  try {
    if (stage !== 0) sharded = await compileSharded(program, trainable, { stage, optimizer, ranks, compileOptions });
  } catch (error) {
    program.dispose();
    throw error;
  }
  return {
    ...{ program, ...traced, optimizer, accumulate, trainable, ranks, sharded },
    bytes: program.plan.arenaBytes + (sharded?.bytes ?? 0),
    dispose() {
      sharded?.dispose();
      program.dispose();
    },
  };
}
