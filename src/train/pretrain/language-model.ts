/** @file The trainer of a language model: predicts the next token at every position; all parameters are trainable. */
import { type ModelConfig, modelVariables, sampledTokenLosses, tokenLosses } from "../../model/index.js";
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
  /** S, tokens whose logits training computes (sampled-head.ts); null or undefined for the whole vocabulary. */
  readonly candidates?: number | null;
}

/**
 * Returns the trainer. A batch has ids and targets (B,T) i32, where each target is the token after its id, and with `packed`
 * also segments (B,T) i32. The loss is the mean of −log p(target), in nats, over the targets that are not −100. The entry
 * `evaluate` outputs token_losses (B·T), 0 where the target is −100. With `candidates`, batches also have those of
 * sampled-head.ts, and the loss of the gradient is an estimate.
 */
export function languageModelTrainer(config: ModelConfig, shape: TrainingShape): Trainer {
  const { batch, sequence, recompute, packed, candidates: S } = shape;
  const weights = modelVariables(config);
  const rows = { shape: [batch, sequence], dtype: "i32" } as const;
  const sampled = S != null && {
    candidates: { shape: [S], dtype: "i32" } as const,
    corrections: { shape: [S, 2], dtype: "f32" } as const,
    places: rows,
  };
  return {
    batch: { ids: rows, targets: rows, ...(packed && { segments: rows }), ...sampled },
    trainable: trainableParameters(config, weights),
    objective: ({ ids, targets, segments, ...sample }) => {
      const options = { segments, recompute };
      const exact = tokenLosses(config, weights, ids, targets, options); // (B·T)
      const { candidates, corrections, places } = sample;
      const losses = sampled
        ? sampledTokenLosses(config, weights, ids, { candidates, corrections, places }, options)
        : exact;
      return {
        losses: { token: { sum: sum(losses), count: sum(countedTargets(targets)) } },
        entries: { evaluate: { outputs: { token_losses: exact } } },
      };
    },
  };
}
