/**
 * @file Inference-aware sizing (Sardana et al., "Beyond Chinchilla-optimal", arXiv:2401.00448): of all sizes that reach a loss, the
 * one with the fewest FLOPs for training (6 per parameter and token) and serving (2 per parameter and token) together.
 */
import { kaplanLoss, parametricOf, type ScalingLaw } from "../../train/index.js";

export interface ServedModel {
  readonly params: number;
  readonly tokens: number;
  readonly training_flops: number;
  readonly serving_flops: number;
  readonly total_flops: number;
  /** Share of all FLOPs saved against the compute-optimal model of the same loss. */
  readonly saved: number;
}

/** The tokens with which N params reach the loss; Infinity if they cannot. */
function tokensFor(law: ScalingLaw, params: number, loss: number): number {
  const form = parametricOf(law);
  if (form !== null) {
    const left = loss - form.E - form.A * params ** -form.alpha;
    return left > 0 ? (form.B / left) ** (1 / form.beta) : Number.POSITIVE_INFINITY;
  }
  if (law.kaplan === null) return Number.POSITIVE_INFINITY;
  const { Nc, Dc, alpha_N, alpha_D } = law.kaplan;
  const left = loss ** (1 / alpha_D) - (Nc / params) ** (alpha_N / alpha_D);
  return left > 0 && kaplanLoss(law.kaplan, params, Dc / left) > 0 ? Dc / left : Number.POSITIVE_INFINITY;
}

/**
 * Returns the cheapest model of the same loss as (params, tokens), for `served` tokens; null if the law gives only a frontier.
 */
export function sizeForServing(
  law: ScalingLaw,
  loss: number,
  params: number,
  tokens: number,
  served: number,
): ServedModel | null {
  if (parametricOf(law) === null && law.kaplan === null) return null;
  const costAt = (logN: number) => {
    const N = Math.exp(logN);
    return 6 * N * tokensFor(law, N, loss) + 2 * N * served;
  };
  // The cost is unimodal in N: golden-section search from a thousandth of the size to ten times it.
  const ratio = (Math.sqrt(5) - 1) / 2;
  let [low, high] = [Math.log(params / 1000), Math.log(params * 10)];
  for (let i = 0; i < 200; i++) {
    const [a, b] = [high - ratio * (high - low), low + ratio * (high - low)];
    // Where both are out of reach, the model is too small.
    if (costAt(a) <= costAt(b) && Number.isFinite(costAt(a))) high = b;
    else low = a;
  }
  const N = Math.exp((low + high) / 2);
  const D = tokensFor(law, N, loss);
  const [training, serving] = [6 * N * D, 2 * N * served];
  const before = 6 * params * tokens + 2 * params * served;
  return {
    ...{ params: N, tokens: D, training_flops: training, serving_flops: serving, total_flops: training + serving },
    saved: 1 - (training + serving) / before,
  };
}
