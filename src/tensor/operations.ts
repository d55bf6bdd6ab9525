/** @file The functions that trace operations into the graph. They check shapes immediately (shapes.ts). */
import { typesOf } from "./shapes.js";
import {
  type Attributes,
  type BinaryOp,
  createNode,
  type DType,
  type NumberDType,
  type Op,
  outputOf,
  type Shape,
  ShapeError,
  sameShape,
  sizeOf,
  type Tensor,
  type UnaryOp,
} from "./tensor.js";

/** Traces one operation: checks the shapes and returns all outputs. @throws ShapeError for inputs that do not fit */
export function apply<O extends Op>(op: O, inputs: readonly Tensor[], attributes: Attributes[O]): readonly Tensor[] {
  // Copies the type: shape rules may return an input tensor, which has more fields.
  const outputs = typesOf(op, inputs, attributes).map(({ shape, dtype }) => ({ shape, dtype }));
  const node = createNode(op, inputs, attributes, outputs);
  return outputs.map((_, i) => outputOf(node, i));
}

/** Operand of element-wise functions: a tensor, or a number known while tracing. */
export type Operand = Tensor | number;

export function literal(value: number, dtype: NumberDType = "f32"): Tensor {
  return apply("literal", [], { value, dtype })[0];
}

const tensorOf = (x: Operand): Tensor => (typeof x === "number" ? literal(x) : x);
const unaryOf = (op: UnaryOp) => (x: Operand) => apply(op, [tensorOf(x)], {})[0];
const binaryOf = (op: BinaryOp) => (x: Operand, y: Operand) => apply(op, [tensorOf(x), tensorOf(y)], {})[0];

/**
 * Creates state that lives as long as the program and is read and written by name, such as a parameter. Blocks (q8_0 …) are
 * written as their bytes, a Uint8Array, and read as numbers.
 */
export function variable(name: string, shape: Shape, dtype: DType = "f32"): Tensor {
  return apply("variable", [], { name, type: { shape, dtype } })[0];
}

/** Creates an input: data passed by name to each run. */
export function input(name: string, shape: Shape, dtype: DType = "f32"): Tensor {
  return apply("input", [], { name, type: { shape, dtype } })[0];
}

/** Creates a scalar input, such as a learning rate, step or position. */
export function scalar(name: string, dtype: DType = "f32"): Tensor {
  return input(name, [], dtype);
}

/** Creates a table known when the program is compiled. */
export function constant(data: Float32Array, shape: Shape): Tensor {
  return apply("constant", [], { data, shape })[0];
}

/**
 * x, but not recognized as x: what is computed from it is computed anew, and not before the operations that were traced
 * earlier. `recomputed` needs it.
 */
export const again = unaryOf("again");
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

/** x, without a gradient. */
export function stopGradient(x: Tensor): Tensor {
  return apply("stopGradient", [x], {})[0];
}

/** Converts to another dtype, with rounding; between floats the gradient passes unchanged. */
export function cast(x: Tensor, dtype: NumberDType): Tensor {
  return x.dtype === dtype ? x : apply("cast", [x], { dtype })[0];
}

export function reshape(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply("reshape", [x], { shape })[0];
}

export function broadcast(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply("broadcast", [x], { shape })[0];
}

const axisOf = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

/** Splits x along an axis into pieces of these sizes; a negative axis counts from the end. */
export function split<const S extends readonly number[]>(
  x: Tensor,
  sizes: S,
  axis: number,
): { readonly [I in keyof S]: Tensor } {
  const parts = sizes.length === 1 ? [x] : apply("split", [x], { axis: axisOf(axis, x.shape.length), sizes });
  return parts as { readonly [I in keyof S]: Tensor };
}

/** Elements [start, end) of x along an axis. */
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

/** Concatenates tensors along an axis. */
export function concatenate(tensors: readonly Tensor[], axis: number): Tensor {
  if (tensors.length === 1) return tensors[0];
  return apply("concatenate", tensors, { axis: axisOf(axis, tensors[0].shape.length) })[0];
}

/** Permutes the axes of x: axis i of the result is axis `axes[i]` of x. Reverses them by default. */
export function transpose(x: Tensor, axes: readonly number[] = x.shape.map((_, i) => x.shape.length - 1 - i)): Tensor {
  return apply("transpose", [x], { axes })[0];
}

