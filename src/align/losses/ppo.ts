/** @file PPO's clipped losses of the policy and of the value model (Schulman et al., arXiv:1707.06347). */
import { add, less, max, maximum, minimum, mul, neg, sub, type Tensor } from "../../tensor/index.js";
import { type LossTerm, meanOver, type Objective } from "../../train/index.js";
import { boundedExp, clamp, k3 } from "./arithmetic.js";

export interface PpoOptions {
  /** Ratios are clipped to 1 ± epsilon. */
  readonly epsilon: number;
  /** How far a value may move from the one at rollout before its loss stops falling. */
  readonly valueEpsilon: number;
  /** Weight of the value loss. */
  readonly valueWeight: number;
  /** Weight of the entropy, which the loss then rewards. */
  readonly entropyBonus: number;
}

export const PPO_DEFAULTS: PpoOptions = { epsilon: 0.2, valueEpsilon: 0.2, valueWeight: 0.1, entropyBonus: 0 };

/** What the policy's loss needs of rollouts, (B,T) each. */
export interface PolicySteps {
  /** log π of the target tokens, and the same at rollout. */
  readonly logProbability: Tensor;
  readonly sampled: Tensor;
  /** Entropy of the policy's distributions, in nats. */
  readonly entropy: Tensor;
  readonly advantages: Tensor;
  /** 1 for the tokens of completions. */
  readonly counted: Tensor;
}

/** What the value model's loss needs of rollouts, (B,T) each. */
export interface ValueSteps {
  /** The value model's estimates, and the same at rollout. */
  readonly value: Tensor;
  readonly oldValue: Tensor;
  readonly returns: Tensor;
  /** 1 for the steps with a value. */
  readonly valued: Tensor;
}

/** −min(ρA, clip(ρ)A), a mean over the tokens. */
export function ppoPolicy(steps: PolicySteps, { epsilon, entropyBonus }: PpoOptions): Objective {
  const { counted, advantages } = steps;
  const logRatio = mul(sub(steps.logProbability, steps.sampled), counted);
  const ratio = boundedExp(logRatio);
  const free = mul(ratio, advantages);
  const near = mul(clamp(ratio, 1 - epsilon, 1 + epsilon), advantages);
  const policy: LossTerm = meanOver(neg(minimum(free, near)), counted);
  const bonus: LossTerm = { ...meanOver(steps.entropy, counted), weight: -entropyBonus };
  return {
    losses: { policy, ...(entropyBonus !== 0 && { entropy_bonus: bonus }) },
    metrics: {
      entropy: meanOver(steps.entropy, counted),
      clip_fraction: meanOver(less(near, free), counted),
      /** KL of the update: of the policy at rollout from the policy now. */
      update_kl: meanOver(k3(logRatio), counted),
    },
    maxima: { ratio_max: max(mul(ratio, counted)) },
  };
}

/** weight · ½ max((V − R)², (clip(V) − R)²), a mean over the steps with a value. */
export function ppoValue(steps: ValueSteps, { valueEpsilon, valueWeight }: PpoOptions): Objective {
  const { valued, returns, oldValue } = steps;
  const value = mul(steps.value, valued);
  const nearValue = add(oldValue, clamp(sub(value, oldValue), -valueEpsilon, valueEpsilon));
  const squared = (x: Tensor) => mul(x, x);
  const [freeLoss, nearLoss] = [squared(sub(value, returns)), squared(sub(nearValue, returns))];
  const ofValue: LossTerm = { ...meanOver(mul(maximum(freeLoss, nearLoss), 0.5), valued), weight: valueWeight };
  return {
    losses: { value: ofValue },
    metrics: { value_clip_fraction: meanOver(less(freeLoss, nearLoss), valued) },
  };
}
