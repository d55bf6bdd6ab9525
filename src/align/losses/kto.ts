/**
 * @file Losses of answers that are labelled good or bad one by one, without pairs. The reward of an answer is β times its log ratio,
 * log π(y|x) − log π_ref(y|x).
 */
import { div, maximum, mul, sigmoid, stopGradient, sub, sum, type Tensor, where } from "../../tensor/index.js";

export interface UnpairedOptions {
  /** The scale of the implicit reward: how far the policy may go from the reference. */
  readonly beta: number;
  /** Weights of the losses of good and of bad answers. */
  readonly desirableWeight: number;
  readonly undesirableWeight: number;
}

export const UNPAIRED_DEFAULTS: UnpairedOptions = { beta: 0.1, desirableWeight: 1, undesirableWeight: 1 };

/** Answers of a batch, (B) each. */
export interface LabelledAnswers {
  /** log π(y|x) − log π_ref(y|x). */
  readonly logRatio: Tensor;
  /** 1 for a good answer, 0 for a bad one. */
  readonly label: Tensor;
  /** KL of the policy from the reference, [] and without a gradient. */
  readonly kl: Tensor;
}

/** The loss of each answer, (B). */
type UnpairedLoss = (answers: LabelledAnswers, options: UnpairedOptions) => Tensor;

export const UNPAIRED_LOSSES = {
  /** 1 − σ(β(log ratio − KL)) of good answers, 1 − σ(β(KL − log ratio)) of bad ones: Ethayarajh et al., arXiv:2402.01306, eq. 7. */
  kto: ({ logRatio, label, kl }, { beta }) => {
    const above = mul(sub(logRatio, kl), beta);
    return sub(1, sigmoid(where(label, above, mul(above, -1))));
  },
  /** 1 − σ(r) of good answers, σ(r) of bad ones: APO-zero (D'Oosterlinck et al., arXiv:2408.06266, eq. 7) without pairs. */
  apo_zero_unpaired: ({ logRatio, label }, { beta }) => {
    const probability = sigmoid(mul(logRatio, beta));
    return where(label, sub(1, probability), probability);
  },
} satisfies Readonly<Record<string, UnpairedLoss>>;

export type UnpairedLossName = keyof typeof UNPAIRED_LOSSES;

/**
 * An estimate of KL(π ‖ π_ref) ≥ 0 from answers to other prompts, []: the mean of their log ratios, without a gradient
 * (arXiv:2402.01306, section 4.1). @param counted (B) 1 for the rows that have such an answer
 */
export function mismatchedKl(logProbability: Tensor, reference: Tensor, counted: Tensor): Tensor {
  const logRatio = mul(sub(logProbability, reference), counted);
  return stopGradient(maximum(div(sum(logRatio), maximum(sum(counted), 1)), 0));
}

/** The losses (B), each multiplied by the weight of its label. */
export function unpairedLoss(name: UnpairedLossName, answers: LabelledAnswers, options: UnpairedOptions): Tensor {
  const { desirableWeight, undesirableWeight } = options;
  const weight = where(answers.label, desirableWeight, undesirableWeight);
  return mul(UNPAIRED_LOSSES[name](answers, options), weight);
}

/** The mean of the good answers less that of the bad ones; nothing where a batch lacks either. */
export function margin(rewards: Tensor, good: Tensor, bad: Tensor): { readonly sum: Tensor; readonly count: Tensor } {
  const mean = (chosen: Tensor) => div(sum(mul(rewards, chosen)), maximum(sum(chosen), 1));
  const count = where(mul(sum(good), sum(bad)), 1, 0);
  return { sum: mul(sub(mean(good), mean(bad)), count), count };
}
