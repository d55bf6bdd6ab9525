/**
 * @file The operations: a shape rule each, and the functions with which model code traces them.
 *
 * Shapes are static and checked here, while tracing, so that a mistake is reported at the line of model code that made
 * it. Broadcasting follows NumPy: shapes are aligned at their ends, and a dimension of 1 stretches.
 */
import {
  type Attributes,
  type BinaryOp,
  createNode,
  type DType,
  type Op,
  outputOf,
  type Shape,
  ShapeError,
  sameShape,
  sizeOf,
  type Tensor,
  type TensorType,
  type UnaryOp,
} from "./tensor.js";

type ShapeRule<A> = (inputs: readonly TensorType[], attributes: A) => readonly TensorType[];

const f32 = (shape: Shape): TensorType => ({ shape, dtype: "f32" });

function fail(op: Op, inputs: readonly TensorType[], why: string): never {
  const shapes = inputs.map((input) => `${input.dtype} (${input.shape.join(",")})`).join(", ");
  throw new ShapeError(`${op}(${shapes}): ${why}`);
}

function expect(condition: boolean, op: Op, inputs: readonly TensorType[], why: string): asserts condition {
  if (!condition) fail(op, inputs, why);
}

/** The shape that both broadcast to, or null. */
export function broadcastShapes(a: Shape, b: Shape): Shape | null {
  const rank = Math.max(a.length, b.length);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return null;
    shape.push(x === 1 ? y : x);
  }
  return shape;
}

const unary: ShapeRule<object> = ([x]) => [x];

function elementwise(op: Op): ShapeRule<object> {
  return (inputs) => {
    const shape = inputs.reduce<Shape | null>((s, input) => s && broadcastShapes(s, input.shape), []);
    expect(shape !== null, op, inputs, "the shapes do not broadcast");
    expect(
      inputs.every((input) => input.dtype === "f32"),
      op,
      inputs,
      "takes f32",
    );
    return [f32(shape)];
  };
}

function reduction(op: "sum" | "max"): ShapeRule<Attributes["sum"]> {
  return (inputs, { axes }) => {
    const [x] = inputs;
    expect(
      axes.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < x.shape.length),
      op,
      inputs,
      `axes ${axes} are not axes of it`,
    );
    return [f32(x.shape.map((dimension, axis) => (axes.includes(axis) ? 1 : dimension)))];
  };
}

function attentionShapes(op: Op, inputs: readonly TensorType[]): void {
  const [q, k, v] = inputs;
  expect(q.shape.length === 4 && k.shape.length === 4, op, inputs, "q, k, v are (batch, time, heads, head width)");
  expect(sameShape(k.shape, v.shape), op, inputs, "k and v have one shape");
  expect(q.shape[0] === k.shape[0] && q.shape[3] === k.shape[3], op, inputs, "batch and head width are shared");
  expect(q.shape[2] % k.shape[2] === 0, op, inputs, "the heads are a multiple of the key/value heads");
}

