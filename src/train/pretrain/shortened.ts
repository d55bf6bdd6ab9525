/** @file What a run that was shortened to end in time gave up. */
import { type ParametricLaw, parametricOf, type ScalingLaw } from "../law.js";
import { endOf, type RunPlan } from "../run/plan.js";

/** A run that trained fewer steps than planned. */
export interface Shortened {
  readonly planned_steps: number;
  readonly steps: number;
  /** Estimated gain of the steps that were left out, in bits per byte of held-out text. */
  readonly bits_per_byte: number;
}

/** Fitted to 40 runs on the starter corpus (docs/scaling.md). */
const STARTER_CORPUS = { B: 34.3, beta: 0.202 };

/**
 * Returns what the cuts of a plan cost: B·(D₂^−β − D₁^−β) nats per token for D₂ instead of D₁ tokens (Hoffmann et al.,
 * arXiv:2203.15556, equation 2); null if the plan has no cuts.
 * @param law the user's; without one, or for another form, that of the starter corpus
 * @param bitsPerNat bits per byte of one nat per token, on this run's held-out text
 */
export function shortenedOf(
  plan: Pick<RunPlan, "steps" | "cuts" | "batch" | "accumulate" | "sequence">,
  law: ScalingLaw | null,
  bitsPerNat: number,
): Shortened | null {
  const steps = endOf(plan as RunPlan);
  if (steps >= plan.steps) return null;
  const { B, beta }: Pick<ParametricLaw, "B" | "beta"> = (law && parametricOf(law)) ?? STARTER_CORPUS;
  const each = plan.batch * plan.accumulate * plan.sequence;
  const nats = B * ((steps * each) ** -beta - (plan.steps * each) ** -beta);
  return { planned_steps: plan.steps, steps, bits_per_byte: nats * bitsPerNat };
}

/** Returns the cost as one line. */
export const shortenedLine = ({ planned_steps, steps, bits_per_byte }: Shortened): string =>
  `the machine was slower than when the run was planned: ${steps} of ${planned_steps} steps, which cost about ` +
  `${bits_per_byte.toFixed(3)} bits per byte (estimated by a scaling law)`;
