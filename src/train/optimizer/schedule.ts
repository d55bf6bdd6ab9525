/** @file The learning rate of each step. */

export const SCHEDULES = ["cosine", "linear", "constant", "wsd"] as const;

export interface Schedule {
  /**
   * What follows the warm-up: half a cosine down to the final share (Loshchilov and Hutter, arXiv:1608.03983), a straight
   * line down to it, the highest rate to the end, or the highest rate and then a fall over the last `decaySteps`
   * (warmup–stable–decay: Hu et al., arXiv:2404.06395), which is 1 − √progress (Hägele et al., arXiv:2405.18392).
   */
  readonly kind: (typeof SCHEDULES)[number];
  /** The highest rate. */
  readonly learningRate: number;
  /** Steps of linear rise from 0 to the highest rate. */
  readonly warmupSteps: number;
  /** Steps of the fall at the end of `wsd`; the others fall all the way. */
  readonly decaySteps: number;
  /** The last rate, as a share of the highest. */
  readonly finalShare: number;
}

/**
 * The rate of a step. The warm-up takes a fifth of the run at most, the decay of `wsd` what is left at most.
 * @param step from 0
 * @param steps of the whole run
 */
export function learningRateAt(step: number, steps: number, schedule: Schedule): number {
  const { kind, learningRate, finalShare } = schedule;
  const warmup = Math.min(schedule.warmupSteps, Math.ceil(steps / 5));
  if (step < warmup) return (learningRate * (step + 1)) / warmup;
  const falls = kind === "wsd" ? Math.min(schedule.decaySteps, steps - warmup) : steps - warmup;
  const progress = Math.min(1, Math.max(0, (step - (steps - falls)) / Math.max(1, falls)));
  return learningRate * (finalShare + (1 - finalShare) * shareLeft(kind, progress));
}

/** What is left of the fall, 1 … 0, after so much of it, 0 … 1. */
function shareLeft(kind: Schedule["kind"], progress: number): number {
  switch (kind) {
    case "cosine":
      return 0.5 * (1 + Math.cos(Math.PI * progress));
    case "linear":
      return 1 - progress;
    case "constant":
      return 1;
    case "wsd":
      return 1 - Math.sqrt(progress);
  }
  return kind satisfies never;
}