const shapeRules: { readonly [O in Op]: ShapeRule<Attributes[O]> } = {
  variable: (_, { type }) => [type],
  input: (_, { type }) => [type],
  constant: (inputs, { data, shape }) => {
    expect(data.length === sizeOf(shape), "constant", inputs, `${data.length} values do not fill (${shape})`);
    return [f32(shape)];
  },
  literal: (_, { dtype }) => [{ shape: [], dtype }],

  neg: unary,
  exp: unary,
  log: unary,
  sqrt: unary,
  rsqrt: unary,
  abs: unary,
  tanh: unary,
  sigmoid: unary,
  stopGradient: unary,
  add: elementwise("add"),
  sub: elementwise("sub"),
  mul: elementwise("mul"),
  div: elementwise("div"),
  minimum: elementwise("minimum"),
  maximum: elementwise("maximum"),
  less: elementwise("less"),
  equal: elementwise("equal"),
  where: elementwise("where"),

  reshape: (inputs, { shape }) => {
    expect(sizeOf(inputs[0].shape) === sizeOf(shape), "reshape", inputs, `does not fill (${shape})`);
    return [{ shape, dtype: inputs[0].dtype }];
  },
  broadcast: (inputs, { shape }) => {
    const joint = broadcastShapes(inputs[0].shape, shape);
    expect(joint !== null && sameShape(joint, shape), "broadcast", inputs, `does not stretch to (${shape})`);
    return [f32(shape)];
  },
  split: (inputs, { axis, sizes }) => {
    const [x] = inputs;
    const total = sizes.reduce((a, b) => a + b, 0);
    expect(axis in x.shape && sizes.every((size) => size > 0), "split", inputs, `no pieces ${sizes} of axis ${axis}`);
    expect(total === x.shape[axis], "split", inputs, `pieces of ${sizes} do not fill axis ${axis}`);
    return sizes.map((size) => ({ shape: x.shape.with(axis, size), dtype: x.dtype }));
  },
  concatenate: (inputs, { axis }) => {
    const [first] = inputs;
    const rank = first.shape.length;
    const fits = inputs.every(
      ({ shape }) => axis < rank && shape.length === rank && sameShape(shape.with(axis, 0), first.shape.with(axis, 0)),
    );
    expect(fits, "concatenate", inputs, `they differ elsewhere than along axis ${axis}`);
    expect(
      inputs.every(({ dtype }) => dtype === "f32"),
      "concatenate",
      inputs,
      "takes f32",
    );
    return [
      f32(
        first.shape.with(
          axis,
          inputs.reduce((total, { shape }) => total + shape[axis], 0),
        ),
      ),
    ];
  },
  positions: (inputs, { shape }) => {
    const [start] = inputs;
    expect(start.dtype === "i32" && start.shape.length === 0, "positions", inputs, "starts at an i32 scalar");
    expect(shape.length > 0, "positions", inputs, "has at least one axis");
    return [{ shape, dtype: "i32" }];
  },
  sum: reduction("sum"),
  max: reduction("max"),

  matmul: (inputs, { transposeA, transposeB }) => {
    const [a, b] = inputs;
    expect(a.shape.length === 2 && b.shape.length === 2, "matmul", inputs, "takes matrices");
    const [m, k] = transposeA ? [a.shape[1], a.shape[0]] : a.shape;
    const [inner, n] = transposeB ? [b.shape[1], b.shape[0]] : b.shape;
    expect(k === inner, "matmul", inputs, `inner dimensions ${k} and ${inner} differ`);
    return [f32([m, n])];
  },
  embedding: (inputs) => {
    const [table, ids] = inputs;
    expect(table.shape.length === 2 && ids.dtype === "i32", "embedding", inputs, "takes a table (V,C) and i32 ids");
    return [f32([...ids.shape, table.shape[1]])];
  },
  embeddingGradient: (inputs, { vocabulary }) => {
    const [ids, gradient] = inputs;
    const width = gradient.shape[gradient.shape.length - 1];
    expect(sizeOf(ids.shape) * width === sizeOf(gradient.shape), "embeddingGradient", inputs, "a row an id");
    return [f32([vocabulary, width])];
  },
  rope: (inputs) => {
    const [x, cos, sin, position] = inputs;
    expect(x.shape.length === 4 && x.shape[3] % 2 === 0, "rope", inputs, "takes (B,T,H,D) with D even");
    expect(sameShape(cos.shape, sin.shape) && cos.shape[1] === x.shape[3] / 2, "rope", inputs, "tables are (P,D/2)");
    expect(cos.shape[0] >= x.shape[1] && position.dtype === "i32", "rope", inputs, "a row of the tables a position");
    return [x];
  },
  attention: (inputs) => {
    attentionShapes("attention", inputs);
    const [q] = inputs;
    expect(inputs[3].dtype === "i32" && inputs[3].shape.length === 0, "attention", inputs, "position is an i32 scalar");
    return [q, f32([q.shape[0], q.shape[2], q.shape[1]])];
  },
  attentionGradient: (inputs) => {
    attentionShapes("attentionGradient", inputs);
    const [q, k, v] = inputs;
    expect(q.shape[1] === k.shape[1], "attentionGradient", inputs, "every query has its key (no cache)");
    return [q, k, v];
  },
  linearCrossEntropy: (inputs) => [lossShapes("linearCrossEntropy", inputs)],
  linearCrossEntropyGradient: (inputs) => [lossShapes("linearCrossEntropyGradient", inputs), inputs[0], inputs[1]],
  cacheWrite: (inputs) => {
    const [cache, rows, position] = inputs;
    const fits = cache.shape.length === 4 && rows.shape.length === 4 && rows.shape[1] <= cache.shape[1];
    expect(fits && position.dtype === "i32", "cacheWrite", inputs, "rows (B,T,G,D) must fit the cache (B,S,G,D)");
    return [cache];
  },
};

