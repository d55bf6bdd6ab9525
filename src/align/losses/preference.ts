/**
 * @file Losses of preference optimisation: functions of the log-probabilities of a chosen and a rejected answer, under the policy
 * and under the reference. `log ratio` is log π(y|x) − log π_ref(y|x), summed over the answer's tokens; β scales it to a reward.
 */
import {
  add,
  div,
  exp,
  log,
  maximum,
  minimum,
  mul,
  neg,
  sigmoid,
  stopGradient,
  sub,
  sum,
  type Tensor,
} from "../../tensor/index.js";
import { logSigmoid, sorted } from "./arithmetic.js";

/** Answers of a batch, (B) each. */
export interface Answers {
  /** log π(y|x), summed over the answer's tokens. */
  readonly logProbability: Tensor;
  /** The same under the reference. */
  readonly reference: Tensor;
  /** Tokens of the answer. */
  readonly length: Tensor;
}

export interface Pairs {
  readonly chosen: Answers;
  readonly rejected: Answers;
}

export const F_DIVERGENCES = ["reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"] as const;
export type FDivergence = (typeof F_DIVERGENCES)[number];

export interface PreferenceOptions {
  /** The scale of the implicit reward: how far the policy may go from the reference. */
  readonly beta: number;
  /** Probability that a label is wrong, 0 to ½. */
  readonly labelSmoothing: number;
  readonly fDivergence: FDivergence;
  /** α of the alpha-divergence. */
  readonly alpha: number;
  /** Temperature of DiscoPOP's blend. */
  readonly discopopTau: number;
  /** SimPO's margin between the rewards, γ. */
  readonly gamma: number;
  /** Weigh pairs by how likely the policy is to produce that answer itself (see `answerWeights`). */
  readonly weighting: boolean;
}

export const PREFERENCE_DEFAULTS: PreferenceOptions = {
  beta: 0.1,
  labelSmoothing: 0,
  fDivergence: "reverse_kl",
  alpha: 0.5,
  discopopTau: 0.05,
  gamma: 0.5,
  weighting: false,
};

const ratio = ({ logProbability, reference }: Answers) => sub(logProbability, reference);

/**
 * f′(π/π_ref) of the divergence that keeps the policy near the reference (Wang et al., "Beyond reverse KL",
 * arXiv:2309.16240): the log ratio for the reverse KL, 1 − 1/u for the forward KL, log 2u/(1+u) for Jensen–Shannon,
 * (u^(α−1) − 1)/(α−1) for the alpha-divergence.
 */
export function score(answers: Answers, { fDivergence, alpha }: PreferenceOptions): Tensor {
  const logRatio = ratio(answers);
  switch (fDivergence) {
    case "reverse_kl":
      return logRatio;
    case "forward_kl":
      return sub(1, exp(neg(logRatio)));
    case "js_divergence":
      return add(Math.LN2, logSigmoid(logRatio));
    case "alpha_divergence":
      if (Math.abs(alpha - 1) < 1e-6) return logRatio;
      // e⁸⁰ is near the largest number of fp32.
      return div(sub(exp(minimum(mul(logRatio, alpha - 1), 80)), 1), alpha - 1);
    default:
      return fDivergence satisfies never;
  }
}

const perToken = (value: Tensor, { length }: Answers) => div(value, maximum(length, 1));

/**
 * Weights of answers (B), without a gradient: e^mean(log p − log Σ p²) over their tokens, (B,T) each. A pair is weighed by the
 * product of both, so that preferences between answers far from the policy's own count less (WPO: Zhou et al.,
 * arXiv:2406.11827, eq. 2).
 */
export function answerWeights(logProbability: Tensor, logSquares: Tensor, counted: Tensor): Tensor {
  const aligned = mul(sub(logProbability, logSquares), counted); // (B,T)
  return stopGradient(exp(div(sum(aligned, [1]), maximum(sum(counted, [1]), 1))));
}

