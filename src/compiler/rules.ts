/**
 * @file The rewrites of a graph, a row each. A rule looks at one operation over operands that are rewritten already, and
 * keeps its value; `simplify` tries the rules in the order of the table.
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

/** An operation that is not traced yet. */
export interface Operation<O extends Op = Op> {
  readonly op: O;
  readonly inputs: readonly Tensor[];
  readonly attributes: Node<O>["attributes"];
  /** Of its first output. */
  readonly shape: Shape;
  /** The node that it comes from, as it was traced. */
  readonly node: Node;
}

/** What a rule can ask of the graph that is rewritten. */
export interface Tracing {
  readonly trace: Trace;
  /** The gradient of a loss, as it was traced, if the entry computes it. */
  lossGradient(node: Node<"linearCrossEntropy">): Node<"linearCrossEntropyGradient"> | undefined;
  /** Rewrites a traced tensor ahead of its turn, with all that it needs. */
  rewrite(tensor: Tensor): Tensor;
}

/** The outputs of an operation, another operation for the rules to look at, or null where a rule does not match. */
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
  ...(["neg", "exp", "log", "sqrt", "rsqrt", "abs", "tanh", "sigmoid"] as const),
  ...(["add", "sub", "mul", "div", "minimum", "maximum", "less", "equal", "where", "cast"] as const),
] as const;

const elementwise: ReadonlySet<Op> = new Set<Op>(ELEMENTWISE);

/** One element of each input makes one element of the output. */
export function isElementwise(op: Op): boolean {
  return elementwise.has(op);
}

const folds: { readonly [O in BinaryOp]?: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
};

/** The number that leaves the other operand as it is: on the right of each, on the left where the order does not matter. */
const neutral = { add: 0, sub: 0, mul: 1, div: 1 } as const;
const commutes: ReadonlySet<Op> = new Set<Op>(["add", "mul"]);

export const RULES: readonly Rule[] = [
  rule("stopGradient is its operand", ["stopGradient"], ({ inputs }) => inputs),

  rule("a custom operation is its results", ["custom"], ({ inputs, attributes }) => inputs.slice(-attributes.results)),

  rule("a product reads a transposed matrix from its other side", ["matmul"], (operation) => {
    const { transposeA, transposeB, batchInvariant } = operation.attributes;
    const turned = operation.inputs.map((x) => x.node.op === "transpose" && x.shape.length === 2);
    if (batchInvariant || !turned.includes(true)) return null;
    const attributes = { transposeA: transposeA !== turned[0], transposeB: transposeB !== turned[1], batchInvariant };
    return { ...operation, attributes, inputs: operation.inputs.map((x, i) => (turned[i] ? x.node.inputs[0] : x)) };
  }),

  rule("a view of a view is one view", ["reshape", "broadcast"], (operation) => {
    const under = operation.inputs[0].node;
    // One number everywhere has no layout to change.
    const uniform = under.op === "broadcast" && under.inputs[0].node.op === "literal";
    if (under.op !== operation.op && !uniform) return null;
    return { ...operation, op: uniform ? "broadcast" : operation.op, inputs: [under.inputs[0]] };
  }),

  rule("a view of the same shape is its operand", ["reshape", "broadcast"], ({ inputs, shape }) =>
    sameShape(inputs[0].shape, shape) ? inputs : null,
  ),

  rule("a number in another shape is broadcast", ["reshape"], ({ inputs, attributes, ...rest }) =>
    inputs[0].node.op === "literal" ? { ...rest, op: "broadcast", inputs, attributes } : null,
  ),

  rule("a reduction goes by the axes that kernels reduce", ["sum", "max"], ({ op, inputs, attributes }, { trace }) => [
    reduceByParts(op, inputs[0], attributes.axes, trace),
  ]),

  // The gradient gives the loss on the way. Its d_loss must not depend on this loss.
  rule("a loss comes with its gradient", ["linearCrossEntropy"], ({ node, inputs, attributes }, tracing) => {
    if (!isOp(node, "linearCrossEntropy")) return null;
    const gradient = tracing.lossGradient(node);
    if (!gradient || dependsOn(gradient.inputs[3], node)) return null;
    const d = tracing.rewrite(gradient.inputs[3]);
    const [loss, , , ...statistics] = tracing.trace("linearCrossEntropyGradient", [...inputs, d], attributes);
    return [loss, ...statistics];
  }),

  rule("an operand that another one stretches is not broadcast", ELEMENTWISE, (operation) => {
    const { inputs, shape } = operation;
    const stretched = (x: Tensor, i: number) =>
      x.node.op === "broadcast" &&
      inputs.some((y, k) => k !== i && y.node.op !== "broadcast" && sameShape(y.shape, shape));
    if (!inputs.some(stretched)) return null;
    return { ...operation, inputs: inputs.map((x, i) => (stretched(x, i) ? x.node.inputs[0] : x)) };
  }),

  rule("arithmetic of numbers is a number", ["add", "sub", "mul", "div"], ({ op, inputs }) => {
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

/** Equal for a loss and its gradient. */
export const lossKey = (node: Node<"linearCrossEntropy" | "linearCrossEntropyGradient">) =>
  [...node.inputs.slice(0, 3).map(tensorKey), node.attributes.statistics].join();

function dependsOn(tensor: Tensor, node: Node): boolean {
  return nodesOf({ outputs: { tensor } }).includes(node);
}