function lossShapes(op: Op, inputs: readonly TensorType[]): TensorType {
  const [x, w, targets] = inputs;
  expect(x.shape.length === 2 && w.shape.length === 2 && x.shape[1] === w.shape[1], op, inputs, "x (N,C), w (V,C)");
  expect(targets.dtype === "i32" && sizeOf(targets.shape) === x.shape[0], op, inputs, "an i32 target a row of x");
  return f32([x.shape[0]]);
}

/** Traces one operation: checks the shapes and gives all outputs. */
export function apply<O extends Op>(op: O, inputs: readonly Tensor[], attributes: Attributes[O]): readonly Tensor[] {
  // Rules may hand back an input, which is more than a type.
  const outputs = shapeRules[op](inputs, attributes).map(({ shape, dtype }) => ({ shape, dtype }));
  const node = createNode(op, inputs, attributes, outputs);
  return outputs.map((_, i) => outputOf(node, i));
}

/** What element-wise functions take: a tensor, or a number known now. */
export type Operand = Tensor | number;

export function literal(value: number, dtype: DType = "f32"): Tensor {
  return apply("literal", [], { value, dtype })[0];
}

const tensorOf = (x: Operand): Tensor => (typeof x === "number" ? literal(x) : x);
const unaryOf = (op: UnaryOp) => (x: Operand) => apply(op, [tensorOf(x)], {})[0];
const binaryOf = (op: BinaryOp) => (x: Operand, y: Operand) => apply(op, [tensorOf(x), tensorOf(y)], {})[0];

/** State that lives as long as the program and is read and written by name, such as a parameter. */
export function variable(name: string, shape: Shape): Tensor {
  return apply("variable", [], { name, type: f32(shape) })[0];
}

/** Data given at each run by name. */
export function input(name: string, shape: Shape, dtype: DType = "f32"): Tensor {
  return apply("input", [], { name, type: { shape, dtype } })[0];
}

/** A number given at each run by name: learning rate, step, position. */
export function scalar(name: string, dtype: DType = "f32"): Tensor {
  return input(name, [], dtype);
}

/** A table known when the program is compiled. */
export function constant(data: Float32Array, shape: Shape): Tensor {
  return apply("constant", [], { data, shape })[0];
}

export const neg = unaryOf("neg");
export const exp = unaryOf("exp");
export const log = unaryOf("log");
export const sqrt = unaryOf("sqrt");
/** 1 / √x */
export const rsqrt = unaryOf("rsqrt");
export const abs = unaryOf("abs");
export const tanh = unaryOf("tanh");
/** 1 / (1 + e^−x) */
export const sigmoid = unaryOf("sigmoid");
export const add = binaryOf("add");
export const sub = binaryOf("sub");
export const mul = binaryOf("mul");
export const div = binaryOf("div");
export const minimum = binaryOf("minimum");
export const maximum = binaryOf("maximum");
/** 1 where x < y, else 0. */
export const less = binaryOf("less");
/** 1 where x = y, else 0. */
export const equal = binaryOf("equal");

/** a where condition is not 0, else b. */
export function where(condition: Operand, a: Operand, b: Operand): Tensor {
  return apply("where", [tensorOf(condition), tensorOf(a), tensorOf(b)], {})[0];
}

/** The value, with no gradient through it. */
export function stopGradient(x: Tensor): Tensor {
  return apply("stopGradient", [x], {})[0];
}

export function reshape(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply("reshape", [x], { shape })[0];
}

export function broadcast(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply("broadcast", [x], { shape })[0];
}

const axisOf = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

/** x cut along an axis (a negative one counts from the end) into pieces of these sizes. */
export function split(x: Tensor, sizes: readonly number[], axis: number): readonly Tensor[] {
  return sizes.length === 1 ? [x] : apply("split", [x], { axis: axisOf(axis, x.shape.length), sizes });
}

/** x from `start` to `end` (not with it) along an axis. */
export function slice(x: Tensor, start: number, end: number, axis: number): Tensor {
  const size = x.shape[axisOf(axis, x.shape.length)];
  const sizes = [start, end - start, size - end];
  if (!sizes.every((part) => part >= 0) || start === end) throw new ShapeError(`slice ${start}…${end} of ${size}`);
  return split(
    x,
    sizes.filter((part) => part > 0),
    axis,
  )[start > 0 ? 1 : 0];
}

