/**
 * @file AdamW as a graph: Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101), after clipping the
 * global gradient norm (Pascanu et al., arXiv:1211.5063). Results match PyTorch's `clip_grad_norm_` and `AdamW`.
 */
import { add, div, minimum, mul, scalar, sqrt, sub, sum, type Tensor, variable } from "../../tensor/index.js";

export interface AdamWOptions {
  readonly kind: "adamw";
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Weight decay per step, as a fraction of the learning rate. Applies to matrices, not to vectors such as norm weights. */
  readonly decay: number;
  /** Maximum global gradient norm; larger gradients are scaled down to it. */
  readonly clip: number;
}

export const ADAMW_DEFAULTS: AdamWOptions = {
  kind: "adamw",
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  decay: 0.1,
  clip: 1,
};

/** Names of a parameter's optimizer state: running means of the gradient and of its square. */
export const momentNames = (parameter: string) => [`moment1.${parameter}`, `moment2.${parameter}`] as const;

/** A parameter to update: its variable, its gradient, and the name that its state is derived from. */
export interface ParameterStep {
  readonly name: string;
  readonly variable: Tensor;
  readonly gradient: Tensor;
}

export interface OptimizerUpdate {
  /** New values of the parameters and of their state. */
  readonly assign: readonly (readonly [variable: Tensor, value: Tensor])[];
  /** Global gradient norm before clipping; shape []. */
  readonly gradientNorm: Tensor;
}

/** Returns the global gradient norm and the factor that clips it to `clip`; both have shape []. */
export function clipping(parameters: readonly ParameterStep[], clip: number): { norm: Tensor; scale: Tensor } {
  const norm = sqrt(parameters.map(({ gradient }) => sum(mul(gradient, gradient))).reduce((a, b) => add(a, b)));
  return { norm, scale: clipScale(norm, clip) };
}

/** Returns the factor that clips gradients of the global norm `norm` to `clip`; shape []. */
export const clipScale = (norm: Tensor, clip: number): Tensor => minimum(div(clip, add(norm, 1e-6)), 1);

/** Builds one AdamW step. Each run of the program needs the inputs of `adamwScalars`. */
export function adamw(parameters: readonly ParameterStep[], options: AdamWOptions): OptimizerUpdate {
  const { norm, scale } = clipping(parameters, options.clip);
  return { assign: adamwAssignments(parameters, scale, options), gradientNorm: norm };
}

/** Builds AdamW's assignments for some parameters; the clipping factor is that of all parameters. */
export function adamwAssignments(
  parameters: readonly ParameterStep[],
  scale: Tensor,
  { beta1, beta2, epsilon, decay }: AdamWOptions,
): OptimizerUpdate["assign"] {
  const rate = scalar("learning_rate");
  const correction1 = scalar("moment1_correction");
  const correction2 = scalar("moment2_correction");

  return parameters.flatMap(({ name, variable: weight, gradient }): [Tensor, Tensor][] => {
    const [name1, name2] = momentNames(name);
    const moment1 = variable(name1, weight.shape);
    const moment2 = variable(name2, weight.shape);
    const g = mul(gradient, scale);
    const mean = add(mul(moment1, beta1), mul(g, 1 - beta1));
    const square = add(mul(moment2, beta2), mul(mul(g, g), 1 - beta2));
    // With m̂ = m/(1−β₁ᵗ) and v̂ = v/(1−β₂ᵗ): w ← w·(1 − rate·decay) − rate·m̂/(√v̂ + ε)
    const direction = div(mul(mean, correction1), add(mul(sqrt(square), correction2), epsilon));
    const kept = weight.shape.length >= 2 ? mul(weight, sub(1, mul(rate, decay))) : weight;
    return [
      [weight, sub(kept, mul(rate, direction))],
      [moment1, mean],
      [moment2, square],
    ];
  });
}

/** Returns the inputs of the update at step `step` (from 1): the learning rate and the moments' bias corrections. */
export function adamwScalars(step: number, rate: number, { beta1, beta2 }: AdamWOptions): Record<string, number> {
  return {
    learning_rate: rate,
    moment1_correction: 1 / (1 - beta1 ** step),
    moment2_correction: 1 / Math.sqrt(1 - beta2 ** step),
  };
}
