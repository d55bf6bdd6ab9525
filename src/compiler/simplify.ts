/**
 * @file The graph made smaller before it is cut into kernels: what is computed twice is computed once, what is known now
 * is computed now, and operations are brought to the few forms that fusion knows.
 */
import {
  apply,
  type BinaryOp,
  type Entry,
  isOp,
  literal,
  type Node,
  nodesOf,
  type Op,
  type Shape,
  sameShape,
  sizeOf,
  type Tensor,
  tensorKey,
} from "../tensor/index.js";

/** The same entry, simplified; variables and inputs keep their names. */
export function simplify(entry: Entry): Entry {
  const nodes = nodesOf(entry);
  const rewritten = new Map<string, Tensor>();
  const known = new Map<string, readonly Tensor[]>();
  const lossGradients = new Map<string, Node>();
  for (const node of nodes) if (isOp(node, "linearCrossEntropyGradient")) lossGradients.set(lossKey(node), node);

  const look = (tensor: Tensor) => rewritten.get(tensorKey(tensor)) as Tensor;
  /** Traces an operation unless an equal one is known. */
  const once = <O extends Op>(
    op: O,
    inputs: readonly Tensor[],
    attributes: Node<O>["attributes"],
  ): readonly Tensor[] => {
    const key = keyOf(op, inputs, attributes);
    const before = known.get(key);
    if (before) return before;
    const outputs = apply(op, inputs, attributes);
    known.set(key, outputs);
    return outputs;
  };

  const rewrite = (node: Node): readonly Tensor[] => {
    const inputs = node.inputs.map(look);
    if (isOp(node, "stopGradient")) return inputs;
    if (isOp(node, "custom")) return inputs.slice(-node.attributes.results);
    if (isOp(node, "matmul")) {
      // A product reads either side of a matrix: what was turned for it need not be.
      const { transposeA, transposeB, batchInvariant } = node.attributes;
      const turned = inputs.map((x) => x.node.op === "transpose" && x.shape.length === 2);
      if (!batchInvariant && turned.some((flag) => flag)) {
        const sides = inputs.map((x, i) => (turned[i] ? x.node.inputs[0] : x));
        const flags = { transposeA: transposeA !== turned[0], transposeB: transposeB !== turned[1] };
        return once("matmul", sides, { ...flags, batchInvariant: false });
      }
    }
    if (isOp(node, "reshape") || isOp(node, "broadcast")) {
      const { shape } = node.attributes;
      // A chain of views is one view of what is under it; one number everywhere has no layout to change.
      const under = inputs[0].node;
      const uniform = under.op === "broadcast" && under.inputs[0].node.op === "literal";
      const source = under.op === node.op || uniform ? under.inputs[0] : inputs[0];
      if (sameShape(source.shape, shape)) return [source];
      return once(source.node.op === "literal" ? "broadcast" : node.op, [source], { shape });
    }
    if (isOp(node, "sum") || isOp(node, "max")) return [reduceByParts(node.op, inputs[0], node.attributes.axes, once)];
    if (isOp(node, "linearCrossEntropy")) {
      // Where the gradient is computed too, it gives the loss on the way. Its d_loss cannot depend on this loss: the
      // gradient node is older than anything that does, or the merge would be found out by its larger id.
      const gradient = lossGradients.get(lossKey(node));
      if (gradient && !dependsOn(gradient.inputs[3], node)) {
        const d = rewriteTree(gradient.inputs[3]);
        const [loss, , , ...statistics] = once("linearCrossEntropyGradient", [...inputs, d], node.attributes);
        return [loss, ...statistics];
      }
    }
    const plain = isElementwise(node.op)
      ? inputs.map((x, i) => unstretched(x, i, inputs, node.outputs[0].shape))
      : inputs;
    return folded(node.op, plain, node.outputs[0].shape) ?? once(node.op, plain, node.attributes);
  };

  /** Rewrites a tensor ahead of its turn, with all that it needs. */
  const rewriteTree = (tensor: Tensor): Tensor => {
    for (const node of nodesOf({ outputs: { tensor } })) rewriteOnce(node);
    return look(tensor);
  };
  const rewriteOnce = (node: Node): void => {
    if (rewritten.has(`${node.id}.0`)) return;
    rewrite(node).forEach((tensor, i) => {
      rewritten.set(`${node.id}.${i}`, tensor);
    });
  };
  for (const node of nodes) rewriteOnce(node);

  return {
    outputs: Object.fromEntries(Object.entries(entry.outputs).map(([name, tensor]) => [name, look(tensor)])),
    assign: (entry.assign ?? [])
      .map(([target, value]) => [look(target), look(value)] as const)
      .filter(([target, value]) => target.node !== value.node),
  };
}

const lossKey = (node: Node<"linearCrossEntropy" | "linearCrossEntropyGradient">) =>
  [...node.inputs.slice(0, 3).map(tensorKey), node.attributes.statistics].join();

