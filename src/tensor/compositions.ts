/**
 * @file Layers composed of smaller operations. The compiler fuses each into one loop or into the preceding matrix product,
 * so none needs its own kernel, gradient rule or reference implementation.
 */
import { gradients } from "./gradient.js";
import {
  add,
  div,
  exp,
  gather,
  less,
  linearCrossEntropy,
  log,
  max,
  mean,
  mul,
  neg,
  random,
  reshape,
  rsqrt,
  sigmoid,
  stopGradient,
  sub,
  sum,
  variable,
  where,
  withGradient,
} from "./operations.js";
import { ShapeError, type Tensor } from "./tensor.js";

/** SiLU, x·sigmoid(x) (Elfwing et al., arXiv:1702.03118). */
export function silu(x: Tensor): Tensor {
  return mul(x, sigmoid(x));
}

/**
 * GELU in the tanh approximation, ½x·(1 + tanh(√(2/π)·(x + .044715·x³))) (Hendrycks and Gimpel, arXiv:1606.08415):
 * `gelu_new` and `gelu_pytorch_tanh` in transformers. Computed as ½(1 + tanh u) = σ(2u), which needs one exponential.
 */
export function gelu(x: Tensor): Tensor {
  const slope = 2 * Math.sqrt(2 / Math.PI);
  return mul(x, sigmoid(mul(x, add(slope, mul(mul(x, x), slope * 0.044715)))));
}

/** RMS norm over the last axis, x / √(mean(x²) + ε) · weight (Zhang and Sennrich, arXiv:1910.07467). */
export function rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
  return mul(mul(x, rsqrt(add(mean(mul(x, x), [-1], true), epsilon))), weight);
}

/** Layer norm over the last axis, (x − mean) / √(variance + ε) · weight + bias (Ba et al., arXiv:1607.06450). */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor {
  const centered = sub(x, mean(x, [-1], true));
  const variance = mean(mul(centered, centered), [-1], true);
  return add(mul(mul(centered, rsqrt(add(variance, epsilon))), weight), bias);
}

/** Softmax over the last axis, e^x / Σ e^x. */
export function softmax(x: Tensor): Tensor {
  const e = exp(sub(x, stopGradient(max(x, [-1], true))));
  return div(e, sum(e, [-1], true));
}

/** log softmax over the last axis, without the logarithm of small numbers. */
export function logSoftmax(x: Tensor): Tensor {
  const shifted = sub(x, stopGradient(max(x, [-1], true)));
  return sub(shifted, log(sum(exp(shifted), [-1], true)));
}

/**
 * −log softmax(logits)[target], in nats: logits (…,V), targets (…) i32 → (…). The loss of targets outside [0, V), such as
 * −100, is 0. For the logits of a head, `linearCrossEntropy` avoids storing them all.
 */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  const picked = gather(logSoftmax(logits), reshape(targets, [...targets.shape, 1])); // (…,1)
  return neg(reshape(picked, targets.shape));
}

/** log p(target) of each row under the head w: x (N,C), w (V,C), targets (N) i32 → (N), in nats; 0 for ignored targets. */
export function tokenLogProbabilities(x: Tensor, w: Tensor, targets: Tensor): Tensor {
  return neg(linearCrossEntropy(x, w, targets));
}

/** Weighted mean, Σ weight · x / Σ weight; 0 if all weights are 0. */
export function weightedMean(x: Tensor, weights: Tensor): Tensor {
  const total = sum(weights);
  return div(sum(mul(x, weights)), where(total, total, 1));
}

/**
 * Dropout (Srivastava et al., JMLR 2014): sets each value to 0 with probability `rate` and divides the others by 1 − rate.
 * The choice depends only on seed, step (i32 scalars), stream and position; see `random`.
 */
export function dropout(x: Tensor, rate: number, seed: Tensor, step: Tensor, stream: number): Tensor {
  if (!(rate >= 0 && rate < 1)) throw new ShapeError(`dropout: a rate of ${rate} is not in [0, 1)`);
  if (rate === 0) return x;
  return mul(x, mul(sub(1, less(random(x.shape, seed, step, stream), rate)), 1 / (1 - rate)));
}

/**
 * Computes block(x) and stores only x for the backward pass, which recomputes the block. This trades time for memory (Chen
 * et al., "Training deep nets with sublinear memory cost", arXiv:1604.06174). Values and gradients do not change.
 * @param weights all variables that the block reads; only they and x receive gradients
 */
export function recomputed(block: (x: Tensor) => Tensor, x: Tensor, weights: readonly Tensor[]): Tensor {
  const derive = (_: unknown, __: unknown, [d]: readonly (Tensor | null)[]): readonly (Tensor | null)[] => {
    if (d === null) return [null, ...weights.map(() => null)];
    // Adds a variable that is always 0. Without it, the compiler would recognize the block of the forward pass, reuse its
    // values, and so store them all.
    const again = add(stopGradient(x), variable("recomputation", []));
    return gradients(sum(mul(block(again), stopGradient(d))), [again, ...weights]);
  };
  return withGradient([x, ...weights], [block(x)], derive)[0];
}
