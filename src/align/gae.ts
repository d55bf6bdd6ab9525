/**
 * @file What PPO computes of rollouts before it learns from them, in float64: rewards of tokens from the KL divergence and the
 * completion's score, advantages, returns, and the coefficient of the KL. Arrays are (B,T), row by row.
 */

/** Estimates of KL(π ‖ π_ref) from a sampled token, with x = log π − log π_ref: k1 = x, k3 = e⁻ˣ − 1 + x ≥ 0. */
export const KL_ESTIMATORS = ["k1", "k3"] as const;
export type KlEstimator = (typeof KL_ESTIMATORS)[number];

/** Completions with their log-probabilities, values and scores. */
export interface ScoredRollouts {
  /** T, tokens of a row. */
  readonly sequence: number;
  /** (B,T) log-probabilities of the completions' tokens when they were sampled, and under the reference. */
  readonly sampled: ArrayLike<number>;
  readonly reference: ArrayLike<number>;
  /** (B,T) the value model's estimate of the return before each token. */
  readonly values: ArrayLike<number>;
  /** (B,T) 1 for the tokens of a completion. */
  readonly counted: ArrayLike<number>;
  /** (B,T) 1 for the steps that have a value; default `counted`. The last one of a row receives its score. */
  readonly valued?: ArrayLike<number>;
  /** (B) rewards of the completions. */
  readonly scores: readonly number[];
  /** (B) whether the token limit cut a completion off. */
  readonly truncated?: readonly boolean[];
}

export interface GaeOptions {
  /** Coefficient of the KL in the reward of a token. */
  readonly klCoefficient: number;
  readonly klEstimator: KlEstimator;
  /** Discount of later rewards, γ. */
  readonly gamma: number;
  /** λ of GAE: 0 trusts the values, 1 the rewards. */
  readonly lambda: number;
  /** Divide the rewards by their standard deviation. */
  readonly whitenRewards: boolean;
  readonly whitenAdvantages: boolean;
  /** Subtracted from the score of a completion that did not end. */
  readonly missingEndPenalty: number;
}

export const GAE_DEFAULTS: GaeOptions = {
  ...{ klCoefficient: 0.05, klEstimator: "k1", gamma: 1, lambda: 0.95 },
  ...{ whitenRewards: false, whitenAdvantages: true, missingEndPenalty: 0 },
};

export interface PpoTargets {
  /** (B,T), 0 outside the completions. */
  readonly advantages: Float32Array<ArrayBuffer>;
  readonly returns: Float32Array<ArrayBuffer>;
  /** Means per token of both estimates of the KL. */
  readonly kl: number;
  readonly klK1: number;
  /** Mean KL of a completion, k1 summed over its tokens: what an adaptive coefficient watches. */
  readonly completionKl: number;
  /** 1 − Var(return − value) / Var(return): 1 for a perfect value model, 0 for a constant; null without variance. */
  readonly explainedVariance: number | null;
}

/**
 * Advantages and returns of rollouts: the reward of a token is −coefficient · KL, that of the last one has the score as well
 * (Ziegler et al., arXiv:1909.08593, eq. 2).
 */
export function ppoTargets(rollouts: ScoredRollouts, options: GaeOptions): PpoTargets {
  const { sequence: T, scores, counted, valued = counted, truncated } = rollouts;
  const places = counted.length;
  const [kl, k1, k3] = [0, 0, 0].map(() => new Float64Array(places));
  for (let i = 0; i < places; i++) {
    if (counted[i] === 0) continue;
    const logRatio = rollouts.sampled[i] - rollouts.reference[i];
    k1[i] = logRatio;
    k3[i] = expm1Rest(-logRatio);
    kl[i] = options.klEstimator === "k1" ? k1[i] : k3[i];
  }
  let rewards = kl.map((value) => -options.klCoefficient * value);
  const values = Float64Array.from({ length: places }, (_, i) => (valued[i] === 0 ? 0 : rollouts.values[i]));
  for (const [row, score] of scores.entries()) {
    let last = (row + 1) * T - 1;
    while (last >= row * T && valued[last] === 0) last--;
    if (last >= row * T) rewards[last] += score - (truncated?.[row] ? options.missingEndPenalty : 0);
  }
  if (options.whitenRewards) rewards = whiten(rewards, valued, { keepMean: true });
  const found = generalizedAdvantages(rewards, values, valued, T, options);
  const advantages = options.whitenAdvantages ? whiten(found.advantages, counted) : found.advantages;
  return {
    advantages: Float32Array.from(advantages, (v, i) => (counted[i] === 0 ? 0 : v)),
    returns: Float32Array.from(found.returns),
    kl: moments(k3, counted).mean,
    klK1: moments(k1, counted).mean,
    completionKl: k1.reduce((a, b) => a + b, 0) / (scores.length || 1),
    explainedVariance: explainedVariance(values, found.returns, valued),
  };
}

