/** @file The trainer of GRPO and its relatives: one minibatch of sampled completions. */
import { tokenStatistics } from "../../model/index.js";
import { reshape, type TensorType } from "../../tensor/index.js";
import { countedTargets, type Trainer } from "../../train/index.js";
import { dropoutInputs, type Policy, policyOptions } from "../policy.js";
import { type GrpoOptions, grpo } from "./grpo.js";

export interface RolloutShape {
  /** B, completions. */
  readonly batch: number;
  /** T, tokens of a prompt and its completion. */
  readonly sequence: number;
  /** Longest completion of a rollout, in tokens. */
  readonly maxTokens: number;
  /** Whether a batch has the reference's log-probabilities; by default only where the loss needs them. */
  readonly reference?: boolean;
}

/**
 * A batch is ids and targets (B,T) i32, `advantages` (B), `sampled` (B,T), the log-probabilities of the targets at rollout, and
 * `reference` (B,T), those under the reference. A target outside a completion, or in a truncated one that must not teach, is
 * −100. The entry `score` gives the policy's own log-probabilities and entropies (B·T), 0 at such targets.
 */
export function grpoTrainer(policy: Policy, shape: RolloutShape, options: GrpoOptions): Trainer {
  const { config, weights, trainable } = policy;
  const { batch: B, sequence: T, maxTokens } = shape;
  const rows = (dtype: TensorType["dtype"]): TensorType => ({ shape: [B, T], dtype });
  const hasReference = shape.reference ?? options.beta > 0;
  return {
    batch: {
      ...{ ids: rows("i32"), targets: rows("i32"), advantages: { shape: [B], dtype: "f32" }, sampled: rows("f32") },
      ...(hasReference && { reference: rows("f32") }),
      ...dropoutInputs(policy),
    },
    trainable,
    objective: ({ ids, targets, advantages, sampled, reference, ...batch }) => {
      const statistics = tokenStatistics(config, weights, ids, targets, policyOptions(batch));
      const completions = {
        logProbability: reshape(statistics.logProbability, [B, T]),
        entropy: reshape(statistics.entropy, [B, T]),
        counted: countedTargets(targets),
        ...{ sampled, reference: reference ?? null, advantages },
      };
      const score = { log_probabilities: statistics.logProbability, entropy: statistics.entropy };
      return { ...grpo(completions, options, maxTokens), entries: { score: { outputs: score } } };
    },
  };
}
