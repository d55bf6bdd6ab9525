/**
 * @file Layers that are expressions of smaller operations. The compiler makes one loop of each, or melts it into the
 * matrix product before it, so that none needs a kernel, a gradient rule or a reference of its own.
 */
import { add, mean, mul, rsqrt, sigmoid, sub } from "./operations.js";
import type { Tensor } from "./tensor.js";

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