/** −(1−ε) log σ(x) − ε log σ(−x): a label that is wrong with probability ε (Mitchell, "A note on DPO with noisy preferences"). */
function smoothed(x: Tensor, epsilon: number): Tensor {
  if (epsilon === 0) return neg(logSigmoid(x));
  return neg(add(mul(logSigmoid(x), 1 - epsilon), mul(logSigmoid(neg(x)), epsilon)));
}

const squared = (x: Tensor) => mul(x, x);

/** The loss of each pair, (B). */
export type PreferenceLoss = (pairs: Pairs, options: PreferenceOptions) => Tensor;

/** β · (score of the chosen answer − score of the rejected one). */
const margin: PreferenceLoss = ({ chosen, rejected }, options) =>
  mul(sub(score(chosen, options), score(rejected, options)), options.beta);

export const PREFERENCE_LOSSES = {
  /** DPO, −log σ(margin): Rafailov et al., arXiv:2305.18290. With label smoothing it is conservative DPO. */
  sigmoid: (pairs, options) => smoothed(margin(pairs, options), options.labelSmoothing),

  /** max(0, 1 − margin), SLiC: Zhao et al., arXiv:2305.10425; Liu et al., arXiv:2309.06657. */
  hinge: (pairs, options) => maximum(sub(1, margin(pairs, options)), 0),

  /** (difference of the scores per token − 1/2β)²: Azar et al., arXiv:2310.12036, eq. 17. */
  ipo: ({ chosen, rejected }, options) => {
    const difference = sub(perToken(score(chosen, options), chosen), perToken(score(rejected, options), rejected));
    return squared(sub(difference, 1 / (2 * options.beta)));
  },

  /** KL(softmax of the two rewards ‖ (1−ε, ε)): Ji et al., arXiv:2402.00856, eq. 16. Needs ε > 0. */
  exo_pair: (pairs, options) => {
    const x = margin(pairs, options);
    const epsilon = options.labelSmoothing;
    const won = mul(sigmoid(x), sub(logSigmoid(x), Math.log1p(-epsilon)));
    const lost = mul(sigmoid(neg(x)), sub(logSigmoid(neg(x)), Math.log(epsilon)));
    return add(won, lost);
  },

  /** −log σ(r₊) − ½ log σ(−r₊) − ½ log σ(−r₋): Chen et al., arXiv:2402.05369. */
  nca_pair: ({ chosen, rejected }, { beta }) => {
    const [won, lost] = [mul(ratio(chosen), beta), mul(ratio(rejected), beta)];
    return neg(add(logSigmoid(won), mul(add(logSigmoid(neg(won)), logSigmoid(neg(lost))), 0.5)));
  },

  /** An unbiased estimate of DPO's loss without the flips, which have probability ε: Chowdhury et al., arXiv:2403.00409. */
  robust: (pairs, options) => {
    const x = margin(pairs, options);
    const epsilon = options.labelSmoothing;
    const clean = mul(logSigmoid(x), 1 - epsilon);
    return div(sub(mul(logSigmoid(neg(x)), epsilon), clean), 1 - 2 * epsilon);
  },

  /** −log σ(r₊) − log σ(−r₋), a binary classifier without its running mean: Jung et al., arXiv:2404.04656. */
  bco_pair: ({ chosen, rejected }, { beta }) =>
    neg(add(logSigmoid(mul(ratio(chosen), beta)), logSigmoid(neg(mul(ratio(rejected), beta))))),

  /** (log ratio₊ − 1/2β)² + (log ratio₋ + 1/2β)²: Wu et al., arXiv:2405.00675, eq. 4.7 with certain preferences. */
  sppo_hard: ({ chosen, rejected }, { beta }) =>
    add(squared(sub(ratio(chosen), 0.5 / beta)), squared(add(ratio(rejected), 0.5 / beta))),

  /** The sorted log ratios of a batch above the reference's, quantile by quantile: Melnyk et al., arXiv:2406.05882. */
  aot: ({ chosen, rejected }, { beta, labelSmoothing }) => {
    const policy = sorted(sub(chosen.logProbability, rejected.logProbability));
    const reference = sorted(sub(chosen.reference, rejected.reference));
    return smoothed(mul(sub(policy, reference), beta), labelSmoothing);
  },

  /** The same for chosen and rejected answers that are no pairs. */
  aot_unpaired: ({ chosen, rejected }, { beta, labelSmoothing }) =>
    smoothed(mul(sub(sorted(ratio(chosen)), sorted(ratio(rejected))), beta), labelSmoothing),

  /** 1 − σ(r₊) + σ(r₋), for chosen answers better than the model's own: D'Oosterlinck et al., arXiv:2408.06266, eq. 7. */
  apo_zero: ({ chosen, rejected }, { beta }) =>
    add(sub(1, sigmoid(mul(ratio(chosen), beta))), sigmoid(mul(ratio(rejected), beta))),

  /** σ(r₊) + 1 − σ(r₊ − r₋), for chosen answers worse than the model's own: ibid., eq. 8. */
  apo_down: ({ chosen, rejected }, { beta }) =>
    add(sigmoid(mul(ratio(chosen), beta)), sub(1, sigmoid(mul(sub(ratio(chosen), ratio(rejected)), beta)))),

  /** A blend of the logistic and the exponential loss by σ(margin/τ): Lu et al., arXiv:2406.08414, eq. 5. */
  discopop: (pairs, options) => {
    const x = margin(pairs, options);
    const share = sigmoid(div(x, options.discopopTau));
    return sub(mul(exp(neg(x)), share), mul(logSigmoid(x), sub(1, share)));
  },

  /** DPO on scores per token: Meng et al., arXiv:2405.14734, with a reference. */
  sigmoid_norm: ({ chosen, rejected }, options) => {
    const difference = sub(perToken(score(chosen, options), chosen), perToken(score(rejected, options), rejected));
    return neg(logSigmoid(mul(difference, options.beta)));
  },

  /** −log σ(β(log-probability per token₊ − per token₋) − γ), without a reference: SimPO, Meng et al., arXiv:2405.14734. */
  simpo: ({ chosen, rejected }, { beta, gamma, labelSmoothing }) => {
    const difference = sub(perToken(chosen.logProbability, chosen), perToken(rejected.logProbability, rejected));
    return smoothed(sub(mul(difference, beta), gamma), labelSmoothing);
  },

  /** −log σ(β(log π₊ − log π₋)), without a reference; CPO adds the chosen answer's `sft`: Xu et al., arXiv:2401.08417. */
  cpo: ({ chosen, rejected }, { beta, labelSmoothing }) =>
    smoothed(mul(sub(chosen.logProbability, rejected.logProbability), beta), labelSmoothing),

  /** −β log σ(log odds₊ − log odds₋), odds of the probability per token; ORPO adds `sft`: Hong et al., arXiv:2403.07691. */
  orpo: ({ chosen, rejected }, { beta }) => {
    const won = perToken(chosen.logProbability, chosen);
    const lost = perToken(rejected.logProbability, rejected);
    const logOdds = sub(sub(won, lost), sub(logOfRest(won), logOfRest(lost)));
    return mul(logSigmoid(logOdds), -beta);
  },
} satisfies Readonly<Record<string, PreferenceLoss>>;

/** log(1 − eˣ) for x < 0; a probability of 1 is held off by the precision of fp32. */
const logOfRest = (x: Tensor) => log(sub(1, exp(minimum(x, -1e-6))));

export type PreferenceLossName = keyof typeof PREFERENCE_LOSSES;

/** Losses that use no reference. */
export const WITHOUT_REFERENCE: ReadonlySet<string> = new Set(["simpo", "cpo", "orpo", "sft"]);
