/** @file The trainer of PPO: one minibatch of rollouts, for the policy and the value model. */
import { forward, tokenStatistics } from "../../model/index.js";
import { mul, reshape, sum, type TensorType } from "../../tensor/index.js";
import { countedTargets, type Trainer } from "../../train/index.js";
import { dropoutInputs, type Policy, policyOptions, type Value } from "../policy.js";
import { type PpoOptions, ppoPolicy, ppoValue } from "./ppo.js";

export interface PpoShape {
  /** B, completions. */
  readonly batch: number;
  /** T, tokens of a prompt and its completion. */
  readonly sequence: number;
}

/**
 * A batch is ids and targets (B,T) i32, where a target outside a completion is −100; `sampled`, the log-probabilities of the
 * targets at rollout, `old_values`, the values then, `advantages` and `returns`, (B,T) each. The entry `score` gives the policy's
 * log-probabilities and entropies (B·T), 0 at such targets; the entry `values` gives the estimate before each target (B·T).
 */
export function ppoTrainer(
  policy: Policy,
  value: Value,
  { batch: B, sequence: T }: PpoShape,
  options: PpoOptions,
): Trainer {
  const rows = (dtype: TensorType["dtype"]): TensorType => ({ shape: [B, T], dtype });
  return {
    batch: {
      ...{ ids: rows("i32"), targets: rows("i32"), sampled: rows("f32"), old_values: rows("f32") },
      ...{ advantages: rows("f32"), returns: rows("f32") },
      ...dropoutInputs(policy),
    },
    trainable: [...policy.trainable, ...value.trainable],
    objective: ({ ids, targets, sampled, advantages, ...batch }) => {
      const statistics = tokenStatistics(policy.config, policy.weights, ids, targets, policyOptions(batch));
      const steps = {
        logProbability: reshape(statistics.logProbability, [B, T]),
        entropy: reshape(statistics.entropy, [B, T]),
        ...{ sampled, advantages, counted: countedTargets(targets) },
      };
      const score = { log_probabilities: statistics.logProbability, entropy: statistics.entropy };
      return { ...ppoPolicy(steps, options), entries: { score: { outputs: score } } };
    },
    second: ({ ids, targets, old_values, returns, ...batch }) => {
      const { hidden } = forward(value.config, value.weights, ids, policyOptions(batch)); // (B,T,C)
      const estimate = sum(mul(hidden, value.head), [2]); // (B,T), in fp32 under bf16 too
      const steps = { value: estimate, oldValue: old_values, returns, valued: countedTargets(targets) };
      return {
        ...ppoValue(steps, options),
        entries: { values: { outputs: { values: reshape(estimate, [B * T]) } } },
      };
    },
  };
}
