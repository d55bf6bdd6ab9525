/**
 * @file Accuracy of a downstream task from held-out loss: a sigmoid from the floor (chance) to the top, as Llama 3's report
 * (arXiv:2407.21783, section 3.2.1) and Gadre et al. (arXiv:2403.08540) use it.
 */
import type { ScalingRun } from "../run-table/run-table.js";
import { Minimiser } from "./lbfgs.js";
import { numericObjective } from "./numeric.js";

/** accuracy = floor + (top − floor) / (1 + exp(slope · (loss − midpoint))) */
export interface DownstreamFit {
  readonly floor: number;
  readonly top: number;
  readonly slope: number;
  readonly midpoint: number;
  /** Root mean square error. */
  readonly error: number;
  readonly runs: number;
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

export const accuracyAt = ({ floor, top, slope, midpoint }: Omit<DownstreamFit, "error" | "runs">, loss: number) =>
  floor + (top - floor) * sigmoid(-slope * (loss - midpoint));

/**
 * Fits the sigmoid by least squares; null with fewer than five runs with an accuracy.
 * @param chance accuracy of guessing; without it, the floor is fitted too
 */
export function fitDownstream(runs: readonly ScalingRun[], chance: number | null): DownstreamFit | null {
  const points = runs.flatMap(({ loss, accuracy }) => (accuracy === null ? [] : [{ loss, accuracy }]));
  if (points.length < 5) return null;
  // Variables: ln slope, midpoint, the top's and the floor's logits; the top lies above the floor.
  const constants = (x: Float64Array) => {
    const floor = chance ?? sigmoid(x[3]);
    return { floor, top: floor + (1 - floor) * sigmoid(x[2]), slope: Math.exp(x[0]), midpoint: x[1] };
  };
  const value = (x: Float64Array) => {
    const law = constants(x);
    return points.reduce((sum, { loss, accuracy }) => sum + (accuracy - accuracyAt(law, loss)) ** 2, 0);
  };
  const size = chance === null ? 4 : 3;
  const minimiser = new Minimiser(numericObjective(value, size), size);
  const losses = points.map(({ loss }) => loss).sort((a, b) => a - b);
  const least = Math.min(0.95, Math.max(0.02, Math.min(...points.map(({ accuracy }) => accuracy))));
  let best: { readonly x: Float64Array; readonly value: number } | null = null;
  for (const slope of [1, 4, 12])
    for (const share of [0, 0.25, 0.5, 0.75])
      for (const top of [-1, 1, 3]) {
        const midpoint = losses[Math.floor(share * (losses.length - 1))];
        const start = Float64Array.of(Math.log(slope), midpoint, top, Math.log(least / (1 - least)));
        const found = minimiser.minimise(start.subarray(0, size), { tolerance: 1e-10 });
        if (best === null || found.value < best.value) best = found;
      }
  const { x, value: sum } = best as { readonly x: Float64Array; readonly value: number };
  return { ...constants(x), error: Math.sqrt(sum / points.length), runs: points.length };
}
