/** @file The functions with which model code traces operations. Their shapes are checked here and now (shapes.ts). */
import { typesOf } from "./shapes.js";
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
  type UnaryOp,
} from "./tensor.js";

/** Traces one operation: checks the shapes and gives all outputs. */
export function apply<O extends Op>(op: O, inputs: readonly Tensor[], attributes: Attributes[O]): readonly Tensor[] {
  // Rules may hand back an input, which is more than a type.
  const outputs = typesOf(op, inputs, attributes).map(({ shape, dtype }) => ({ shape, dtype }));
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
export function variable(name: string, shape: Shape, dtype: DType = "f32"): Tensor {
  return apply("variable", [], { name, type: { shape, dtype } })[0];
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

/** The same numbers in another type, rounded where it has fewer digits; between floats the gradient passes as it is. */
export function cast(x: Tensor, dtype: DType): Tensor {
  return x.dtype === dtype ? x : apply("cast", [x], { dtype })[0];
}

export function reshape(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply("reshape", [x], { shape })[0];
}

export function broadcast(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply("broadcast", [x], { shape })[0];
}

const axisOf = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

/** x cut along an axis (a negative one counts from the end) into pieces of these sizes. */
export function split<const S extends readonly number[]>(
  x: Tensor,
  sizes: S,
  axis: number,
): { readonly [I in keyof S]: Tensor } {
  const parts = sizes.length === 1 ? [x] : apply("split", [x], { axis: axisOf(axis, x.shape.length), sizes });
  return parts as { readonly [I in keyof S]: Tensor };
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

/** x with its axes in another order: axis i of the result is axis `axes[i]` of x; reversed unless given. */
export function transpose(x: Tensor, axes: readonly number[] = x.shape.map((_, i) => x.shape.length - 1 - i)): Tensor {
  return apply("transpose", [x], { axes })[0];
}

/**
 * Numbers of x by their place along the last axis: x (…,V), ids (…,K) i32 → (…,K). An id outside [0, V) gives 0 and no
 * gradient. Whole rows are gathered by `embedding`.
 */
export function gather(x: Tensor, ids: Tensor): Tensor {
  return apply("gather", [x, ids], {})[0];
}

/**
 * Numbers added up at their places along the last axis: ids (…,K) i32, values (…,K) → (…,size), 0 where no id points.
 * Ids outside [0, size) are left out. Equal ids are added in the order of K. Whole rows are added by `scatterAddRows`.
 */
export function scatterAdd(ids: Tensor, values: Tensor, size: number): Tensor {
  return apply("scatterAdd", [ids, values], { size })[0];
}

/** Rows added up by id: ids (…) i32, rows (…,C) → (count, C). The gradient of `embedding`, and it of this. */
export function scatterAddRows(ids: Tensor, rows: Tensor, count: number): Tensor {
  return apply("embeddingGradient", [ids, rows], { vocabulary: count })[0];
}

/**
 * Uniform numbers in [0, 1), multiples of 2^−24, by the counter-based generator of philox.ts: a function of the seed, the
 * step (i32 scalars), the stream and the place alone, on every target and any number of threads.
 * @param stream a whole number that tells draws of one step apart
 */
export function random(shape: Shape, seed: Tensor, step: Tensor, stream: number): Tensor {
  return apply("random", [seed, step], { shape, stream })[0];
}

/**
 * `results`, which were computed from `inputs` in any way, with a gradient of their own: `derive` traces the gradients of
 * the inputs (null where none flows) from the inputs, the results and the gradients of the results. For operations whose
 * derivative is known to be something simpler, steadier or other than what the rules of their parts give.
 */
export function withGradient(
  inputs: readonly Tensor[],
  results: readonly Tensor[],
  derive: Attributes["custom"]["derive"],
): readonly Tensor[] {
  return apply("custom", [...inputs, ...results], { results: results.length, derive });
}

/** start, start + 1, … along the last axis of `shape` (B,…,T), i32; start is an i32 scalar or (B), 0 unless given. */
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

/**
 * a · b for matrices, either of them transposed first.
 * @param options batchInvariant (only for a · bᵀ) gives each row of a the same bits in any batch, at some cost in speed for
 * more than about 64 rows; it multiplies in fp32
 */
export function matmul(
  a: Tensor,
  b: Tensor,
  { transposeA = false, transposeB = false, batchInvariant = false } = {},
): Tensor {
  return apply("matmul", [a, b], { transposeA, transposeB, batchInvariant })[0];
}

/**
 * x (…,C) · wᵀ + bias with w (out,C), as Hugging Face stores weights, and bias (out) or none → (…,out).
 * @param options as `matmul` has them
 */
export function linear(x: Tensor, w: Tensor, bias: Tensor | null = null, { batchInvariant = false } = {}): Tensor {
  const width = x.shape[x.shape.length - 1];
  const rows = reshape(x, [sizeOf(x.shape) / width, width]);
  const product = reshape(matmul(rows, w, { transposeB: true, batchInvariant }), [...x.shape.slice(0, -1), w.shape[0]]);
  return bias === null ? product : add(product, bias);
}

/** Rows of table (V,C) by ids (…) → (…,C). Ids outside the table give rows of zeros and no gradient. */
export function embedding(table: Tensor, ids: Tensor): Tensor {
  return apply("embedding", [table, ids], {})[0];
}

/**
 * Rotary positions (Su et al., arXiv:2104.09864) in the half-split order of Llama in Hugging Face: the pairs are d and
 * d + D/2. x (B,T,H,D), tables (positions, D/2); token t of row b stands at `position` + t, where the position is an i32
 * scalar or (B). Positions outside the tables take their nearest row.
 */
export function rope(x: Tensor, cos: Tensor, sin: Tensor, position: Tensor = literal(0, "i32")): Tensor {
  return apply("rope", [x, cos, sin, position], { inverse: false })[0];
}

export interface AttentionOptions {
  /** 1/√D unless given. */
  readonly scale?: number;
  /** [] or (B) i32: where the first query of a row stands; 0 unless given. */
  readonly position?: Tensor;
  /** (B) i32: row b sees only the keys s < lengths[b]. */
  readonly lengths?: Tensor;
  /** (B) i32: row b reads slot rows[b] of k and v (slots,S,G,D). */
  readonly rows?: Tensor;
  /** (B,S) i32: a query sees only the keys of its own segment. */
  readonly segments?: Tensor;
}

/**
 * Causal scaled dot-product attention with grouped queries: q (B,T,H,D), k and v (B,S,G,D) → (B,T,H,D). Query t of row b
 * stands at position[b] + t and sees the keys 0 … position[b] + t. The T × S matrix is never stored (Dao,
 * arXiv:2307.08691).
 *
 * Rows may be ragged: `lengths` hides the padding behind a row's keys. A row with length 0, with a negative position or
 * with an index in `rows` that is no slot does no work: its output is 0 (its log-sum-exp −∞) and so are its gradients.
 * `segments` separates the documents of a packed row. The bits of a row do not depend on the other rows, nor on B.
 *
 * Differentiable at position 0 without `rows`.
 */
export function attention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { scale = 1 / Math.sqrt(q.shape[3]), position = literal(0, "i32"), ...given }: AttentionOptions = {},
): Tensor {
  const optional = (["lengths", "rows", "segments"] as const).filter((name) => given[name] !== undefined);
  const inputs = optional.map((name) => given[name] as Tensor);
  return apply("attention", [q, k, v, position, ...inputs], { scale, optional })[0];
}

/** −log softmax(x·wᵀ)[target], in nats, a number a row: x (N,C), w (V,C), targets (N) i32; target −100 counts 0. */
export function linearCrossEntropy(x: Tensor, w: Tensor, targets: Tensor): Tensor {
  return apply("linearCrossEntropy", [x, w, targets], { statistics: false })[0];
}

/** What a model says of a token, a number a row; all 0 where the target is ignored. */
export interface TokenStatistics {
  /** (N) log p(target) in nats; gradients flow through it alone. */
  readonly logProbability: Tensor;
  /** (N) −Σ p log p of the whole distribution, in nats. */
  readonly entropy: Tensor;
  /** (N) 1 where greedy decoding chooses the target (no other id has a larger logit), else 0. */
  readonly isGreedy: Tensor;
}

/**
 * Log-probability of the target, entropy of the distribution, and whether the target is the greedy choice, under the head w:
 * x (N,C), w (V,C), targets (N) i32. The logits are never stored.
 */
export function linearTokenStatistics(x: Tensor, w: Tensor, targets: Tensor): TokenStatistics {
  const [loss, entropy, isGreedy] = apply("linearCrossEntropy", [x, w, targets], { statistics: true });
  return { logProbability: neg(loss), entropy, isGreedy };
}

/**
 * A key or value cache (slots,S,G,D) with x (B,T,G,D) written to it: x[b,t] goes to position[b] + t of slot rows[b], or of
 * slot b. The position is an i32 scalar or (B). What would lie outside the cache is dropped, so that a negative row or a
 * position ≤ −T writes nothing. Assign the result to the cache's variable.
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
 * A key or value cache (slots,S,G,D) in which slot to[r] begins with the first lengths[r] positions of slot from[r]: texts
 * that share a prefix share its computation. from, to and lengths are (R) i32; copies are made in the order of r, and a
 * negative slot copies nothing. Assign the result to the cache's variable.
 */
export function cacheCopy(cache: Tensor, from: Tensor, to: Tensor, lengths: Tensor): Tensor {
  return apply("cacheCopy", [cache, from, to, lengths], {})[0];
}
