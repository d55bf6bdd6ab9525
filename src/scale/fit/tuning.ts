/**
 * @file The best learning rate and batch over compute: among runs of one size and budget that differ only in it, the minimum of
 * a parabola in its logarithm, then a power law through the minima (Bi et al., arXiv:2401.02954, section 3.1).
 */
import type { PowerLaw } from "../../train/index.js";
import type { ScalingRun } from "../run-table/run-table.js";
import { budgetsOf } from "./iso-flop.js";
import { fitParabola, fitPowerLaw } from "./power-law.js";

export interface TuningFit extends PowerLaw {
  /** The minima that it goes through. */
  readonly points: readonly { readonly flops: number; readonly value: number; readonly isEdge: boolean }[];
}

const SAME_SIZE = 1.02;

/** Fits the best value over FLOPs; null unless two budgets have at least three different values at one size. */
export function fitTuning(runs: readonly ScalingRun[], key: "learningRate" | "batch"): TuningFit | null {
  const points = budgetsOf(runs).flatMap((budget) => {
    const sizes = new Map<number, ScalingRun[]>();
    for (const run of budget.runs) {
      if (run[key] === null) continue;
      const size = [...sizes.keys()].find((known) => Math.abs(Math.log(run.params / known)) < Math.log(SAME_SIZE));
      if (size === undefined) sizes.set(run.params, [run]);
      else sizes.get(size)?.push(run);
    }
    return [...sizes.values()].flatMap((group) => {
      const values = new Set(group.map((run) => run[key]));
      if (values.size < 3) return [];
      const logs = group.map((run) => [Math.log(run[key] as number), run.loss] as const);
      const parabola = fitParabola(logs);
      const [low, high] = [Math.min(...logs.map(([x]) => x)), Math.max(...logs.map(([x]) => x))];
      if (parabola === null) return [];
      // A minimum outside of the values tried is only known to be beyond the edge.
      const isEdge = parabola.vertex < low || parabola.vertex > high;
      const value = Math.exp(Math.min(high, Math.max(low, parabola.vertex)));
      return [{ flops: budget.flops, value, isEdge }];
    });
  });
  if (new Set(points.map(({ flops }) => flops)).size < 2) return null;
  return { ...fitPowerLaw(points.map(({ flops, value }) => [flops, value] as const)), points };
}
