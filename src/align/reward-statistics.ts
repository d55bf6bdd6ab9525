/** @file How good a reward model is on held-out pairs: accuracy with its confidence interval, and calibration. */

/** z of a two-sided interval of 95 %. */
const Z = 1.959963984540054;

/**
 * The 95 % confidence interval of a proportion (Wilson, "Probable inference, the law of succession, and statistical
 * inference", JASA 1927).
 */
export function wilsonInterval(successes: number, trials: number): readonly [low: number, high: number] {
  if (trials === 0) return [0, 1];
  const share = successes / trials;
  const spread = 1 + Z ** 2 / trials;
  const middle = (share + Z ** 2 / (2 * trials)) / spread;
  const half = (Z / spread) * Math.sqrt((share * (1 - share)) / trials + Z ** 2 / (4 * trials ** 2));
  // The ends are exact, whatever is rounded.
  return [successes === 0 ? 0 : middle - half, successes === trials ? 1 : middle + half];
}

/** The rewards of both answers of a pair. */
export interface PairRewards {
  readonly chosen: number;
  readonly rejected: number;
  /** How much better the chosen answer should be. */
  readonly margin: number;
}

/** The loss of `losses/reward.ts` and its metrics over all pairs. */
export function pairLosses(pairs: readonly PairRewards[], center: number) {
  const mean = (of: (pair: PairRewards) => number) => pairs.reduce((total, pair) => total + of(pair), 0) / pairs.length;
  const preference = mean(({ chosen, rejected, margin }) => minusLogSigmoid(chosen - rejected - margin));
  const centering = mean(({ chosen, rejected }) => (chosen + rejected) ** 2);
  const [reward_chosen, reward_rejected] = [mean(({ chosen }) => chosen), mean(({ rejected }) => rejected)];
  const reward = (reward_chosen + reward_rejected) / 2;
  const variance = mean(({ chosen, rejected }) => ((chosen - reward) ** 2 + (rejected - reward) ** 2) / 2);
  const right = pairs.filter(({ chosen, rejected }) => chosen > rejected).length;
  const [accuracy_low, accuracy_high] = wilsonInterval(right, pairs.length);
  return {
    loss: preference + center * centering,
    metrics: {
      ...{ accuracy: right / pairs.length, accuracy_low, accuracy_high, margin: reward_chosen - reward_rejected },
      ...{ reward, reward_std: Math.sqrt(variance), reward_chosen, reward_rejected },
      ...(center > 0 && { preference, centering }),
    },
  };
}

const minusLogSigmoid = (x: number) => Math.log1p(Math.exp(-Math.abs(x))) + Math.max(0, -x);

/** Pairs for which the model gives its choice a probability in a range. */
export interface ReliabilityBin {
  readonly from: number;
  readonly to: number;
  readonly pairs: number;
  /** Mean probability that the model gives the answer that it prefers; null for an empty bin. */
  readonly confidence: number | null;
  /** Share of the pairs in which that answer is the chosen one; null for an empty bin. */
  readonly accuracy: number | null;
}

export interface PairStatistics {
  readonly pairs: number;
  /** Share of the pairs whose chosen answer has the higher reward, with the 95 % confidence interval. */
  readonly accuracy: number;
  readonly accuracy_low: number;
  readonly accuracy_high: number;
  /**
   * Expected calibration error of σ(|margin|): the mean distance between confidence and accuracy over the bins, weighted by
   * their pairs (Guo et al., arXiv:1706.04599).
   */
  readonly calibration_error: number;
  readonly reliability: readonly ReliabilityBin[];
}

const BINS = 10;

/** @param margins reward of the chosen answer less that of the rejected one, for each pair */
export function pairStatistics(margins: readonly number[]): PairStatistics {
  const pairs = margins.length;
  const right = margins.filter((margin) => margin > 0).length;
  const bins = Array.from({ length: BINS }, () => ({ pairs: 0, confidence: 0, right: 0 }));
  for (const margin of margins) {
    const confidence = 1 / (1 + Math.exp(-Math.abs(margin))); // ½ … 1
    const bin = bins[Math.min(BINS - 1, Math.floor((confidence - 0.5) * 2 * BINS))];
    bin.pairs += 1;
    bin.confidence += confidence;
    if (margin > 0) bin.right += 1;
  }
  const [accuracy_low, accuracy_high] = wilsonInterval(right, pairs);
  const edge = (b: number) => Number((0.5 + b / (2 * BINS)).toFixed(4));
  const mean = (total: number, count: number) => (count === 0 ? null : total / count);
  return {
    pairs,
    accuracy: pairs === 0 ? 0 : right / pairs,
    accuracy_low,
    accuracy_high,
    calibration_error: bins.reduce(
      (total, bin) => total + Math.abs(bin.confidence - bin.right) / Math.max(1, pairs),
      0,
    ),
    reliability: bins.map((bin, b) => ({
      ...{ from: edge(b), to: edge(b + 1), pairs: bin.pairs },
      ...{ confidence: mean(bin.confidence, bin.pairs), accuracy: mean(bin.right, bin.pairs) },
    })),
  };
}