/**
 * Generalised advantage estimation: A_t = Σ (γλ)^l δ_{t+l} with δ_t = r_t + γV_{t+1} − V_t, and returns A + V; 0 where a step has
 * no value (Schulman et al., arXiv:1506.02438, eq. 16). Nothing follows the last step of a row.
 */
export function generalizedAdvantages(
  rewards: ArrayLike<number>,
  values: ArrayLike<number>,
  valued: ArrayLike<number>,
  T: number,
  { gamma, lambda }: Pick<GaeOptions, "gamma" | "lambda">,
): { readonly advantages: Float64Array; readonly returns: Float64Array } {
  const advantages = new Float64Array(rewards.length);
  const returns = new Float64Array(rewards.length);
  for (let row = 0; row < rewards.length; row += T) {
    let [next, nextValue] = [0, 0];
    for (let i = row + T - 1; i >= row; i--) {
      if (valued[i] === 0) continue;
      next = rewards[i] + gamma * nextValue - values[i] + gamma * lambda * next;
      nextValue = values[i];
      advantages[i] = next;
      returns[i] = next + nextValue;
    }
  }
  return { advantages, returns };
}

/** Scales the counted values to variance 1, and to mean 0 unless it is kept; the others become 0. */
export function whiten(
  values: ArrayLike<number>,
  counted: ArrayLike<number>,
  { keepMean = false }: { readonly keepMean?: boolean } = {},
): Float64Array<ArrayBuffer> {
  const { mean, variance } = moments(values, counted);
  const scale = 1 / Math.sqrt(variance + 1e-8);
  return Float64Array.from({ length: values.length }, (_, i) =>
    counted[i] === 0 ? 0 : (values[i] - mean) * scale + (keepMean ? mean : 0),
  );
}

/** How much of the variance of the returns the values explain; null where the returns have none. */
export function explainedVariance(
  values: ArrayLike<number>,
  returns: ArrayLike<number>,
  counted: ArrayLike<number>,
): number | null {
  const rest = Float64Array.from({ length: values.length }, (_, i) => returns[i] - values[i]);
  const { variance } = moments(returns, counted);
  return variance === 0 ? null : 1 - moments(rest, counted).variance / variance;
}

export interface AdaptiveKl {
  /** KL of a completion that the coefficient aims at, in nats. */
  readonly target: number;
  /** Largest relative change per rollout is a fifth of this. */
  readonly gain: number;
}

/**
 * The next coefficient of an adaptive KL: proportional control in the logarithm, by at most a fifth of the gain (Ziegler et al.,
 * arXiv:1909.08593, section 2.2, with a gain of 0.1).
 */
export function nextKlCoefficient(coefficient: number, completionKl: number, { target, gain }: AdaptiveKl): number {
  const error = Math.min(0.2, Math.max(-0.2, completionKl / target - 1));
  return coefficient * (1 + gain * error);
}

/** Mean, and variance with n − 1, of the counted values; 0 without any. */
function moments(values: ArrayLike<number>, counted: ArrayLike<number>) {
  let [n, total, squares] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    if (counted[i] === 0) continue;
    n += 1;
    total += values[i];
  }
  const mean = n === 0 ? 0 : total / n;
  for (let i = 0; i < values.length; i++) if (counted[i] !== 0) squares += (values[i] - mean) ** 2;
  return { mean, variance: n < 2 ? 0 : squares / (n - 1) };
}

/** eˣ − 1 − x ≥ 0, by its series near 0, where the difference would lose its digits. */
function expm1Rest(x: number): number {
  return Math.abs(x) < 1e-3 ? ((x * x) / 2) * (1 + (x / 3) * (1 + x / 4)) : Math.expm1(x) - x;
}
