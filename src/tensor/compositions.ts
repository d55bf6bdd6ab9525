/**
 * @file Layers composed of smaller operations. The compiler fuses each into one loop or into the preceding matrix product,
 * so none needs its own kernel, gradient rule or reference implementation.
 */
import { gradients } from "./gradient.js";
import {
  add,
  again,
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
  where,
  withGradient,
} from "./operations.js";
import { isOp, type Node, outputOf, ShapeError, type Tensor } from "./tensor.js";

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
 * Computes block(…xs) and stores only xs for the backward pass, which recomputes what it needs of the block. This trades time
 * for memory (Chen et al., "Training deep nets with sublinear memory cost", arXiv:1604.06174). Values and gradients do not
 * change. Only xs and the variables that the block reads receive gradients.
 */
export function recomputed(
  block: (...xs: readonly Tensor[]) => readonly Tensor[],
  xs: readonly Tensor[],
): readonly Tensor[] {
  const results = block(...xs);
  const weights = variablesBetween(xs, results);
  const derive = (_: unknown, __: unknown, given: readonly (Tensor | null)[]): readonly (Tensor | null)[] => {
    const repeated = xs.map((x) => again(stopGradient(x)));
    const parts = block(...repeated).flatMap((y, i) => {
      const d = given[i];
      return d === null ? [] : [sum(mul(y, stopGradient(d)))];
    });
    if (parts.length === 0) return [...xs, ...weights].map(() => null);
    const total = parts.reduce((some, part) => add(some, part));
    return gradients(total, [...repeated, ...weights]);
  };
  return withGradient([...xs, ...weights], results, derive);
}

/** The variables that `results` depend on other than through `xs`. */
function variablesBetween(xs: readonly Tensor[], results: readonly Tensor[]): Tensor[] {
  const seen = new Set(xs.map(({ node }) => node));
  const variables: Tensor[] = [];
  const open = results.map(({ node }) => node);
  while (open.length > 0) {
    const node = open.pop() as Node;
    if (seen.has(node)) continue;
    seen.add(node);
    if (isOp(node, "variable")) variables.push(outputOf(node));
    open.push(...node.inputs.map((x) => x.node));
  }
  return variables.sort((a, b) => a.node.id - b.node.id);
}
