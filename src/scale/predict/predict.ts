/** @file `quern scale predict`: what a law says about a budget, with intervals, and the plan of the run. */
import type { z } from "zod";
import { peakOnce } from "../../backends/index.js";
import { withOutput, writeFileAtomic } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import {
  flopsForParams,
  kaplanLoss,
  lossOf,
  optimumOf,
  type PlanAhead,
  parametricLoss,
  parametricOf,
  planAhead,
  powerAt,
  readLaw,
  type ScalingLaw,
} from "../../train/index.js";
import { accuracyAt } from "../fit/downstream.js";
import { type Interval, intervalOf } from "../fit/uncertainty.js";
import { hardwareOf, trainingDType } from "../plan/hardware.js";
import { type CheckedPlan, checkPlan, type PredictionCheck, sweepOfLaw } from "./check.js";
import { type ServedModel, sizeForServing } from "./inference-aware.js";
import { type CheckedPredictOptions, predictOptions } from "./predict-options.js";

export type PredictOptions = z.input<typeof predictOptions> & {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
};

export interface Prediction {
  readonly flops: number;
  readonly params: number;
  readonly tokens: number;
  readonly tokens_per_param: number;
  /** Expected held-out loss in nats per token. */
  readonly loss: number;
  /** 95 % interval of one run's loss: of the law and of a run around it; null without a bootstrap. */
  readonly loss_interval: Interval | null;
  readonly bits_per_byte: number | null;
  readonly bits_per_byte_interval: Interval | null;
  readonly accuracy: number | null;
  readonly learning_rate: number;
  /** Tokens per step. */
  readonly batch: number;
  /** Whether the run lies outside of the data that the law was fitted to. */
  readonly extrapolated: boolean;
  /** How far the budget is beyond the largest of the data. */
  readonly times_largest: number;
  /** The cheaper model of the same loss; null without `served`. */
  readonly serving: ServedModel | null;
  /** The plan, as `quern pretrain --plan` reads it; its path with `out`. */
  readonly plan: PlanAhead | string;
  /** The model and tokens of the plan, which are rounded to whole layers and steps, and their loss. */
  readonly planned: Pick<CheckedPlan, "params" | "tokens" | "loss" | "loss_interval">;
  /** The trained plan beside its prediction; null without `check`. */
  readonly check: PredictionCheck | null;
  readonly warnings: readonly string[];
}

/** Predicts a run. @throws QuernError for no budget or several, or a law that does not cover the run */
export async function predictRun({ signal, onProgress, ...given }: PredictOptions): Promise<Prediction> {
  const o = checkOptions(predictOptions, given);
  const law = await readLaw(o.law);
  const sweep = o.check ? await sweepOfLaw({ path: o.law, source: law.source }, o.sweep) : null;
  const { params, tokens } = await sizeOf(o, law, signal);
  const flops = 6 * params * tokens;
  const loss = lossOf(law, params, tokens);
  if (loss === null) {
    throw new QuernError(
      `an ${law.approach} law predicts only the best size for a budget; leave --params and --tokens out, or fit with --approach parametric`,
      { exitCode: 2 },
    );
  }
  const interval = lossInterval(law, params, tokens, loss);
  const bits = law.bits_per_byte_per_nat;
  const outside = (["params", "tokens", "flops"] as const).filter((key) => {
    const [low, high] = law.range[key];
    const value = { params, tokens, flops }[key];
    return value < low / 1.02 || value > high * 1.02;
  });
  const { schedule: kind, dtype, vocabSize: swept, textBytes, runs } = sweep?.config ?? {};
  const options = { schedule: kind, dtype, sequence: runs?.[0].sequence };
  const vocabSize = swept ?? o.vocabSize;
  const plan = await planAhead({ law: o.law, flops, params, tokens: o.tokens, vocabSize, options, textBytes, signal });
  const { schedule, batch, accumulate, sequence } = plan.plan;
  const warnings = [
    ...(outside.length === 0 ? [] : [`extrapolated: ${outside.join(", ")} lie outside of the data`]),
    ...(interval === null ? ["the law has no bootstrap draws, so there is no interval; fit it with --bootstrap"] : []),
    ...plan.plan.warnings,
  ];
  const prediction: Prediction = {
    ...{ flops, params, tokens, tokens_per_param: tokens / params, loss, loss_interval: interval },
    bits_per_byte: bits === null ? null : bits * loss,
    bits_per_byte_interval: bits === null || interval === null ? null : [bits * interval[0], bits * interval[1]],
    accuracy: law.downstream === null ? null : accuracyAt(law.downstream, loss),
    learning_rate: schedule.learningRate,
    batch: batch * accumulate * sequence,
    ...{ extrapolated: outside.length > 0, times_largest: flops / law.range.flops[1] },
    serving: o.served === undefined ? null : sizeForServing(law, loss, params, tokens, o.served),
    ...{ plan, planned: plannedLoss(law, plan, loss), check: null, warnings },
  };
  const check = async (): Promise<Prediction> => {
    if (sweep === null) return prediction;
    const calls = { threads: o.threads, signal, onProgress };
    return { ...prediction, check: await checkPlan({ plan, ...prediction.planned }, sweep, calls) };
  };
  const { out } = o;
  if (out === undefined) return check();
  return withOutput({ verb: "scale predict", out, inputs: [o.law], force: o.force }, async () => {
    await writeFileAtomic(out, `${JSON.stringify(plan, null, 2)}\n`);
    return { ...(await check()), plan: out };
  });
}