function dependsOn(tensor: Tensor, node: Node): boolean {
  return nodesOf({ outputs: { tensor } }).includes(node);
}

const ELEMENTWISE: ReadonlySet<Op> = new Set<Op>([
  ...(["neg", "exp", "log", "sqrt", "rsqrt", "abs", "tanh", "sigmoid"] as const),
  ...(["add", "sub", "mul", "div", "minimum", "maximum", "less", "equal", "where", "cast"] as const),
]);

/** One element of each input makes one element of the output. */
export function isElementwise(op: Op): boolean {
  return ELEMENTWISE.has(op);
}

function keyOf(op: Op, inputs: readonly Tensor[], attributes: object): string {
  const plain = Object.entries(attributes).map(([name, value]) =>
    value instanceof Float32Array ? `${name}:${tableId(value)}` : `${name}:${JSON.stringify(value)}`,
  );
  return `${op}(${inputs.map(tensorKey)};${plain})`;
}

const tableIds = new WeakMap<Float32Array, number>();
let tables = 0;
/** Tables are equal when they are the same array: comparing megabytes to save one copy is not worth it. */
function tableId(data: Float32Array): number {
  const id = tableIds.get(data) ?? ++tables;
  tableIds.set(data, id);
  return id;
}

/** An operand without its broadcast, where the other operands stretch the result just as far. */
function unstretched(x: Tensor, i: number, inputs: readonly Tensor[], shape: Shape): Tensor {
  if (x.node.op !== "broadcast") return x;
  const other = inputs.some((y, k) => k !== i && y.node.op !== "broadcast" && sameShape(y.shape, shape));
  return other ? x.node.inputs[0] : x;
}

function literalValue(tensor: Tensor): number | null {
  return isOp(tensor.node, "literal") && tensor.dtype === "f32" ? tensor.node.attributes.value : null;
}

const exact: { readonly [O in BinaryOp]?: (a: number, b: number) => number } = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
};

/** What an operation on numbers known now comes to, or an operand that passes unchanged; null if neither. */
function folded(op: Op, inputs: readonly Tensor[], shape: Shape): readonly Tensor[] | null {
  if (inputs.length !== 2) return null;
  const [a, b] = inputs.map(literalValue);
  const fold = exact[op as BinaryOp];
  if (fold && a !== null && b !== null) return [literal(fold(a, b))];
  const passes = (x: Tensor) => (sameShape(x.shape, shape) ? [x] : null);
  if ((op === "add" || op === "sub") && b === 0) return passes(inputs[0]);
  if (op === "add" && a === 0) return passes(inputs[1]);
  if ((op === "mul" || op === "div") && b === 1) return passes(inputs[0]);
  if (op === "mul" && a === 1) return passes(inputs[1]);
  return null;
}

/**
 * Brings a reduction to the forms that kernels know: over the last axis, over all but the last (sums), over everything
 * (sums), or over one axis.
 */
function reduceByParts(
  op: "sum" | "max",
  x: Tensor,
  axes: readonly number[],
  once: (op: "sum" | "max" | "reshape", inputs: readonly Tensor[], attributes: never) => readonly Tensor[],
): Tensor {
  const call = (name: "sum" | "max" | "reshape", y: Tensor, attributes: object) =>
    once(name, [y], attributes as never)[0];
  const result = x.shape.map((dimension, axis) => (axes.includes(axis) ? 1 : dimension));
  const real = axes.filter((axis) => x.shape[axis] > 1);
  if (real.length === 0) return sameShape(x.shape, result) ? x : call("reshape", x, { shape: result });
  const last = x.shape.length - 1;
  const rest = x.shape.map((_, axis) => axis).filter((axis) => x.shape[axis] > 1 && !real.includes(axis));
  const whole = rest.length === 0;
  const columns = rest.length === 1 && rest[0] === last;
  if (real.length === 1 || (op === "sum" && (whole || columns))) return call(op, x, { axes: real });
  // The last axis first, which is the fast one; then the others one by one.
  const first = real.includes(last) ? last : real[0];
  const smaller = reduceByParts(op, x, [first], once);
  return reduceByParts(
    op,
    smaller,
    real.filter((axis) => axis !== first),
    once,
  );
}

/** The kind of a reduction that `simplify` left: which loop it needs. */
export function reductionKind(node: Node<"sum" | "max">): "row" | "column" | "full" | "strided" {
  const x = node.inputs[0].shape;
  const { axes } = node.attributes;
  const last = x.length - 1;
  const real = axes.filter((axis) => x[axis] > 1);
  const kept = x.flatMap((dimension, axis) => (dimension > 1 && !real.includes(axis) ? [axis] : []));
  if (real.length === 1 && real[0] === last) return "row";
  // Blocks are combined by adding: a maximum across rows takes the slow way.
  if (node.op === "sum" && kept.length === 0 && sizeOf(x) > 1) return "full";
  if (node.op === "sum" && kept.length === 1 && kept[0] === last) return "column";
  return "strided";
}
