/** @file The trainer of a language model: predicts the next token at every position; all parameters are trainable. */
import { type ModelConfig, modelVariables, tokenLosses } from "../../model/index.js";
import { sum } from "../../tensor/index.js";
import { countedTargets, type Trainer, trainableParameters } from "../trainer.js";

export interface TrainingShape {
  /** B, sequences per batch. */
  readonly batch: number;
  /** T, tokens per sequence. */
  readonly sequence: number;
  /** Whether the backward pass recomputes each layer instead of storing its activations. */
  readonly recompute?: boolean;
  /** Whether rows contain pieces of several documents, which do not attend to each other; batches then have `segments`. */
  readonly packed?: boolean;
}

/**
 * Returns the trainer. A batch has ids and targets (B,T) i32, where each target is the token after its id, and with `packed`
 * also segments (B,T) i32. The loss is the mean of −log p(target), in nats, over the targets that are not −100. The entry
 * `evaluate` outputs token_losses (B·T), 0 where the target is −100.
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
