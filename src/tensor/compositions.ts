/**
 * @file Layers that are expressions of smaller operations. The compiler makes one loop of each, or melts it into the
 * matrix product before it, so that none needs a kernel, a gradient rule or a reference of its own.
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

/** x·sigmoid(x), the SiLU of Elfwing et al., arXiv:1702.03118. */
export function silu(x: Tensor): Tensor {
  return mul(x, sigmoid(x));
}

/**
 * The Gaussian error linear unit by its usual approximation, ½x·(1 + tanh(√(2/π)·(x + .044715·x³))) (Hendrycks and
 * Gimpel, arXiv:1606.08415): `gelu_new` and `gelu_pytorch_tanh` in transformers. Written with ½(1 + tanh u) = σ(2u),
 * which takes one exponential.
 */
export function gelu(x: Tensor): Tensor {
  const slope = 2 * Math.sqrt(2 / Math.PI);
  return mul(x, sigmoid(mul(x, add(slope, mul(mul(x, x), slope * 0.044715)))));
}

/**
 * RMS norm over the last axis, x / √(mean(x²) + ε) · weight (Zhang and Sennrich, arXiv:1910.07467). Composed of
 * element-wise operations and a sum: the compiler makes one loop of it.
 */
export function rmsNorm(x: Tensor, weight: Tensor, epsilon: number): Tensor {
  return mul(mul(x, rsqrt(add(mean(mul(x, x), [-1], true), epsilon))), weight);
}

/** Layer norm over the last axis, (x − mean) / √(variance + ε) · weight + bias (Ba et al., arXiv:1607.06450). */
export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor {
  const centred = sub(x, mean(x, [-1], true));
  const variance = mean(mul(centred, centred), [-1], true);
  return add(mul(mul(centred, rsqrt(add(variance, epsilon))), weight), bias);
}

/** e^x / Σ e^x over the last axis. */
export function softmax(x: Tensor): Tensor {
  const e = exp(sub(x, stopGradient(max(x, [-1], true))));
  return div(e, sum(e, [-1], true));
}

/** log softmax over the last axis, without taking the logarithm of a small number. */
export function logSoftmax(x: Tensor): Tensor {
  const shifted = sub(x, stopGradient(max(x, [-1], true)));
  return sub(shifted, log(sum(exp(shifted), [-1], true)));
}

/**
 * −log softmax(logits)[target], in nats: logits (…,V), targets (…) i32 → (…). Targets outside [0, V), such as −100,
 * count 0. Where the logits come from a head, `linearCrossEntropy` never holds them all.
 */
export function crossEntropy(logits: Tensor, targets: Tensor): Tensor {
  const picked = gather(logSoftmax(logits), reshape(targets, [...targets.shape, 1]));
  return neg(reshape(picked, targets.shape));
}

/** log p(target) of each row under the head w: x (N,C), w (V,C), targets (N) i32 → (N), nats; 0 where it is ignored. */
export function tokenLogProbabilities(x: Tensor, w: Tensor, targets: Tensor): Tensor {
  return neg(linearCrossEntropy(x, w, targets));
}

/** Σ weight · x / Σ weight: the mean of losses of which each counts as much as its weight; 0 where none does. */
export function weightedMean(x: Tensor, weights: Tensor): Tensor {
  const total = sum(weights);
  return div(sum(mul(x, weights)), where(total, total, 1));
}

/**
 * Dropout (Srivastava et al., JMLR 2014): each number becomes 0 with probability `rate`, and the others are divided by
 * 1 − rate. Which ones, is a function of seed, step (i32 scalars), stream and place: `random` says more.
 */
export function dropout(x: Tensor, rate: number, seed: Tensor, step: Tensor, stream: number): Tensor {
  if (!(rate >= 0 && rate < 1)) throw new ShapeError(`dropout: a rate of ${rate} is not in [0, 1)`);
  if (rate === 0) return x;
  return mul(x, mul(sub(1, less(random(x.shape, seed, step, stream), rate)), 1 / (1 - rate)));
}

/**
 * block(x), of which the backward pass keeps only x: it computes the block again when its gradient is wanted, and so
 * trades time for memory (Chen et al., "Training deep nets with sublinear memory cost", arXiv:1604.06174). The same values
 * and gradients as without.
 * @param weights all variables that the block reads: gradients reach them and x, nothing else
 */
export function recomputed(block: (x: Tensor) => Tensor, x: Tensor, weights: readonly Tensor[]): Tensor {
  const derive = (_: unknown, __: unknown, [d]: readonly (Tensor | null)[]): readonly (Tensor | null)[] => {
    if (d === null) return [null, ...weights.map(() => null)];
    // A variable that stays 0 as it begins: for the compiler the block is another one than that of the forward
    // pass, which it would find computed already, and would keep all of it.
    const again = add(stopGradient(x), variable("recomputation", []));
    return gradients(sum(mul(block(again), stopGradient(d))), [again, ...weights]);
  };
  return withGradient([x, ...weights], [block(x)], derive)[0];
}
