/**
 * @file A trainer is one training algorithm: the graph from a batch to its losses and metrics, and the parameters that
 * learn. It becomes a program of four kinds of entries; `step` (step.ts) runs them, whatever the algorithm.
 */
import { type CompileOptions, compile, type Program } from "../backends/index.js";
import { type ModelConfig, type ModelVariables, type Parameter, parametersOf } from "../model/index.js";
import {
  add,
  cast,
  concatenate,
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
import { type OptimizerOptions, optimizerState, optimizerUpdate } from "./optimizer/optimizer.js";

/**
 * A mean over all that is counted in a step. A batch gives its part of the sum and of the count, both of shape [], so that
 * every counted token, example or group weighs the same, in whichever batch it lies.
 */
export interface Mean {
  readonly sum: Tensor;
  readonly count: Tensor;
}

/** The mean of values, each as often as its weight says (0 or 1 for a mask); all once without weights. */
export function meanOver(values: Tensor, weights?: Tensor): Mean {
  if (weights === undefined) return { sum: sum(values), count: literal(sizeOf(values.shape)) };
  if (!sameShape(values.shape, weights.shape)) {
    throw new ShapeError(`meanOver: values of shape (${values.shape}) with weights of shape (${weights.shape})`);
  }
  return { sum: sum(mul(values, weights)), count: sum(weights) };
}

/** targets i32 → 1 where a target is counted, 0 where it is −100; the same shape. */
export function countedTargets(targets: Tensor): Tensor {
  return sub(1, equal(cast(targets, "f32"), -100));
}

export interface LossTerm extends Mean {
  /** The term's factor in the loss; default 1. */
  readonly weight?: number;
}

/** What a trainer makes of a batch. */
export interface Objective {
  /** Loss = Σ weight · sum / count over the terms. A count depends on the batch alone: it is needed before the gradients. */
  readonly losses: Readonly<Record<string, LossTerm>>;
  /** Each is averaged by its own count. */
  readonly metrics?: Readonly<Record<string, Mean>>;
  /** Further entries on the same variables. `evaluate` takes the place of the one that gives losses and metrics. */
  readonly entries?: Entries;
}

/** A variable that the optimizer changes: a parameter of the model, or one added to it (a value head, a LoRA pair). */
export interface TrainableParameter {
  /** The variable's own; the gradient's and the optimizer's state are named after it. */
  readonly name: string;
  readonly variable: Tensor;
  /** Muon takes the projections. */
  readonly kind: Parameter["kind"];
  /** Whether model folders hold the matrix as (in, out). */
  readonly storedTransposed?: boolean;
}

export interface Trainer {
  /** Shapes and types of a batch, by name. */
  readonly batch: Readonly<Record<string, TensorType>>;
  /** A pure graph from a batch. Variables that it reads and that are not `trainable` are frozen: no gradient, no state. */
  readonly objective: (batch: Readonly<Record<string, Tensor>>) => Objective;
  readonly trainable: readonly TrainableParameter[];
}

/** The parameters of a model that learn: all, or those that `learns` chooses. */
export function trainableParameters(
  config: ModelConfig,
  weights: ModelVariables,
  learns: (parameter: Parameter) => boolean = () => true,
): TrainableParameter[] {
  return parametersOf(config)
    .filter(learns)
    .map(({ name, kind, storedTransposed }) => trainable(weights.get(name) as Tensor, { kind, storedTransposed }));
}

/** A variable that learns. */
export function trainable(
  variable: Tensor,
  layout: Pick<TrainableParameter, "kind" | "storedTransposed">,
): TrainableParameter {
  if (!isOp(variable.node, "variable")) throw new ShapeError(`only variables are trained, not ${variable.node.op}`);
  return { name: variable.node.attributes.name, variable, ...layout };
}

export interface TrainingEntries extends Readonly<Record<string, Entry>> {
  /** batch → counts (K), of each loss term. */
  readonly counts: Entry;
  /** batch, `scale.TERM` [] → statistics; sets the gradients of Σ scale · sum. */
  readonly firstGradient: Entry;
  /** Clips and takes one step of the optimizer (`optimizerScalars`) → gradient_norm. */
  readonly update: Entry;
  /** batch → statistics, without gradients, unless the objective has its own. */
  readonly evaluate: Entry;
}

/** What the entries of a trainer give, in the order in which they give it. */
export interface TracedTrainer {
  /** The names of a batch that the graph reads. */
  readonly inputs: readonly string[];
  readonly entries: TrainingEntries;
  /** One count each in `counts`. */
  readonly terms: readonly { readonly name: string; readonly weight: number }[];
  /** `statistics` is the sum of each term, then sum and count of each metric. */
  readonly metrics: readonly string[];
}

export interface TrainingOptions {
  readonly optimizer: OptimizerOptions;
  /** Batches of a step; with more than one there is `nextGradient`: as `firstGradient`, but it adds to the gradients. */
  readonly accumulate: number;
}

/** Traces the entries of a trainer. */
export function traceTrainer(trainer: Trainer, { optimizer, accumulate }: TrainingOptions): TracedTrainer {
  const inputs = Object.entries(trainer.batch).map(([name, { shape, dtype }]) => [name, input(name, shape, dtype)]);
  const { losses, metrics = {}, entries } = trainer.objective(Object.fromEntries(inputs));
  const terms = Object.entries(losses);
  if (terms.length === 0) throw new ShapeError("an objective needs at least one loss term");
  const counts = vector(terms.map(([, { count }]) => count));
  if (nodesOf({ outputs: { counts } }).some((node) => isOp(node, "variable"))) {
    throw new ShapeError("a loss term's count depends on a variable: it must follow from the batch alone");
  }
  const loss = terms.map(([name, term]) => mul(term.sum, scalar(scaleOf(name)))).reduce((a, b) => add(a, b));
  const statistics = vector([
    ...terms.map(([, term]) => term.sum),
    ...Object.values(metrics).flatMap((mean) => [mean.sum, mean.count]),
  ]);
  const values = gradients(
    loss,
    trainer.trainable.map((parameter) => parameter.variable),
  );
  const parts = trainer.trainable.map((parameter, i) => ({
    ...parameter,
    gradient: variable(`gradient.${parameter.name}`, parameter.variable.shape),
    value: values[i],
  }));
  const { assign, gradientNorm } = optimizerUpdate(parts, optimizer);
  const set = parts.map((part) => [part.gradient, part.value] as const);
  const more = parts.map((part) => [part.gradient, add(part.gradient, part.value)] as const);
  const all: TrainingEntries = {
    counts: { outputs: { counts } },
    firstGradient: { outputs: { statistics }, assign: set },
    ...(accumulate > 1 && { nextGradient: { outputs: { statistics }, assign: more } }),
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
  };
}

/** The input by which a term's sum is multiplied: weight over the step's count. */
export const scaleOf = (term: string) => `scale.${term}`;

/** Scalars as one tensor (K): one read a batch. */
function vector(scalars: readonly Tensor[]): Tensor {
  return concatenate(
    scalars.map((each) => reshape(each, [1])),
    0,
  );
}

/** A compiled trainer: what `step` runs. */
export interface TrainingProgram extends Omit<TracedTrainer, "entries"> {
  readonly program: Program;
  readonly optimizer: OptimizerOptions;
  readonly accumulate: number;
  readonly trainable: readonly TrainableParameter[];
}

/** Puts the optimizer where it begins: its state is 0. */
export function resetOptimizer({ program, trainable, optimizer }: TrainingProgram): void {
  for (const { name } of optimizerState(trainable, optimizer)) program.write(name, (values) => void values.fill(0));
}

/**
 * Compiles a trainer. Its variables hold zeros: write the parameters, frozen ones too, before the first step.
 * @throws ShapeError for an objective that is no program
 * @throws QuernError where this machine cannot build or hold it
 */
export async function compileTrainer(
  trainer: Trainer,
  { optimizer, accumulate, ...compileOptions }: TrainingOptions & CompileOptions,
): Promise<TrainingProgram> {
  const { entries, ...traced } = traceTrainer(trainer, { optimizer, accumulate });
  const program = await compile(entries, compileOptions);
  return { program, ...traced, optimizer, accumulate, trainable: trainer.trainable };
}