/** Tensors one after the other along an axis. */
export function concatenate(tensors: readonly Tensor[], axis: number): Tensor {
  if (tensors.length === 1) return tensors[0];
  return apply("concatenate", tensors, { axis: axisOf(axis, tensors[0].shape.length) })[0];
}

/** start, start + 1, … along the last axis of `shape`, i32; start is an i32 scalar, 0 unless given. */
export function positions(shape: Shape, start: Tensor = literal(0, "i32")): Tensor {
  return apply("positions", [start], { shape })[0];
}

function reduce(op: "sum" | "max", x: Tensor, axes: readonly number[] | undefined, keep: boolean): Tensor {
  const rank = x.shape.length;
  const sorted = (axes ?? x.shape.map((_, axis) => axis))
    .map((axis) => (axis < 0 ? axis + rank : axis))
    .sort((a, b) => a - b);
  const reduced = sorted.length === 0 ? x : apply(op, [x], { axes: sorted })[0];
  if (keep) return reduced;
  return reshape(
    reduced,
    x.shape.filter((_, axis) => !sorted.includes(axis)),
  );
}

/** The sum over axes (all of them unless given; negative ones count from the end). */
export function sum(x: Tensor, axes?: readonly number[], keep = false): Tensor {
  return reduce("sum", x, axes, keep);
}

/** The maximum over axes. */
export function max(x: Tensor, axes?: readonly number[], keep = false): Tensor {
  return reduce("max", x, axes, keep);
}

export function mean(x: Tensor, axes?: readonly number[], keep = false): Tensor {
  const total = sum(x, axes, keep);
  return mul(total, sizeOf(total.shape) / sizeOf(x.shape));
}

/** a · b for matrices, either of them transposed first. */
export function matmul(a: Tensor, b: Tensor, { transposeA = false, transposeB = false } = {}): Tensor {
  return apply("matmul", [a, b], { transposeA, transposeB })[0];
}

/** x (…,C) · wᵀ + bias with w (out,C), as Hugging Face stores weights, and bias (out) or none → (…,out). */
export function linear(x: Tensor, w: Tensor, bias: Tensor | null = null): Tensor {
  const width = x.shape[x.shape.length - 1];
  const rows = reshape(x, [sizeOf(x.shape) / width, width]);
  const product = reshape(matmul(rows, w, { transposeB: true }), [...x.shape.slice(0, -1), w.shape[0]]);
  return bias === null ? product : add(product, bias);
}

/** Rows of table (V,C) by ids (…) → (…,C). Ids outside the table give rows of zeros and no gradient. */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  return apply("embedding", [table, ids], {})[0];
}

/**
 * Rotary positions (Su et al., arXiv:2104.09864) in the half-split order of Llama in Hugging Face: the pairs are d and
 * d + D/2. x (B,T,H,D), tables (positions, D/2); token t stands at `position` + t.
 */
export function rope(x: Tensor, cos: Tensor, sin: Tensor, position: Tensor = literal(0, "i32")): Tensor {
  return apply("rope", [x, cos, sin, position], { inverse: false })[0];
}

/**
 * Causal scaled dot-product attention with grouped queries: q (B,T,H,D), k and v (B,S,G,D) → (B,T,H,D). Query t stands
 * at `position` + t and sees the keys 0 … position + t. The T × S matrix is never stored (Dao, arXiv:2307.08691).
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { scale = 1 / Math.sqrt(q.shape[3]), position = literal(0, "i32") }: { scale?: number; position?: Tensor } = {},
): Tensor {
  return apply("attention", [q, k, v, position], { scale })[0];
}

/** −log softmax(x·wᵀ)[target], in nats, a number a row: x (N,C), w (V,C), targets (N) i32; target −100 counts 0. */
export function linearCrossEntropy(x: Tensor, w: Tensor, targets: Tensor): Tensor {
  return apply("linearCrossEntropy", [x, w, targets], {})[0];
}

/** The key or value cache with `rows` written at `position`; assign the result to the cache's variable. */
export function cacheWrite(cache: Tensor, rows: Tensor, position: Tensor): Tensor {
  return apply("cacheWrite", [cache, rows, position], {})[0];
}
