/**
 * @file The programs of a training run: gradients of a batch, the optimizer's update, and losses without gradients.
 * They share the model's variables; gradients wait between the first two in variables of their own.
 */
import { type ModelConfig, type ModelVariables, modelVariables, parametersOf, tokenLosses } from "../model/index.js";
import { add, type Entry, gradients, input, mean, mul, type Tensor, variable } from "../tensor/index.js";
import { type OptimizerOptions, optimizerUpdate } from "./optimizer/optimizer.js";

export interface TrainingShape {
  /** B, sequences that go through the model at once. */
  readonly batch: number;
  /** T, tokens of each. */
  readonly sequence: number;
  /** Batches whose gradients are averaged in one step. */
  readonly accumulate: number;
  /** Whether the backward pass computes each layer again instead of keeping it. */
  readonly recompute?: boolean;
  /** Whether a row holds pieces of several documents, which do not see each other: the entries take their `segments` too. */
  readonly packed?: boolean;
}

export interface TrainingEntries extends Readonly<Record<string, Entry>> {
  /** ids, targets[, segments] (B,T) → loss (mean over the batch, nats a token); sets the gradients. */
  readonly firstGradient: Entry;
  /** Clips and takes one step of the optimizer (`optimizerScalars`) → gradient_norm. */
  readonly update: Entry;
  /** ids, targets[, segments] (B,T) → token_losses (B·T), nats; 0 where the target is −100. */
  readonly evaluate: Entry;
}

/**
 * Traces the entries of a training run. Where a step takes several batches there is one more, `nextGradient`: as
 * `firstGradient`, but it adds to the gradients.
 */
export function trainingEntries(
  config: ModelConfig,
  { batch, sequence, accumulate, recompute, packed }: TrainingShape,
  optimizer: OptimizerOptions,
): TrainingEntries {
  const weights = modelVariables(config);
  const ids = input("ids", [batch, sequence], "i32");
  const targets = input("targets", [batch, sequence], "i32");
  const segments = packed ? input("segments", [batch, sequence], "i32") : undefined;
  const losses = tokenLosses(config, weights, ids, targets, { segments, recompute });
  const loss = mean(losses);
  const parts = gradientParts(config, weights, accumulate === 1 ? loss : mul(loss, 1 / accumulate));
  const { assign, gradientNorm } = optimizerUpdate(parts, optimizer);
  const set = parts.map((part) => [part.gradient, part.value] as const);
  const more = parts.map((part) => [part.gradient, add(part.gradient, part.value)] as const);
  return {
    firstGradient: { outputs: { loss }, assign: set },
    ...(accumulate > 1 && { nextGradient: { outputs: { loss }, assign: more } }),
    update: { outputs: { gradient_norm: gradientNorm }, assign },
    evaluate: { outputs: { token_losses: losses } },
  };
}

function gradientParts(config: ModelConfig, weights: ModelVariables, loss: Tensor) {
  const parameters = parametersOf(config);
  const entries = [...weights];
  const values = gradients(
    loss,
    entries.map(([, weight]) => weight),
  );
  return entries.map(([name, weight], i) => ({
    name,
    parameter: parameters[i],
    variable: weight,
    gradient: variable(`gradient.${name}`, weight.shape),
    value: values[i],
  }));
}
