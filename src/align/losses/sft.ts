/** @file The loss of supervised fine-tuning: −log p of the learned tokens, each with the same weight in a step. */
import { tokenStatistics } from "../../model/index.js";
import { neg, reshape, sum, type TensorType } from "../../tensor/index.js";
import { countedTargets, meanOver, type Trainer } from "../../train/index.js";
import { dropoutInputs, type Policy, policyOptions } from "../policy.js";

/** Rows of tokens that go through the model at once. */
export interface RowShape {
  /** Rows. */
  readonly batch: number;
  /** T, tokens of a row. */
  readonly sequence: number;
  /** Whether a row has several texts: a batch has `segments` and `places` too. */
  readonly packed?: boolean;
}

export const rowInputs = ({ batch, sequence, packed }: RowShape): Readonly<Record<string, TensorType>> => {
  const rows = { shape: [batch, sequence], dtype: "i32" } as const;
  return { ids: rows, targets: rows, ...(packed && { segments: rows, places: rows }) };
};

/** A batch is ids and targets (B,T) i32, targets of −100 ignored, and with `packed` segments and places (B,T) i32. */
export function sftTrainer(policy: Policy, shape: RowShape): Trainer {
  const { config, weights, trainable } = policy;
  return {
    batch: { ...rowInputs(shape), ...dropoutInputs(policy) },
    trainable,
    objective: ({ ids, targets, segments, places, ...batch }) => {
      const options = { segments, places, ...policyOptions(batch) };
      const { logProbability, entropy, isGreedy } = tokenStatistics(config, weights, ids, targets, options); // (B·T)
      const counted = reshape(countedTargets(targets), logProbability.shape); // (B·T)
      return {
        losses: { token: { sum: neg(sum(logProbability)), count: sum(counted) } },
        metrics: { token_accuracy: meanOver(isGreedy, counted), entropy: meanOver(entropy, counted) },
      };
    },
  };
}
