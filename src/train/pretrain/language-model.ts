/** @file The trainer of a language model: the next token of every place, all parameters learn. */
import { type ModelConfig, modelVariables, tokenLosses } from "../../model/index.js";
import { sum } from "../../tensor/index.js";
import { countedTargets, type Trainer, trainableParameters } from "../trainer.js";

export interface TrainingShape {
  /** B, sequences that go through the model at once. */
  readonly batch: number;
  /** T, tokens of each. */
  readonly sequence: number;
  /** Whether the backward pass computes each layer again instead of keeping it. */
  readonly recompute?: boolean;
  /** Whether a row holds pieces of several documents, which do not see each other: a batch has their `segments` too. */
  readonly packed?: boolean;
}

/**
 * A batch is ids and targets (B,T) i32, each target the token after its id, and with `packed` segments (B,T) i32. The loss is
 * the mean of −log p(target), in nats, over the targets that are not −100. `evaluate` gives token_losses (B·T), 0 where
 * the target is −100.
 */
export function languageModelTrainer(config: ModelConfig, shape: TrainingShape): Trainer {
  const { batch, sequence, recompute, packed } = shape;
  const weights = modelVariables(config);
  const rows = { shape: [batch, sequence], dtype: "i32" } as const;
  return {
    batch: { ids: rows, targets: rows, ...(packed && { segments: rows }) },
    trainable: trainableParameters(config, weights),
    objective: ({ ids, targets, segments }) => {
      const losses = tokenLosses(config, weights, ids, targets, { segments, recompute }); // (B·T)
      return {
        losses: { token: { sum: sum(losses), count: sum(countedTargets(targets)) } },
        entries: { evaluate: { outputs: { token_losses: losses } } },
      };
    },
  };
}