/** What the law says about the plan itself. A law of the frontier alone has one loss for a budget. */
function plannedLoss(
  law: ScalingLaw,
  { plan: { parameters, steps, batch, accumulate, sequence } }: PlanAhead,
  wanted: number,
): Prediction["planned"] {
  const tokens = steps * batch * accumulate * sequence;
  const loss = lossOf(law, parameters, tokens) ?? wanted;
  return { params: parameters, tokens, loss, loss_interval: lossInterval(law, parameters, tokens, loss) };
}

/** The size and tokens asked for, or the best ones for the budget. */
async function sizeOf(o: CheckedPredictOptions, law: ScalingLaw, signal: AbortSignal | undefined) {
  const budgets = (["flops", "minutes", "hours"] as const).filter((key) => o[key] !== undefined);
  if (budgets.length > 1) {
    throw new QuernError(`--${budgets.join(" and --")} are both budgets; give only one`, { exitCode: 2 });
  }
  if (budgets.length === 1 && o.params !== undefined && o.tokens !== undefined) {
    throw new QuernError("--params and --tokens already are a budget; leave the other one out", { exitCode: 2 });
  }
  if (budgets.length === 0) {
    if (o.params === undefined && o.tokens === undefined && o.check) {
      const flops = CHECKED * law.range.flops[1];
      const { params } = optimumOf(law, flops);
      return { params, tokens: flops / (6 * params) };
    }
    if (o.params === undefined && o.tokens === undefined) {
      throw new QuernError("give a budget: --flops, --minutes, --hours, or --params and --tokens", { exitCode: 2 });
    }
    if (o.params !== undefined && o.tokens !== undefined) return { params: o.params, tokens: o.tokens };
    // One of the two: the other follows from the frontier.
    if (o.params !== undefined)
      return { params: o.params, tokens: optimumOf(law, flopsForParams(law, o.params)).tokens };
    const { coefficient, exponent } = law.frontier.tokens;
    const flops = ((o.tokens as number) / coefficient) ** (1 / exponent);
    return { params: powerAt(law.frontier.params, flops), tokens: o.tokens as number };
  }
  const flops = await flopsOf(o, signal);
  if (o.params !== undefined) return { params: o.params, tokens: flops / (6 * o.params) };
  if (o.tokens !== undefined) return { params: flops / (6 * o.tokens), tokens: o.tokens };
  const { params } = optimumOf(law, flops);
  return { params, tokens: flops / (6 * params) };
}

async function flopsOf(o: CheckedPredictOptions, signal: AbortSignal | undefined): Promise<number> {
  if (o.flops !== undefined) return o.flops;
  if (o.hours !== undefined) {
    const hardware = hardwareOf(o.hardware);
    return o.hours * 3600 * o.gpus * o.mfu * (hardware.peak[trainingDType(hardware)] as number);
  }
  const peak = await peakOnce({ signal });
  return (o.minutes as number) * 60 * peak.gflops * 1e9 * HERE;
}

/** A check without a budget trains with this many times the FLOPs of the law's largest run. */
const CHECKED = 2;

/** Training here reaches about half of the measured peak, as the dial of pretrain assumes. */
const HERE = 0.5;

/**
 * The 95 % interval of one run's loss: each draw of the law with a residual of the fit, which is widened because the fit has
 * already adapted to it.
 */
function lossInterval(law: ScalingLaw, params: number, tokens: number, loss: number): Interval | null {
  const flops = 6 * params * tokens;
  const drawn =
    parametricOf(law) !== null
      ? law.draws.map(([A, B, E, alpha, beta]) => parametricLoss({ A, B, E, alpha, beta }, params, tokens))
      : law.kaplan !== null
        ? law.kaplan_draws.map(([Nc, Dc, alpha_N, alpha_D]) => kaplanLoss({ Nc, Dc, alpha_N, alpha_D }, params, tokens))
        : law.frontier_draws.map(([, , floor, coefficient, exponent]) => floor + coefficient * flops ** exponent);
  if (drawn.length === 0) return null;
  const { residuals } = law;
  if (residuals.length === 0) return intervalOf(drawn, 0.95);
  const widened = Math.sqrt(residuals.length / Math.max(1, residuals.length - 5));
  const sorted = [...residuals].sort((a, b) => a - b);
  // Residuals in an order that is unrelated to the draws', all about equally often.
  const golden = 0.6180339887498949;
  const values = Array.from({ length: Math.max(2000, drawn.length) }, (_, i) => {
    const residual = sorted[Math.floor(((i * golden) % 1) * sorted.length)];
    return drawn[i % drawn.length] * Math.exp(widened * residual);
  });
  const [low, high] = intervalOf(values, 0.95);
  return [Math.min(low, loss), Math.max(high, loss)];
}
