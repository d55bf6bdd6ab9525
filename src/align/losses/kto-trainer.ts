/** @file The trainer of KTO and its relative: answers that are labelled good or bad one by one. */
import { tokenStatistics } from "../../model/index.js";
import {
  type Entry,
  equal,
  input,
  less,
  literal,
  minimum,
  mul,
  reshape,
  sub,
  sum,
  type Tensor,
  type TensorType,
} from "../../tensor/index.js";
import { countedTargets, meanOver, type Trainer } from "../../train/index.js";
import { dropoutInputs, type Policy, policyOptions } from "../policy.js";
import { margin, mismatchedKl, type UnpairedLossName, type UnpairedOptions, unpairedLoss } from "./kto.js";

export interface UnpairedShape {
  /** B, answers. */
  readonly batch: number;
  /** T */
  readonly sequence: number;
}

/** Whether a loss estimates the KL from answers to other prompts. */
export const needsKl = (loss: UnpairedLossName) => loss === "kto";

const batchOf = ({ batch: B, sequence: T }: UnpairedShape, loss: UnpairedLossName) => {
  const rows: TensorType = { shape: [B, T], dtype: "i32" };
  return { ids: rows, targets: rows, ...(needsKl(loss) && { other_ids: rows, other_targets: rows }) };
};

/**
 * A batch is ids and targets (B,T) i32 of prompts with their answers, `labels` (B), 1 for a good answer and 0 for a bad one, and
 * `reference` (B), the log-probabilities of the answers under the reference. For `kto` it has prompts with answers to other
 * prompts as well: `other_ids`, `other_targets` and `other_reference`. The entry `score` gives the log-probabilities of both.
 */
export function ktoTrainer(
  policy: Policy,
  shape: UnpairedShape,
  loss: UnpairedLossName,
  options: UnpairedOptions,
): Trainer {
  const { batch: B, sequence: T } = shape;
  const scores: TensorType = { shape: [B], dtype: "f32" };
  return {
    batch: {
      ...batchOf(shape, loss),
      ...{ labels: scores, reference: scores, ...(needsKl(loss) && { other_reference: scores }) },
      ...dropoutInputs(policy),
    },
    trainable: policy.trainable,
    objective: ({ labels, reference, other_reference, ...batch }) => {
      const scored = scoresOf(policy, batch);
      const { logProbability, other } = scored;
      const isCounted = countedTargets(batch.targets); // (B,T)
      const counted = minimum(sum(isCounted, [1]), 1); // (B), 0 for a row of padding
      const kl =
        other === undefined
          ? literal(0)
          : mismatchedKl(other, other_reference, minimum(sum(countedTargets(batch.other_targets), [1]), 1));
      const logRatio = sub(logProbability, reference); // (B)
      const losses = unpairedLoss(loss, { logRatio, label: labels, kl }, options);
      const rewards = mul(logRatio, options.beta);
      const [good, bad] = [mul(counted, labels), mul(counted, sub(1, labels))];
      return {
        losses: { [loss]: meanOver(losses, counted) },
        metrics: {
          accuracy: meanOver(equal(less(kl, logRatio), labels), counted),
          margin: margin(rewards, good, bad),
          reward_chosen: meanOver(rewards, good),
          reward_rejected: meanOver(rewards, bad),
          logprob_chosen: meanOver(logProbability, good),
          logprob_rejected: meanOver(logProbability, bad),
          entropy: meanOver(reshape(scored.entropy, [B, T]), isCounted),
          ...(other !== undefined && { kl: { sum: kl, count: literal(1) } }),
        },
        entries: { score: scoreOutputs(scored) },
      };
    },
  };
}

/** The entry `score` of `ktoTrainer` alone, for a reference that is another model. */
export function unpairedScoreEntry(
  model: Pick<Policy, "config" | "weights">,
  shape: UnpairedShape,
  loss: UnpairedLossName,
): Entry {
  const inputs = Object.entries(batchOf(shape, loss)).map(([name, type]) => [
    name,
    input(name, type.shape, type.dtype),
  ]);
  return scoreOutputs(scoresOf(model, Object.fromEntries(inputs)));
}

interface Scores {
  /** (B) log-probabilities of the answers, and of the answers to other prompts. */
  readonly logProbability: Tensor;
  readonly other?: Tensor;
  /** (B·T) */
  readonly entropy: Tensor;
}

function scoresOf(
  { config, weights }: Pick<Policy, "config" | "weights">,
  { ids, targets, other_ids, other_targets, ...batch }: Readonly<Record<string, Tensor>>,
): Scores {
  const statistics = (rows: Tensor, of: Tensor) => tokenStatistics(config, weights, rows, of, policyOptions(batch));
  const perRow = (perToken: Tensor) => sum(reshape(perToken, ids.shape), [1]);
  const { logProbability, entropy } = statistics(ids, targets);
  return {
    ...{ logProbability: perRow(logProbability), entropy },
    ...(other_ids && { other: perRow(statistics(other_ids, other_targets).logProbability) }),
  };
}

const scoreOutputs = ({ logProbability, other }: Scores): Entry => ({
  outputs: { log_probabilities: logProbability, ...(other && { other_log_probabilities: other }) },
});
