/** @file Functions of log-probabilities that several losses use. */
import {
  add,
  constant,
  equal,
  exp,
  less,
  log,
  maximum,
  mul,
  neg,
  reshape,
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
