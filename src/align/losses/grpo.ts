/**
 * @file Losses of reinforcement learning from completions that the policy sampled: GRPO and its relatives. The ratio
 * ρ = π(y_t) / π_sampling(y_t) of a token corrects for the updates since the rollout; A is the advantage of its completion.
 */
import {
  add,
  broadcast,
  div,
  exp,
  less,
  literal,
  max,
  maximum,
  minimum,
  mul,
  neg,
  reshape,
  sigmoid,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.js";
import { type LossTerm, type Mean, meanOver, type Objective } from "../../train/index.js";
import { aboveQuantile, boundedExp, clamp, k3 } from "./arithmetic.js";

/** Completions of a batch, token by token; (B,T) unless noted. */
export interface Completions {
  /** log π of the target tokens, and the same at rollout. */
  readonly logProbability: Tensor;
  readonly sampled: Tensor;
  /** The same under the reference; null for none. */
  readonly reference: Tensor | null;
  /** Entropy of the policy's distributions, in nats. */
  readonly entropy: Tensor;
  /** 1 for the tokens of a completion, 0 elsewhere and in a truncated completion that is masked. */
  readonly counted: Tensor;
  /** (B) */
  readonly advantages: Tensor;
}

export interface GrpoOptions {
  readonly loss: GrpoLossName;
  /** Ratios of single tokens, or their geometric mean over a completion (GSPO: Zheng et al., arXiv:2507.18071). */
  readonly level: "token" | "sequence";
  /** Ratios are clipped to 1 − epsilon … 1 + epsilonHigh; `cispo` clips to epsilonHigh itself. */
  readonly epsilon: number;
  readonly epsilonHigh: number;
  /** Largest ratio of completions with a negative advantage, which the lower clip does not bound; null for none. */
  readonly delta: number | null;
  /** Weight of the KL divergence from the reference, estimated by k3. */
  readonly beta: number;
  /** Whether the KL is multiplied by ρ, which makes its gradient unbiased; without it the KL is GRPO's classic one. */
  readonly correctedKl: boolean;
  /** Weight of the entropy, which the loss then rewards. */
  readonly entropyBonus: number;
  /** Share of the tokens with the highest entropy that the policy learns from (Wang et al., arXiv:2506.01939); 1 for all. */
  readonly topEntropy: number;
  /** Temperatures of `sapo` for advantages above 0, and for the others. */
  readonly temperatures: readonly [positive: number, negative: number];
  /** k and λ of `vespo` for advantages from 0 on, and for those below. */
  readonly gamma: readonly [positive: GammaWeights, negative: GammaWeights];
}

interface GammaWeights {
  readonly k: number;
  readonly lambda: number;
}

/** The defaults, of which some depend on the loss. */
export function grpoDefaults(given: Partial<GrpoOptions> = {}): GrpoOptions {
  const { loss = "dapo", epsilon = 0.2 } = given;
  return {
    ...{ loss, epsilon, level: loss === "luspo" ? "sequence" : "token", delta: null, beta: 0, correctedKl: true },
    epsilonHigh: loss === "cispo" ? 5 : epsilon,
    ...{ entropyBonus: 0, topEntropy: 1, temperatures: [1, 1.05] },
    gamma: [
      { k: 2, lambda: 3 },
      { k: 3, lambda: 2 },
    ],
    ...given,
  };
}

/** What the loss of a token is made of; (B,T), or (B,1) where all tokens of a completion share it. */
interface Parts {
  readonly ratio: Tensor;
  /** (B,T) */
  readonly logRatio: Tensor;
  readonly logProbability: Tensor;
  /** (B,1) */
  readonly advantages: Tensor;
}

/** The loss of each token, (B,T) or (B,1). */
type TokenLoss = (parts: Parts, options: GrpoOptions) => Tensor;

/** −min(ρA, clip(ρ)A): Schulman et al., arXiv:1707.06347, eq. 7. ρ ≤ δ: INTELLECT-2, arXiv:2505.07291. */
const clipped: TokenLoss = ({ ratio, advantages }, { epsilon, epsilonHigh, delta }) => {
  const bounded = delta === null ? ratio : minimum(ratio, delta);
  const near = clamp(ratio, 1 - epsilon, 1 + epsilonHigh);
  return neg(minimum(mul(bounded, advantages), mul(near, advantages)));
};

/** −min(ρ, ε_high)·A·log π, the ratio a constant: MiniMax-M1, arXiv:2506.13585, eq. 4. */
const clippedWeight: TokenLoss = ({ ratio, advantages, logProbability }, { epsilonHigh }) =>
  neg(mul(mul(stopGradient(minimum(ratio, epsilonHigh)), advantages), logProbability));

/** −(4/τ)·σ(τ(ρ − 1))·A, a smooth gate for the clip: Gao et al., arXiv:2511.20347. */
const gated: TokenLoss = ({ ratio, advantages }, { temperatures: [positive, negative] }) => {
  const temperature = where(less(0, advantages), positive, negative); // (B,1)
  return neg(mul(mul(sigmoid(mul(sub(ratio, 1), temperature)), div(4, temperature)), advantages));
};

/** −φ(w)·A·log π with φ(w) = w^k·e^(λ(1 − w)) of the completion's ratio w = Π ρ, a constant: VESPO, arXiv:2602.10693. */
const gammaWeighted: TokenLoss = ({ logRatio, advantages, logProbability }, { gamma: [positive, negative] }) => {
  const isNegative = less(advantages, 0); // (B,1)
  const k = where(isNegative, negative.k, positive.k);
  const lambda = where(isNegative, negative.lambda, positive.lambda);
  // Bounds of the authors: w in 1e-8 … e²⁰.
  const logWeight = clamp(sum(clamp(logRatio, -20, 20), [1], true), Math.log(1e-8), 20); // (B,1)
  const logPhi = add(mul(logWeight, k), mul(sub(1, exp(logWeight)), lambda));
  return neg(mul(mul(stopGradient(exp(logPhi)), advantages), logProbability));
};

/** Joins the losses of tokens (B,T), 0 where not counted. */
type Reduction = (losses: Tensor, counted: Tensor, maxTokens: number) => Mean;

const lengthsOf = (counted: Tensor) => maximum(sum(counted, [1]), 1); // (B)

/** The mean of the means of completions. */
const perCompletion: Reduction = (losses, counted) => meanOver(div(sum(losses, [1]), lengthsOf(counted)));
/** The mean over the tokens of a step. */
const perToken: Reduction = (losses, counted) => ({ sum: sum(losses), count: sum(counted) });

interface GrpoLoss {
  readonly token: TokenLoss;
  readonly mean: Reduction;
  /** Ratio of the whole completion, Π ρ. */
  readonly wholeRatio?: boolean;
  /** Whether the loss clips ratios from both sides, or from above. */
  readonly clips: "both" | "above" | "none";
}

export const GRPO_LOSSES = {
  /** GRPO, a mean per completion: Shao et al., arXiv:2402.03300, eq. 3. */
  grpo: { token: clipped, mean: perCompletion, clips: "both" },
  /** A mean over the tokens of each batch. */
  bnpo: {
    token: clipped,
    mean: (losses, counted) => ({ sum: div(sum(losses), maximum(sum(counted), 1)), count: literal(1) }),
    clips: "both",
  },
  /** A mean over the tokens of a step, so that long completions weigh more: Yu et al., arXiv:2503.14476. */
  dapo: { token: clipped, mean: perToken, clips: "both" },
  /** A sum over tokens divided by a constant, so that length has no influence: Liu et al., arXiv:2503.20783. */
  dr_grpo: {
    token: clipped,
    mean: (losses, counted, maxTokens) => ({ sum: sum(losses), count: literal(counted.shape[0] * maxTokens) }),
    clips: "both",
  },
  cispo: { token: clippedWeight, mean: perToken, clips: "above" },
  sapo: { token: gated, mean: perCompletion, clips: "none" },
  /** GSPO with each completion multiplied by its length: arXiv:2602.05261. */
  luspo: { token: clipped, mean: (losses) => meanOver(sum(losses, [1])), clips: "both" },
  vespo: { token: gammaWeighted, mean: perToken, clips: "none" },
  /** RLOO: the ratio of the whole completion, with leave-one-out advantages: Ahmadian et al., arXiv:2402.14740. */
  rloo: { token: clipped, mean: perCompletion, clips: "both", wholeRatio: true },
  /** REINFORCE++: PPO's clip per token, with advantages whitened over the batch: Hu et al., arXiv:2501.03262. */
  "reinforce++": { token: clipped, mean: perToken, clips: "both" },
} satisfies Readonly<Record<string, GrpoLoss>>;

export type GrpoLossName = keyof typeof GRPO_LOSSES;

/** Loss and statistics of a batch. @param maxTokens longest completion of a rollout, for `dr_grpo` */
export function grpo(completions: Completions, options: GrpoOptions, maxTokens: number): Objective {
  const { logProbability, sampled, reference, entropy, counted } = completions;
  const [B, T] = counted.shape;
  const { token, mean, wholeRatio, clips }: GrpoLoss = GRPO_LOSSES[options.loss];
  const logRatio = mul(sub(logProbability, sampled), counted); // (B,T)
  const ofTokens = boundedExp(logRatio);
  const whole = () => reshape(sum(logRatio, [1]), [B, 1]);
  const ratio = wholeRatio
    ? boundedExp(whole())
    : options.level === "token"
      ? ofTokens
      : boundedExp(div(whole(), reshape(lengthsOf(counted), [B, 1])));
  const advantages = reshape(completions.advantages, [B, 1]);
  const kl = reference === null ? null : k3(mul(sub(reference, logProbability), counted)); // (B,T)
  const learned =
    options.topEntropy === 1
      ? counted
      : reshape(aboveQuantile(reshape(entropy, [B * T]), reshape(counted, [B * T]), 1 - options.topEntropy), [B, T]);

  let losses = mul(token({ ratio, logRatio, logProbability, advantages }, options), learned); // (B,T)
  if (options.beta > 0) {
    if (kl === null) throw new TypeError("a loss with beta needs log-probabilities of the reference");
    losses = add(losses, mul(mul(options.correctedKl ? mul(kl, ratio) : kl, options.beta), counted));
  }
  const policy: LossTerm = mean(losses, counted, maxTokens);
  const tokens = sum(counted);
  const meanEntropy = div(sum(mul(entropy, learned)), maximum(sum(learned), 1));
  const bonus: LossTerm = { sum: mul(meanEntropy, tokens), count: tokens, weight: -options.entropyBonus };
  return {
    losses: options.entropyBonus === 0 ? { policy } : { policy, entropy_bonus: bonus },
    metrics: {
      ...(kl !== null && { kl: meanOver(kl, counted) }),
      ...(reference !== null && { kl_k1: meanOver(sub(logProbability, reference), counted) }),
      entropy: meanOver(entropy, counted),
      ...(clips !== "none" && { clip_fraction: clipFraction(ratio, advantages, counted, clips, options) }),
    },
    maxima: { ratio_max: max(mul(ofTokens, counted)) },
  };
}

/** The share of tokens, or of completions with one ratio each, whose ratio the loss clips. */
function clipFraction(
  ratio: Tensor,
  advantages: Tensor,
  counted: Tensor,
  clips: "both" | "above",
  { epsilon, epsilonHigh }: GrpoOptions,
): Mean {
  const above = mul(less(clips === "above" ? epsilonHigh : 1 + epsilonHigh, ratio), less(0, advantages));
  const below = mul(less(ratio, 1 - epsilon), less(advantages, 0));
  const isClipped = clips === "above" ? above : add(above, below);
  if (ratio.shape[1] === 1) return meanOver(isClipped);
  return meanOver(broadcast(isClipped, counted.shape), counted);
}