/**
 * Selects values by id along the last axis: x (…,V), ids (…,K) i32 → (…,K). An id outside [0, V) selects 0, without a
 * gradient. `embedding` selects whole rows.
 */
export function gather(x: Tensor, ids: Tensor): Tensor {
  return apply("gather", [x, ids], {})[0];
}

/**
 * Adds values at their ids along the last axis: ids (…,K) i32, values (…,K) → (…,size), 0 where there is no id. Ids outside
 * [0, size) are ignored. Values with equal ids are added in the order of K. `scatterAddRows` adds whole rows.
 */
export function scatterAdd(ids: Tensor, values: Tensor, size: number): Tensor {
  return apply("scatterAdd", [ids, values], { size })[0];
}

/** Adds up rows by id: ids (…) i32, rows (…,C) → (count, C). It is the gradient of `embedding`, and vice versa. */
export function scatterAddRows(ids: Tensor, rows: Tensor, count: number): Tensor {
  return apply("embeddingGradient", [ids, rows], { vocabulary: count })[0];
}

/**
 * Uniform random numbers in [0, 1), multiples of 2^−24, by the counter-based generator of philox.ts. They depend only on
 * seed, step (i32 scalars), stream and position, not on the target or the number of threads.
 * @param stream an integer that distinguishes draws of the same step
 */
export function random(shape: Shape, seed: Tensor, step: Tensor, stream: number): Tensor {
  return apply("random", [seed, step], { shape, stream })[0];
}

/**
 * Gives `results`, computed from `inputs` in any way, a custom gradient. `derive` traces the gradients of the inputs (null
 * for none) from the inputs, the results and the gradients of the results. Use it where a simpler, more stable or different
 * derivative than that of the rules is known.
 */
export function withGradient(
  inputs: readonly Tensor[],
  results: readonly Tensor[],
  derive: Attributes["custom"]["derive"],
): readonly Tensor[] {
  return apply("custom", [...inputs, ...results], { results: results.length, derive });
}

/** start, start + 1, … along the last axis of `shape` (B,…,T), i32; start is an i32 scalar or (B), default 0. */
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

/** The sum over axes (default all; negative ones count from the end). */
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

/**
 * a · b for matrices, each optionally transposed first: (M,K), (K,N) → (M,N). With transposeB, b may be weights stored in bf16,
 * f16 or blocks; see `Attributes.matmul`.
 * @param options batchInvariant (only for a · bᵀ) makes the bits of a row independent of the batch. It multiplies in fp32
 * and is slower for more than about 64 rows
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false, batchInvariant = false } = {},
): Tensor {
  return apply("matmul", [a, b], { transposeA, transposeB, batchInvariant })[0];
}

/**
 * x (…,C) · wᵀ + bias → (…,out), with w (out,C) as Hugging Face stores weights, and bias (out) or null.
 * @param options those of `matmul`
 */
export function linear(x: Tensor, w: Tensor, bias: Tensor | null = null, { batchInvariant = false } = {}): Tensor {
  const width = x.shape[x.shape.length - 1];
  const rows = reshape(x, [sizeOf(x.shape) / width, width]); // (N,C)
  const product = reshape(matmul(rows, w, { transposeB: true, batchInvariant }), [...x.shape.slice(0, -1), w.shape[0]]);
  return bias === null ? product : add(product, bias);
}

/** Selects rows of table (V,C) by ids (…) i32 → (…,C). Ids outside the table select zeros, without a gradient. */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  return apply("embedding", [table, ids], {})[0];
}

/**
 * Rotary positions (Su et al., arXiv:2104.09864) in Hugging Face's order for Llama: dimensions d and d + D/2 are a pair.
 * x (B,T,H,D), tables (positions, D/2). Token t of a row has position `position` + t, where `position` is an i32 scalar or
 * (B). Positions outside the tables use their nearest row.
 */
export function rope(x: Tensor, cos: Tensor, sin: Tensor, position: Tensor = literal(0, "i32")): Tensor {
  return apply("rope", [x, cos, sin, position], { inverse: false })[0];
}

