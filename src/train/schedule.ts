/** @file The learning rate of each step. */

export interface Schedule {
  /** The highest rate. */
  readonly learningRate: number;
  /** Steps of linear rise from 0 to the highest rate. */
  readonly warmupSteps: number;
  /** The last rate, as a share of the highest. */
  readonly finalShare: number;
}

/**
 * Linear warm-up (over a fifth of the run at most), then half a cosine down to the final share (Loshchilov and Hutter, arXiv:1608.03983).
 * @param step from 0
 * @param steps of the whole run
 */
export function learningRateAt(
  step: number,
  steps: number,
  { learningRate, warmupSteps, finalShare }: Schedule,
): number {
  const warmup = Math.min(warmupSteps, Math.ceil(steps / 5));
  if (step < warmup) return (learningRate * (step + 1)) / warmup;
  const progress = Math.min(1, (step - warmup) / Math.max(1, steps - warmup));
  return learningRate * (finalShare + (1 - finalShare) * 0.5 * (1 + Math.cos(Math.PI * progress)));
}
