/** @file Functions of log-probabilities that several losses use. */
import {
  abs,
  add,
  constant,
  div,
  equal,
  exp,
  less,
  literal,
  log,
  max,
  maximum,
  minimum,
  mul,
  neg,
  reshape,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
} from "../../tensor/index.js";

/** log σ(x). Below −60 it is x: e⁶⁰ is far from overflow, and the difference is below the precision of fp32. */
export function logSigmoid(x: Tensor): Tensor {
  const far = -60;
  return where(less(x, far), x, neg(log(add(1, exp(neg(maximum(x, far)))))));
}

/** The values of x (B), smallest first; gradients flow to where each came from. */
export function sorted(x: Tensor): Tensor {
  const [B] = x.shape;
  const [down, across] = [reshape(x, [B, 1]), reshape(x, [1, B])];
  // Equal values keep their order.
  const before = constant(
    Float32Array.from({ length: B * B }, (_, k) => (k % B < Math.floor(k / B) ? 1 : 0)),
    [B, B],
  );
  const rank = sum(add(less(across, down), mul(equal(across, down), before)), [1]); // (B)
  const places = constant(
    Float32Array.from({ length: B }, (_, k) => k),
    [B, 1],
  );
  return sum(mul(equal(places, reshape(rank, [1, B])), across), [1]); // (B)
}

/** x between two bounds; no gradient outside. */
export const clamp = (x: Tensor, low: number, high: number) => minimum(maximum(x, low), high);

/** e⁸⁰ is near the largest number of fp32. */
const LARGEST_EXPONENT = 80;

/** eˣ, held at e⁸⁰ where fp32 would overflow, without a gradient there. */
export const boundedExp = (x: Tensor) => exp(minimum(x, LARGEST_EXPONENT));

/**
 * eˣ − 1 − x ≥ 0: with x = log π_ref − log π of a token drawn from π, the estimate k3 of KL(π ‖ π_ref) (Schulman, "Approximating
 * KL divergence", 2020). Its series near 0, where the difference would lose all digits of fp32 and could become negative.
 */
export function k3(x: Tensor): Tensor {
  const near = 0.5;
  const small = clamp(x, -near, near);
  // x²/2 · (1 + x/3 · (1 + x/4 · (… (1 + x/10)))): the rest is below 2⁻³⁰ of it.
  let series = add(div(small, 10), 1);
  for (let n = 9; n >= 3; n--) series = add(mul(div(small, n), series), 1);
  return where(less(abs(x), near), mul(mul(mul(small, small), 0.5), series), sub(sub(boundedExp(x), 1), x));
}

/**
 * 1 for the values of x (N) among the counted ones that reach their quantile q, else 0; without a gradient. The quantile is
 * that of linear interpolation between the sorted values; it is found by halving an interval, without a sort. x ≥ 0.
 */
export function aboveQuantile(x: Tensor, counted: Tensor, q: number): Tensor {
  const value = mul(stopGradient(x), counted);
  // Of n values, those with at least q(n − 1) smaller ones; the margin absorbs the rounding of q(n − 1).
  const smaller = sub(add(mul(sub(sum(counted), 1), q), 1), 1e-3);
  let low: Tensor = literal(0);
  let high = add(mul(max(value), 1.0001), 1e-6);
  for (let i = 0; i < 32; i++) {
    const middle = mul(add(low, high), 0.5);
    const reaches = less(sum(mul(less(value, middle), counted)), smaller);
    [low, high] = [where(reaches, middle, low), where(reaches, high, middle)];
  }
  return mul(sub(1, less(value, low)), counted);
}
