/**
 * @file The second approach of Hoffmann et al. (arXiv:2203.15556, section 3.2): a parabola in log N through the losses of each
 * budget, whose vertex is the optimal size, then power laws through the vertices.
 */
import { randomStream } from "../../model/index.js";
import type { ScalingRun } from "../run-table/run-table.js";
import { fitParabola, fitPowerLaw, type Parabola } from "./power-law.js";

/** The runs of one budget. */
export interface Budget {
  /** The median of the runs' FLOPs. */
  readonly flops: number;
  readonly runs: readonly ScalingRun[];
}

/** A budget with its parabola. */
export interface FittedBudget extends Budget {
  /** In ln N. */
  readonly parabola: Parabola;
  /** Whether the vertex lies outside of the sizes of the runs. */
  readonly isOutside: boolean;
}

/** FLOPs that differ by less than this factor are one budget. */
const SAME_BUDGET = 1.12;

/** Groups runs by budget, ascending. */
export function budgetsOf(runs: readonly ScalingRun[]): Budget[] {
  const sorted = [...runs].sort((a, b) => a.flops - b.flops);
  const groups: ScalingRun[][] = [];
  for (const run of sorted) {
    const group = groups.at(-1);
    if (group !== undefined && run.flops <= SAME_BUDGET * group[0].flops) group.push(run);
    else groups.push([run]);
  }
  return groups.map((group) => ({ flops: group[Math.floor(group.length / 2)].flops, runs: group }));
}

/** A loss is a parabola only near its minimum: runs farther from the vertex than this factor are left out, if five remain. */
const NEAR = 5;
const FEWEST_NEAR = 5;

/** Fits the parabola of a budget; null if fewer than three sizes, or no minimum. */
export function fitBudget(budget: Budget, losses?: ArrayLike<number>): FittedBudget | null {
  const points = budget.runs.map(({ params, loss }, i) => [Math.log(params), losses?.[i] ?? loss] as const);
  const first = fitParabola(points);
  if (first === null) return null;
  const near = points.filter(([x]) => Math.abs(x - first.vertex) <= Math.log(NEAR));
  const second = near.length >= FEWEST_NEAR && near.length < points.length ? fitParabola(near) : null;
  const parabola = second ?? first;
  const sizes = points.map(([x]) => x);
  const isOutside = parabola.vertex < Math.min(...sizes) || parabola.vertex > Math.max(...sizes);
  return { ...budget, parabola, isOutside };
}

export interface IsoFlopFit {
  readonly budgets: readonly FittedBudget[];
  /** Budgets without a parabola. */
  readonly skipped: readonly Budget[];
  readonly params: { readonly coefficient: number; readonly exponent: number };
  readonly tokens: { readonly coefficient: number; readonly exponent: number };
}

export function fitIsoFlop(budgets: readonly Budget[]): IsoFlopFit | null {
  const fitted = budgets.map((budget) => fitBudget(budget));
  return lawsOf(
    fitted.filter((budget) => budget !== null),
    budgets.filter((_, i) => fitted[i] === null),
  );
}

function lawsOf(budgets: readonly FittedBudget[], skipped: readonly Budget[]): IsoFlopFit | null {
  if (budgets.length < 2) return null;
  // A vertex outside of the sizes is an extrapolation; it counts only if there are too few others.
  const inside = budgets.filter(({ isOutside }) => !isOutside);
  const sizes = (inside.length >= 2 ? inside : budgets).map(
    ({ flops, parabola }) => [flops, Math.exp(parabola.vertex)] as const,
  );
  return {
    ...{ budgets, skipped },
    params: fitPowerLaw(sizes),
    tokens: fitPowerLaw(sizes.map(([flops, params]) => [flops, flops / (6 * params)] as const)),
  };
}

/**
 * Draws fits from resampled residuals of the parabolas (Efron and Tibshirani, "An introduction to the bootstrap", section 9.5):
 * a budget has too few runs to resample them. Draws with fewer parabolas than the fit are left out.
 */
export function bootstrapIsoFlop(fit: IsoFlopFit, draws: number, seed: number): IsoFlopFit[] {
  const residuals = fit.budgets.flatMap(({ runs, parabola: p }) => {
    const scale = Math.sqrt(runs.length / Math.max(1, runs.length - 3));
    return runs.map(({ params, loss }) => scale * (loss - p.lowest - p.curvature * (Math.log(params) - p.vertex) ** 2));
  });
  const found: IsoFlopFit[] = [];
  for (let draw = 0; draw < draws; draw++) {
    const random = randomStream(seed, `isoflop draw ${draw}`);
    let at = 0;
    const budgets = fit.budgets.map((budget) => {
      const { runs, parabola: p } = budget;
      const losses = runs.map(
        ({ params }) =>
          p.lowest +
          p.curvature * (Math.log(params) - p.vertex) ** 2 +
          residuals[Math.floor(random.uniform(at++) * residuals.length)],
      );
      return fitBudget(budget, losses);
    });
    const fitted = budgets.filter((budget) => budget !== null);
    const drawn = fitted.length === fit.budgets.length ? lawsOf(fitted, []) : null;
    if (drawn !== null) found.push(drawn);
  }
  return found;
}
