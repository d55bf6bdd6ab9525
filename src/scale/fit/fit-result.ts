/** @file The result of a fit, as `--json` prints it, and the optimum for a budget with its band. */
import { powerAt, type ScalingLaw } from "../../train/index.js";
import type { ExcludedRun } from "../run-table/run-table.js";
import type { FittedLaw, HOFFMANN } from "./approaches.js";
import type { DownstreamFit } from "./downstream.js";
import type { CheckedFitOptions } from "./fit-options.js";
import type { RepeatedFit } from "./repeated.js";
import type { TuningFit } from "./tuning.js";
import { type ConstantsTest, type Interval, intervalOf } from "./uncertainty.js";

/** The best size and tokens for a budget. Intervals are of the expected value, at 95 %; null without a bootstrap. */
export interface OptimalRow {
  readonly flops: number;
  readonly params: number;
  readonly tokens: number;
  readonly loss: number;
  readonly tokens_per_param: number;
  readonly params_interval: Interval | null;
  readonly tokens_interval: Interval | null;
  readonly tokens_per_param_interval: Interval | null;
  readonly loss_interval: Interval | null;
  /** Whether the budget lies outside of the data. */
  readonly extrapolated: boolean;
}

/** What `--json` prints. */
export interface FitResult {
  readonly approach: CheckedFitOptions["approach"];
  /** Constants of the parametric form; null for the other approaches. */
  readonly A: number | null;
  readonly B: number | null;
  readonly E: number | null;
  readonly alpha: number | null;
  readonly beta: number | null;
  readonly kaplan: ScalingLaw["kaplan"];
  /** Sum of Huber losses; null for isoflop and envelope. */
  readonly objective: number | null;
  /** 95 % bootstrap intervals by name: the constants, and exponents a of params and b of tokens over compute. */
  readonly intervals: FittedLaw["intervals"];
  readonly intervals_80: FittedLaw["intervals"];
  readonly hessian_intervals: FittedLaw["intervals"];
  readonly standard_errors: FittedLaw["standardErrors"];
  /** Optimal params ∝ C^a, tokens ∝ C^b. */
  readonly exponents: { readonly a: number; readonly b: number };
  readonly optimal: readonly OptimalRow[];
  /** Wald's test of the constants that Hoffmann et al. published, for data from their figure. */
  readonly hoffmann: (ConstantsTest & typeof HOFFMANN) | null;
  /** The same fit over params without embeddings, if they are known. */
  readonly without_embeddings: WithoutEmbeddings | null;
  readonly learning_rate: TuningFit | null;
  readonly batch: TuningFit | null;
  readonly repeated: RepeatedFit | null;
  /** Accuracy over loss; task and metric are null for a column of the table. */
  readonly downstream: (DownstreamFit & { readonly task: string | null; readonly metric: string | null }) | null;
  readonly bits_per_byte_per_nat: number | null;
  readonly range: ScalingLaw["range"];
  readonly runs: number;
  readonly excluded: readonly ExcludedRun[];
  readonly bootstrap: number;
  readonly seed: number;
  readonly warnings: readonly string[];
  /** Written files; null without `out`. */
  readonly law: string | null;
  readonly report: string | null;
}

export interface WithoutEmbeddings {
  readonly A: number;
  readonly B: number;
  readonly E: number;
  readonly alpha: number;
  readonly beta: number;
  readonly objective: number;
  readonly exponents: { readonly a: number; readonly b: number };
}

/** The optimum for a budget, with its band over the bootstrap draws. */
export function optimalRow(
  flops: number,
  { frontier, lossAt, draws }: Pick<FittedLaw, "frontier" | "lossAt" | "draws">,
  range: Pick<ScalingLaw, "range">["range"],
): OptimalRow {
  const [params, tokens] = [powerAt(frontier.params, flops), powerAt(frontier.tokens, flops)];
  const of = (value: (draw: FittedLaw["draws"][number]) => number) =>
    draws.length === 0 ? null : intervalOf(draws.map(value), 0.95);
  return {
    ...{ flops, params, tokens, loss: lossAt(flops), tokens_per_param: tokens / params },
    params_interval: of((draw) => powerAt(draw.frontier.params, flops)),
    tokens_interval: of((draw) => powerAt(draw.frontier.tokens, flops)),
    tokens_per_param_interval: of(
      (draw) => powerAt(draw.frontier.tokens, flops) / powerAt(draw.frontier.params, flops),
    ),
    loss_interval: of((draw) => draw.lossAt(flops)),
    extrapolated: flops < range.flops[0] / 1.05 || flops > range.flops[1] * 1.05,
  };
}
