/** The example of docs/engine.md, which prints the code between the two marks. */
import {
  add,
  type Entry,
  gradients,
  input,
  linear,
  mean,
  mul,
  scalar,
  silu,
  sub,
  variable,
} from "../../src/tensor/index.js";

// <page>
const [x, y] = [input("x", [32, 64]), input("y", [32, 64])]; // (B,C)
const [gate, up] = [variable("gate", [64, 64]), variable("up", [64, 64])]; // (F,C)

const hidden = mul(silu(linear(x, gate)), linear(x, up)); // SwiGLU, (B,F)
const error = sub(hidden, y);
const loss = mean(mul(error, error));

const [dGate, dUp] = gradients(loss, [gate, up]);
const rate = scalar("rate");
const descend = (weight: typeof gate, slope: typeof dGate) => add(weight, mul(slope, mul(rate, -1)));
const step: Entry = {
  outputs: { loss },
  assign: [
    [gate, descend(gate, dGate)],
    [up, descend(up, dUp)],
  ],
};
// </page>

export const entries = { step };
