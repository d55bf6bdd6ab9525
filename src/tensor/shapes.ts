/**
 * @file The output shapes of each operation. Shapes are static and checked while tracing, so an error is reported at the line
 * of model code that causes it. Broadcasting follows NumPy: shapes are aligned at their last dimensions, and dimensions of 1
 * are repeated.
 */
import {
  type Attributes,
  BLOCKS,
  type DType,
  isBlocked,
  isFloat,
  type Op,
  type Shape,
  ShapeError,
  sameShape,
  sizeOf,
  type TensorType,
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

/** Returns the shape to which both broadcast, or null. */
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

function elementwise(op: Op): ShapeRule<object> {
  return (inputs) => {
    const shape = inputs.reduce<Shape | null>((s, input) => s && broadcastShapes(s, input.shape), []);
    expect(shape !== null, op, inputs, "the shapes do not broadcast");
    expect(
      inputs.every((input) => input.dtype === "f32"),
      op,
      inputs,
      "needs f32",
    );
    return [f32(shape)];
  };
}

function reduction(op: "sum" | "max"): ShapeRule<Attributes["sum"]> {
  return (inputs, { axes }) => {
    const [x] = inputs;
    expect(x.dtype === "f32", op, inputs, "needs f32");
    expect(
      axes.every((axis) => Number.isInteger(axis) && axis >= 0 && axis < x.shape.length),
      op,
      inputs,
      `${axes} are not axes of the input`,
    );
    return [f32(x.shape.map((dimension, axis) => (axes.includes(axis) ? 1 : dimension)))];
  };
}

function attentionShapes(op: Op, inputs: readonly TensorType[], optional: readonly string[]): void {
  const [q, k, v] = inputs;
  const [lengths, rows, segments, ends] = ["lengths", "rows", "segments", "ends"].map((name) => {
    const place = optional.indexOf(name);
    return place < 0 ? undefined : inputs[inputs.length - optional.length + place];
  });
  expect(q.shape.length === 4 && k.shape.length === 4, op, inputs, "q, k, v must be (batch, time, heads, head width)");
  expect(sameShape(k.shape, v.shape) && k.dtype === v.dtype, op, inputs, "k and v must have the same type");
  expect(q.shape[3] === k.shape[3], op, inputs, "q and k must have the same head width");
  expect(q.shape[2] % k.shape[2] === 0, op, inputs, "the heads must be a multiple of the key/value heads");
  expect(rows !== undefined || q.shape[0] === k.shape[0], op, inputs, "q and k must have the same batch");
  const B = q.shape[0];
  if (lengths) expect(isIndexPerRow(lengths, B), op, inputs, "lengths must be i32 (batch)");
  if (rows) expect(isIndexPerRow(rows, B), op, inputs, "rows must be i32 (batch)");
  const isPerKey = ({ dtype, shape }: TensorType) => dtype === "i32" && sameShape(shape, [B, k.shape[1]]);
  if (segments) expect(isPerKey(segments), op, inputs, "segments must be i32 (batch, keys)");
  if (ends) expect(isPerKey(ends), op, inputs, "ends must be i32 (batch, keys)");
}

const isIndexPerRow = ({ dtype, shape }: TensorType, B: number) => dtype === "i32" && sameShape(shape, [B]);
/** One position for all rows, or one per row. */
const isPosition = (type: TensorType, B: number) =>
  (type.dtype === "i32" && type.shape.length === 0) || isIndexPerRow(type, B);

/** Operations that accept every dtype; the others accept f32, and i32 for indices. */
const ANY_TYPE: ReadonlySet<Op> = new Set<Op>([
  ...(["cast", "stopGradient", "custom", "reshape", "broadcast", "split", "transpose"] as const),
  ...(["attention", "cacheWrite", "cacheCopy"] as const), // see isCacheType
]);
/** Keys and values in a cache may have 16 bits, or blocks of q8_0. */
const isCacheType = (dtype: DType) => isFloat(dtype) || dtype === "q8_0";

/** Operands that may be weights stored in 16 bits or blocks. */
const WEIGHTS: { readonly [O in Op]?: number } = { matmul: 1, embedding: 0 };

/** Operations on caches, which check their types themselves. */
const CACHES: ReadonlySet<Op> = new Set<Op>(["attention", "cacheWrite", "cacheCopy"]);

/** Returns the output types of an operation. @throws ShapeError for inputs that do not fit */
export function typesOf<O extends Op>(op: O, inputs: readonly TensorType[], attributes: Attributes[O]) {
  const computes = inputs.every(
    ({ dtype }, i) => dtype === "f32" || dtype === "i32" || (WEIGHTS[op] === i && (isFloat(dtype) || isBlocked(dtype))),
  );
  const blocks = inputs.find(({ dtype }, i) => isBlocked(dtype) && WEIGHTS[op] !== i && !CACHES.has(op));
  const only = `${blocks?.dtype} is only for the right operand of a · bᵀ, the table of an embedding and caches`;
  expect(blocks === undefined, op, inputs, only);
  expect(computes || ANY_TYPE.has(op), op, inputs, "needs f32; cast the inputs first");
  return shapeRules[op](inputs, attributes);
}

const shapeRules: { readonly [O in Op]: ShapeRule<Attributes[O]> } = {
  variable: (inputs, { type }) => {
    const { shape, dtype } = type;
    if (!isBlocked(dtype)) return [type];
    const { values } = BLOCKS[dtype];
    const fits = (shape.length === 2 || shape.length === 4) && shape[shape.length - 1] % values === 0;
    expect(
      fits,
      "variable",
      inputs,
      `${dtype} needs a matrix or cache whose rows are multiples of ${values}, not (${shape})`,
    );
    return [type];
  },
  input: (inputs, { type }) => {
    expect(!isBlocked(type.dtype), "input", inputs, `only variables can be ${type.dtype}`);
    return [type];
  },
  constant: (inputs, { data, shape }) => {
    expect(data.length === sizeOf(shape), "constant", inputs, `${data.length} values do not fill (${shape})`);
    return [f32(shape)];
  },
  literal: (_, { dtype }) => [{ shape: [], dtype }],

  neg: elementwise("neg"),
  exp: elementwise("exp"),
  log: elementwise("log"),
  sqrt: elementwise("sqrt"),
  rsqrt: elementwise("rsqrt"),
  again: elementwise("again"),
  abs: elementwise("abs"),
  tanh: elementwise("tanh"),
  sigmoid: elementwise("sigmoid"),
  stopGradient: ([x]) => [x],
  cast: ([x], { dtype }) => [{ shape: x.shape, dtype }],
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
    expect(joint !== null && sameShape(joint, shape), "broadcast", inputs, `does not broadcast to (${shape})`);
    return [{ shape, dtype: inputs[0].dtype }];
  },
  split: (inputs, { axis, sizes }) => {
    const [x] = inputs;
    const total = sizes.reduce((a, b) => a + b, 0);
    expect(
      axis in x.shape && sizes.every((size) => size > 0),
      "split",
      inputs,
      `cannot split axis ${axis} into pieces of ${sizes}`,
    );
    expect(total === x.shape[axis], "split", inputs, `pieces of ${sizes} do not fill axis ${axis}`);
    return sizes.map((size) => ({ shape: x.shape.with(axis, size), dtype: x.dtype }));
  },
  concatenate: (inputs, { axis }) => {
    const [first] = inputs;
    const rank = first.shape.length;
    const fits = inputs.every(
      ({ shape }) => axis < rank && shape.length === rank && sameShape(shape.with(axis, 0), first.shape.with(axis, 0)),
    );
    expect(fits, "concatenate", inputs, `the shapes may differ only along axis ${axis}`);
    expect(
      inputs.every(({ dtype }) => dtype === "f32"),
      "concatenate",
      inputs,
      "needs f32",
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
  transpose: (inputs, { axes }) => {
    const [x] = inputs;
    const each = x.shape.every((_, axis) => axes.includes(axis));
    expect(axes.length === x.shape.length && each, "transpose", inputs, `(${axes}) is not a permutation of its axes`);
    return [{ shape: axes.map((axis) => x.shape[axis]), dtype: x.dtype }];
  },
  gather: (inputs) => {
    const [x, ids] = inputs;
    expect(x.dtype === "f32" && ids.dtype === "i32", "gather", inputs, "needs f32 values and i32 ids");
    expect(sameLeading(x.shape, ids.shape), "gather", inputs, "only the last dimensions may differ");
    return [f32(ids.shape)];
  },
  scatterAdd: (inputs, { size }) => {
    const [ids, values] = inputs;
    expect(
      ids.dtype === "i32" && sameShape(ids.shape, values.shape),
      "scatterAdd",
      inputs,
      "needs one i32 id per value",
    );
    return [f32([...ids.shape.slice(0, -1), size])];
  },
  random: (inputs, { shape }) => {
    const scalars = inputs.every((x) => x.dtype === "i32" && x.shape.length === 0);
    expect(inputs.length === 2 && scalars, "random", inputs, "needs a seed and a step, i32 scalars");
    return [f32(shape)];
  },
  custom: (inputs, { results }) => inputs.slice(inputs.length - results),
  positions: (inputs, { shape }) => {
    const [start] = inputs;
    expect(shape.length > 0, "positions", inputs, "needs at least one axis");
    const rows = shape.length > 1 ? shape[0] : 0;
    expect(isPosition(start, rows), "positions", inputs, "the start must be i32, a scalar or (batch)");
    return [{ shape, dtype: "i32" }];
  },
  sum: reduction("sum"),
  max: reduction("max"),

  matmul: (inputs, { transposeA, transposeB, batchInvariant }) => {
    expect(!batchInvariant || (!transposeA && transposeB), "matmul", inputs, "only a · bᵀ can be batch-invariant");
    const [a, b] = inputs;
    expect(a.shape.length === 2 && b.shape.length === 2, "matmul", inputs, "needs matrices");
    const [m, k] = transposeA ? [a.shape[1], a.shape[0]] : a.shape;
    const [inner, n] = transposeB ? [b.shape[1], b.shape[0]] : b.shape;
    expect(k === inner, "matmul", inputs, `inner dimensions ${k} and ${inner} differ`);
    const onTheRight = b.dtype === "f32" || (!transposeA && transposeB);
    expect(onTheRight, "matmul", inputs, `needs f32, except for a · bᵀ, whose right operand may be ${b.dtype}`);
    return [f32([m, n])];
  },
  embedding: (inputs) => {
    const [table, ids] = inputs;
    expect(table.shape.length === 2 && ids.dtype === "i32", "embedding", inputs, "needs a table (V,C) and i32 ids");
    return [f32([...ids.shape, table.shape[1]])];
  },
  embeddingGradient: (inputs, { vocabulary }) => {
    const [ids, gradient] = inputs;
    const width = gradient.shape[gradient.shape.length - 1];
    expect(sizeOf(ids.shape) * width === sizeOf(gradient.shape), "embeddingGradient", inputs, "needs one row per id");
    return [f32([vocabulary, width])];
  },
  rope: (inputs) => {
    const [x, cos, sin, position] = inputs;
    expect(x.shape.length === 4 && x.shape[3] % 2 === 0, "rope", inputs, "needs x (B,T,H,D) with even D");
    expect(
      sameShape(cos.shape, sin.shape) && cos.shape[1] === x.shape[3] / 2,
      "rope",
      inputs,
      "the tables must be (P,D/2)",
    );
    expect(cos.shape[0] >= x.shape[1], "rope", inputs, "the tables need a row per position");
    expect(isPosition(position, x.shape[0]), "rope", inputs, "position must be i32, a scalar or (batch)");
    return [x];
  },
  attention: (inputs, { optional }) => {
    attentionShapes("attention", inputs, optional);
    const [q, k] = inputs;
    expect(
      q.dtype === "f32" && isCacheType(k.dtype),
      "attention",
      inputs,
      "needs f32; k and v may be bf16, f16 or q8_0",
    );
    expect(isPosition(inputs[3], q.shape[0]), "attention", inputs, "position must be i32, a scalar or (batch)");
    return [q, f32([q.shape[0], q.shape[2], q.shape[1]])];
  },
  attentionGradient: (inputs, { optional }) => {
    attentionShapes("attentionGradient", inputs, optional);
    const [q, k, v] = inputs;
    expect(q.shape[1] === k.shape[1], "attentionGradient", inputs, "needs as many queries as keys (no cache)");
    return [q, k, v];
  },
  linearCrossEntropy: (inputs, { statistics }) => {
    const loss = lossShapes("linearCrossEntropy", inputs);
    return statistics ? [loss, loss, loss, loss] : [loss];
  },
  linearCrossEntropyGradient: (inputs, { statistics }) => {
    const loss = lossShapes("linearCrossEntropyGradient", inputs);
    const fits = statistics || inputs.length === 4;
    expect(fits, "linearCrossEntropyGradient", inputs, "a gradient of the entropy needs the statistics");
    return [loss, inputs[0], inputs[1], ...(statistics ? [loss, loss, loss] : [])];
  },
  cacheWrite: (inputs) => {
    const [cache, x, position, rows] = inputs;
    const [B, T, ...row] = x.shape;
    const sameRow = cache.shape.length === 4 && x.shape.length === 4 && sameShape(row, cache.shape.slice(2));
    const fits = sameRow && T <= cache.shape[1] && (rows !== undefined || B === cache.shape[0]);
    expect(fits, "cacheWrite", inputs, "x (B,T,G,D) must fit the cache (B,S,G,D)");
    const types = x.dtype === "f32" && isCacheType(cache.dtype);
    expect(types, "cacheWrite", inputs, "x must be f32, the cache f32, bf16, f16 or q8_0");
    expect(isPosition(position, B), "cacheWrite", inputs, "position must be i32, a scalar or (batch)");
    if (rows) expect(isIndexPerRow(rows, B), "cacheWrite", inputs, "rows must be i32 (batch)");
    return [cache];
  },
  cacheCopy: (inputs) => {
    const [cache, ...indices] = inputs;
    const isCache = cache.shape.length === 4 && isCacheType(cache.dtype);
    expect(isCache, "cacheCopy", inputs, "needs a cache (slots,S,G,D) in f32, bf16, f16 or q8_0");
    const count = indices[0].shape[0];
    expect(
      indices.every((x) => isIndexPerRow(x, count)),
      "cacheCopy",
      inputs,
      "from, to and lengths must be i32 (copies)",
    );
    return [cache];
  },
};

const sameLeading = (a: Shape, b: Shape) =>
  a.length === b.length && a.every((n, i) => i === a.length - 1 || n === b[i]);

function lossShapes(op: Op, inputs: readonly TensorType[]): TensorType {
  const [x, w, targets] = inputs;
  expect(
    x.shape.length === 2 && w.shape.length === 2 && x.shape[1] === w.shape[1],
    op,
    inputs,
    "needs x (N,C) and w (V,C)",
  );
  expect(
    targets.dtype === "i32" && sizeOf(targets.shape) === x.shape[0],
    op,
    inputs,
    "needs one i32 target per row of x",
  );
  return f32([x.shape[0]]);
}
