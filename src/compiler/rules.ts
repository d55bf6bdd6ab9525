/**
 * @file The table of graph rewrites. A rule matches one operation, whose operands are already rewritten, and preserves its value.
 * `simplify` tries the rules in the table's order.
 */
import {
  type BinaryOp,
  isOp,
  literal,
  type Node,
  nodesOf,
  type Op,
  type Shape,
  sameShape,
  type Tensor,
  tensorKey,
} from "../tensor/index.js";
import { reduceByParts, type Trace } from "./reductions.js";

/** An operation that has not been traced yet. */
export interface Operation<O extends Op = Op> {
  readonly op: O;
  readonly inputs: readonly Tensor[];
  readonly attributes: Node<O>["attributes"];
  /** Shape of its first output. */
  readonly shape: Shape;
  /** The original node. */
  readonly node: Node;
}

/** Access to the graph for rules. */
export interface Tracing {
  readonly trace: Trace;
  /** The original gradient node of a loss, if the entry computes it. */
  lossGradient(node: Node<"linearCrossEntropy">): Node<"linearCrossEntropyGradient"> | undefined;
  /** Rewrites an original tensor and its dependencies ahead of their turn. */
  rewrite(tensor: Tensor): Tensor;
}

/** Result of a rule: output tensors, another operation to rewrite further, or null if the rule does not match. */
export type Rewritten = readonly Tensor[] | Operation | null;

export interface Rule {
  readonly name: string;
  readonly ops: readonly Op[];
  apply(operation: Operation, tracing: Tracing): Rewritten;
}

function rule<O extends Op>(
  name: string,
  ops: readonly O[],
  apply: (operation: Operation<O>, tracing: Tracing) => Rewritten,
): Rule {
  return { name, ops, apply: apply as Rule["apply"] };
}

const ELEMENTWISE = [
  ...(["again", "neg", "exp", "log", "sqrt", "rsqrt", "abs", "tanh", "sigmoid"] as const),
  ...(["add", "sub", "mul", "div", "minimum", "maximum", "less", "equal", "where", "cast"] as const),
] as const;

const elementwise: ReadonlySet<Op> = new Set<Op>(ELEMENTWISE);

/** Whether each output element depends on one element of each input. */
export function isElementwise(op: Op): boolean {
  return elementwise.has(op);
}

const folds: { readonly [O in BinaryOp]?: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
};

/** Neutral element: on the right for each operation, and on the left if it commutes. */
const neutral = { add: 0, sub: 0, mul: 1, div: 1 } as const;
const commutes: ReadonlySet<Op> = new Set<Op>(["add", "mul"]);

export const RULES: readonly Rule[] = [
  rule("stopGradient is removed", ["stopGradient"], ({ inputs }) => inputs),

  rule("a custom operation becomes its results", ["custom"], ({ inputs, attributes }) =>
    inputs.slice(-attributes.results),
  ),

  rule("a matrix product absorbs a transpose", ["matmul"], (operation) => {
    const { transposeA, transposeB, batchInvariant } = operation.attributes;
    const transposed = operation.inputs.map((x) => x.node.op === "transpose" && x.shape.length === 2);
    if (batchInvariant || !transposed.includes(true) || operation.inputs[1].dtype !== "f32") return null;
    const attributes = {
      transposeA: transposeA !== transposed[0],
      transposeB: transposeB !== transposed[1],
      batchInvariant,
    };
    return { ...operation, attributes, inputs: operation.inputs.map((x, i) => (transposed[i] ? x.node.inputs[0] : x)) };
  }),

  rule("a view of a view becomes one view", ["reshape", "broadcast"], (operation) => {
    const under = operation.inputs[0].node;
    // A broadcast literal has no layout that a reshape could change.
    const uniform = under.op === "broadcast" && under.inputs[0].node.op === "literal";
    if (under.op !== operation.op && !uniform) return null;
    return { ...operation, op: uniform ? "broadcast" : operation.op, inputs: [under.inputs[0]] };
  }),

  rule("a view of the same shape is removed", ["reshape", "broadcast"], ({ inputs, shape }) =>
    sameShape(inputs[0].shape, shape) ? inputs : null,
  ),

  rule("a reshaped literal becomes a broadcast", ["reshape"], ({ inputs, attributes, ...rest }) =>
    inputs[0].node.op === "literal" ? { ...rest, op: "broadcast", inputs, attributes } : null,
  ),

  rule(
    "a reduction is split into forms that kernels support",
    ["sum", "max"],
    ({ op, inputs, attributes }, { trace }) => [reduceByParts(op, inputs[0], attributes.axes, trace)],
  ),

  // The gradient kernel also computes the loss. The gradients that flow into it must not depend on this loss.
  rule("a loss is computed by its gradient kernel", ["linearCrossEntropy"], ({ node, inputs, attributes }, tracing) => {
    if (!isOp(node, "linearCrossEntropy")) return null;
    const gradient = tracing.lossGradient(node);
    const flowing = gradient?.inputs.slice(3);
    if (!flowing || flowing.some((d) => dependsOn(d, node))) return null;
    const all = [...inputs, ...flowing.map(tracing.rewrite)];
    const [loss, , , ...statistics] = tracing.trace("linearCrossEntropyGradient", all, attributes);
    return [loss, ...statistics];
  }),

  rule("a broadcast that another operand implies is dropped", ELEMENTWISE, (operation) => {
    const { inputs, shape } = operation;
    const implied = (x: Tensor, i: number) =>
      x.node.op === "broadcast" &&
      inputs.some((y, k) => k !== i && y.node.op !== "broadcast" && sameShape(y.shape, shape));
    if (!inputs.some(implied)) return null;
    return { ...operation, inputs: inputs.map((x, i) => (implied(x, i) ? x.node.inputs[0] : x)) };
  }),

  rule("arithmetic on literals is folded", ["add", "sub", "mul", "div"], ({ op, inputs }) => {
    const [a, b] = inputs.map(literalValue);
    return a !== null && b !== null ? [literal((folds[op] as (a: number, b: number) => number)(a, b))] : null;
  }),

  rule("x + 0, x − 0, x · 1 and x / 1 are x", ["add", "sub", "mul", "div"], ({ op, inputs, shape }) => {
    const [a, b] = inputs.map(literalValue);
    const kept = b === neutral[op] ? inputs[0] : commutes.has(op) && a === neutral[op] ? inputs[1] : null;
    return kept !== null && sameShape(kept.shape, shape) ? [kept] : null;
  }),
];

function literalValue(tensor: Tensor): number | null {
  return isOp(tensor.node, "literal") && tensor.dtype === "f32" ? tensor.node.attributes.value : null;
}

/** Key that is equal for a loss and its gradient. */
export const lossKey = (node: Node<"linearCrossEntropy" | "linearCrossEntropyGradient">) =>
  [...node.inputs.slice(0, 3).map(tensorKey), node.attributes.statistics].join();

function dependsOn(tensor: Tensor, node: Node): boolean {
  return nodesOf({ outputs: { tensor } }).includes(node);
}
