/**
 * @file Repeated data (Muennighoff et al., arXiv:2305.16264): training tokens D of U unique ones count as
 * D' = U + U·R_D·(1 − exp(−r/R_D)), with r = D/U − 1 repetitions; params beyond the optimum U_N of the unique tokens likewise,
 * with R_N.
 */
import {
  flopsForLawTokens,
  type ParametricLaw,
  parametricFrontier,
  parametricLoss,
  powerAt,
} from "../../train/index.js";
import type { ScalingRun } from "../run-table/run-table.js";
import { Minimiser } from "./lbfgs.js";
import { numericObjective } from "./numeric.js";
import { HUBER } from "./objective.js";

/** Up to this many epochs, repeated tokens teach about as much as new ones (figure 1 there). */
export const FULL_EPOCHS = 4;

/** Excess params whose value would decay only beyond this many times the needed ones do not lose any. */
const NO_DECAY = 1000;

export interface RepeatedFit {
  /** Repetitions after which another adds 1/e of the first: the paper found 15.4 for tokens and 5.3 for params. */
  readonly R_D: number;
  /** Null if no run has more params than its unique tokens need, or if such params lose no value. */
  readonly R_N: number | null;
  readonly runs: number;
  readonly most_epochs: number;
  readonly objective: number;
}

const decayed = (unique: number, total: number, R: number) =>
  total <= unique ? total : unique + unique * R * (1 - Math.exp(-(total / unique - 1) / R));

/** The params for which `unique` tokens are optimal. */
function neededParams(law: ParametricLaw, unique: number): number {
  const frontier = parametricFrontier(law);
  return powerAt(frontier.params, flopsForLawTokens({ frontier }, unique));
}

/** The loss of a run on repeated data. */
export function repeatedLoss(
  law: ParametricLaw,
  { R_D, R_N }: Pick<RepeatedFit, "R_D" | "R_N">,
  run: { readonly params: number; readonly tokens: number; readonly unique: number },
): number {
  const { params, tokens, unique } = run;
  if (tokens <= unique) return parametricLoss(law, params, tokens);
  const N = R_N === null ? params : decayed(neededParams(law, unique), params, R_N);
  return parametricLoss(law, N, decayed(unique, tokens, R_D));
}

/** Fits R_D and R_N to the runs of more than one epoch, given the law of new data; null with fewer than four of them. */
export function fitRepeated(law: ParametricLaw, runs: readonly ScalingRun[]): RepeatedFit | null {
  const repeated = runs.flatMap(({ params, tokens, uniqueTokens, loss }) =>
    uniqueTokens !== null && tokens > 1.5 * uniqueTokens ? [{ params, tokens, unique: uniqueTokens, loss }] : [],
  );
  if (repeated.length < 4) return null;
  const hasExcess = repeated.some(({ params, unique }) => params > 1.1 * neededParams(law, unique));
  const huber = (r: number) => (Math.abs(r) <= HUBER ? 0.5 * r * r : HUBER * (Math.abs(r) - 0.5 * HUBER));
  const constants = (x: Float64Array) => ({ R_D: Math.exp(x[0]), R_N: hasExcess ? Math.exp(x[1]) : null });
  const value = (x: Float64Array) =>
    repeated.reduce((sum, run) => sum + huber(Math.log(run.loss / repeatedLoss(law, constants(x), run))), 0);
  const size = hasExcess ? 2 : 1;
  const minimiser = new Minimiser(numericObjective(value, size), size);
  let best = minimiser.minimise(Float64Array.from({ length: size }, () => Math.log(5)));
  for (const d of [1, 15, 50])
    for (const n of hasExcess ? [1, 5, 50] : [1]) {
      const found = minimiser.minimise(Float64Array.of(Math.log(d), Math.log(n)).subarray(0, size));
      if (found.value < best.value) best = found;
    }
  const { R_D, R_N } = constants(best.x);
  return {
    ...{ R_D, R_N: R_N !== null && R_N > NO_DECAY ? null : R_N },
    runs: repeated.length,
    most_epochs: Math.max(...repeated.map(({ tokens, unique }) => tokens / unique)),
    objective: best.value,
  };
}