export interface AttentionOptions {
  /** Default 1/√D. */
  readonly scale?: number;
  /** [] or (B) i32: position of the first query of a row; default 0. */
  readonly position?: Tensor;
  /** (B) i32: row b attends only to the keys s < lengths[b]. */
  readonly lengths?: Tensor;
  /** (B) i32: row b reads slot rows[b] of k and v (slots,S,G,D). */
  readonly rows?: Tensor;
  /** (B,S) i32: a query attends only to the keys of its segment. */
  readonly segments?: Tensor;
  /** (B,S) i32: only queries at positions below ends[b,s] attend to key s. */
  readonly ends?: Tensor;
}

/**
 * Causal scaled dot-product attention with grouped queries: q (B,T,H,D), k and v (B,S,G,D) → (B,T,H,D). Query t of row b has
 * position position[b] + t and attends to the keys 0 … position[b] + t. The T × S matrix is never stored (Dao,
 * arXiv:2307.08691).
 *
 * Rows may have different lengths: `lengths` masks the padding after a row's keys. A row is skipped if its length is 0,
 * its position is negative, or its index in `rows` is not a slot. Its output and gradients are then 0, its log-sum-exp
 * −∞. `segments` separates the documents of a packed row. `ends` lets a row hold texts with common beginnings: the tokens of
 * their trie in depth-first order, each with the end of its subtree. The bits of a row depend neither on the other rows nor on B.
 *
 * Differentiable at position 0 without `rows`.
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { scale = 1 / Math.sqrt(q.shape[3]), position = literal(0, "i32"), ...given }: AttentionOptions = {},
): Tensor {
  const optional = (["lengths", "rows", "segments", "ends"] as const).filter((name) => given[name] !== undefined);
  const inputs = optional.map((name) => given[name] as Tensor);
  return apply("attention", [q, k, v, position, ...inputs], { scale, optional })[0];
}

/** −log softmax(x·wᵀ)[target] of each row, in nats: x (N,C), w (V,C), targets (N) i32 → (N); 0 for a target of −100. */
export function linearCrossEntropy(x: Tensor, w: Tensor, targets: Tensor): Tensor {
  return apply("linearCrossEntropy", [x, w, targets], { statistics: false })[0];
}

/** Statistics of target tokens, one value per row; all 0 for an ignored target. */
export interface TokenStatistics {
  /** (N) log p(target) in nats. */
  readonly logProbability: Tensor;
  /** (N) −Σ p log p of the whole distribution, in nats. Its gradient computes the logits once more. */
  readonly entropy: Tensor;
  /** (N) 1 if greedy decoding would choose the target (no other id has a larger logit), else 0. */
  readonly isGreedy: Tensor;
  /** (N) log Σ p² of the whole distribution; without a gradient, as `isGreedy`. */
  readonly logSquares: Tensor;
}

/**
 * Returns the log-probability of the targets, the entropy and concentration of the distributions, and whether the targets are
 * the greedy choices, under the head w: x (N,C), w (V,C), targets (N) i32. The logits are never stored.
 */
export function linearTokenStatistics(x: Tensor, w: Tensor, targets: Tensor): TokenStatistics {
  const [loss, entropy, isGreedy, logSquares] = apply("linearCrossEntropy", [x, w, targets], { statistics: true });
  return { logProbability: neg(loss), entropy, isGreedy, logSquares };
}

/**
 * Writes x (B,T,G,D) to a key or value cache (slots,S,G,D): x[b,t] to position[b] + t of slot rows[b], or of slot b without
 * `rows`. The position is an i32 scalar or (B). Values outside the cache are dropped, so a negative row or a position ≤ −T
 * writes nothing. Assign the result to the cache's variable.
 */
export function cacheWrite(
  cache: Tensor,
  x: Tensor,
  position: Tensor,
  { rows }: { readonly rows?: Tensor } = {},
): Tensor {
  const inputs = [cache, x, position, ...(rows ? [rows] : [])];
  return apply("cacheWrite", inputs, { optional: rows ? ["rows"] : [] })[0];
}

/**
 * Copies the first lengths[r] positions of slot from[r] to slot to[r] in a key or value cache (slots,S,G,D); from, to
 * and lengths are (R) i32. Texts with a common prefix thus share its computation. Copies are made in the order of r; a
 * negative slot copies nothing. Assign the result to the cache's variable.
 */
export function cacheCopy(cache: Tensor, from: Tensor, to: Tensor, lengths: Tensor): Tensor {
  return apply("cacheCopy", [cache, from, to, lengths], {})[0];
}
