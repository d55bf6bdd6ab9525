/** @file Learning rate schedules. */

export const SCHEDULES = ["cosine", "linear", "constant", "wsd"] as const;

export interface Schedule {
  /**
   * Shape after the warm-up. `cosine`: half a cosine down to the final rate (Loshchilov and Hutter, arXiv:1608.03983).
   * `linear`: a straight line down to it. `constant`: the peak rate. `wsd` (warmup–stable–decay: Hu et al.,
   * arXiv:2404.06395): the peak rate, then a decay by 1 − √progress over the last `decaySteps` (Hägele et al.,
   * arXiv:2405.18392).
   */
  readonly kind: (typeof SCHEDULES)[number];
  /** Peak learning rate. */
  readonly learningRate: number;
  /** Steps of linear warm-up from 0 to the peak rate. */
  readonly warmupSteps: number;
  /** Steps of the final decay of `wsd`; ignored by the other schedules, which decay from the warm-up to the end. */
  readonly decaySteps: number;
  /** Final rate as a share of the peak. */
  readonly finalShare: number;
}

/**
 * Returns the learning rate of a step. The warm-up is limited to a fifth of the run, the decay of `wsd` to the steps after it.
 * @param step counted from 0
 * @param steps steps of the whole run
 */
export function learningRateAt(step: number, steps: number, schedule: Schedule): number {
  const { kind, learningRate, finalShare } = schedule;
  const warmup = Math.min(schedule.warmupSteps, Math.ceil(steps / 5));
  if (step < warmup) return (learningRate * (step + 1)) / warmup;
  const decaySteps = kind === "wsd" ? Math.min(schedule.decaySteps, steps - warmup) : steps - warmup;
  const progress = Math.min(1, Math.max(0, (step - (steps - decaySteps)) / Math.max(1, decaySteps)));
  return learningRate * (finalShare + (1 - finalShare) * decayFactor(kind, progress));
}

/** Falls from 1 to 0 as `progress` rises from 0 to 1. */
function decayFactor(kind: Schedule["kind"], progress: number): number {
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
