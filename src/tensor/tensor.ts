/**
 * @file Symbolic tensors.
 *
 * Tracing model code builds a graph of immutable nodes, each with an operation, inputs, attributes and output types. A
 * `Tensor` is one output of a node. Tensors have no values or memory (only `constant` carries data), so there is
 * nothing to dispose. A graph can be differentiated, compared and compiled as plain data.
 */

/**
 * Element types. Operations compute in f32; `i32` is for indices and positions. `bf16`, `f16` and `u8` store numbers in less
 * memory; `cast` converts them to f32 and back. Weights may also be stored in `bf16`, `f16` or blocks: as the right operand of
 * a · bᵀ, and as the table of an embedding.
 */
export type DType = NumberDType | BlockDType;

/** Element types of single numbers. */
export type NumberDType = "f32" | "bf16" | "f16" | "i32" | "u8";

/** ggml's formats of weights: blocks of neighbours in a row, with common scales (block-formats.ts). Variables only. */
export type BlockDType = "q8_0" | "q4_0" | "q4_1" | "q5_0" | "q5_1" | "q4_k" | "q5_k" | "q6_k";

/** Values and bytes per block. A row consists of whole blocks. */
export const BLOCKS: { readonly [D in BlockDType]: { readonly values: number; readonly bytes: number } } = {
  q8_0: { values: 32, bytes: 34 },
  q4_0: { values: 32, bytes: 18 },
  q4_1: { values: 32, bytes: 20 },
  q5_0: { values: 32, bytes: 22 },
  q5_1: { values: 32, bytes: 24 },
  q4_k: { values: 256, bytes: 144 },
  q5_k: { values: 256, bytes: 176 },
  q6_k: { values: 256, bytes: 210 },
};

export const isBlocked = (dtype: DType): dtype is BlockDType => dtype in BLOCKS;

const bytesPerValue = ({ values, bytes }: (typeof BLOCKS)[BlockDType]) => bytes / values;

/** Bytes per element; exact fractions for blocks. */
export const DTYPE_BYTES: { readonly [D in DType]: number } = {
  ...{ f32: 4, bf16: 2, f16: 2, i32: 4, u8: 1 },
  ...{ q8_0: bytesPerValue(BLOCKS.q8_0), q4_0: bytesPerValue(BLOCKS.q4_0), q4_1: bytesPerValue(BLOCKS.q4_1) },
  ...{ q5_0: bytesPerValue(BLOCKS.q5_0), q5_1: bytesPerValue(BLOCKS.q5_1) },
  ...{ q4_k: bytesPerValue(BLOCKS.q4_k), q5_k: bytesPerValue(BLOCKS.q5_k), q6_k: bytesPerValue(BLOCKS.q6_k) },
};

export const isFloat = (dtype: DType): boolean => dtype === "f32" || dtype === "bf16" || dtype === "f16";

export type Shape = readonly number[];

export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** One element in, one element out. `again` returns it unchanged, but begins a recomputation (`recomputed`). */
export type UnaryOp = "again" | "neg" | "exp" | "log" | "sqrt" | "rsqrt" | "abs" | "tanh" | "sigmoid";
/** Two elements in, one out, with broadcasting. `less` and `equal` return 1 or 0. */
export type BinaryOp = "add" | "sub" | "mul" | "div" | "minimum" | "maximum" | "less" | "equal";

/**
 * Every operation with its attributes. The tables of operations (shapes.ts, gradient.ts, evaluation and emission in the
 * backends) are records over this type's keys. So the type checker reports each table that lacks a new operation.
 */
export interface Attributes extends Record<UnaryOp | BinaryOp, Empty> {
  /** State that lives as long as the program: parameters, moments, caches. */
  variable: { readonly name: string; readonly type: TensorType };
  /** Data written before a run: token ids, or a scalar such as the learning rate (shape []). */
  input: { readonly name: string; readonly type: TensorType };
  /** A table known when the program is compiled, such as the cosines of rotary positions. */
  constant: { readonly data: Float32Array; readonly shape: Shape };
  /** A number known when the program is compiled. */
  literal: { readonly value: number; readonly dtype: NumberDType };

  /** where(condition, a, b): a where condition is not 0. */
  where: Empty;
  /** The input, without a gradient. */
  stopGradient: Empty;
  /**
   * Converts to another dtype: to floats by rounding to nearest, ties to even; to integers by truncation, clamped to the
   * range, with NaN as 0. Conversions between integers and floats go through f32.
   */
  cast: { readonly dtype: NumberDType };
  reshape: { readonly shape: Shape };
  broadcast: { readonly shape: Shape };
  /** Splits along `axis` into pieces of these sizes: a view if all users support it, otherwise copies. */
  split: { readonly axis: number; readonly sizes: readonly number[] };
  /** Concatenates the inputs along `axis`. */
  concatenate: { readonly axis: number };
  /** Axis i of the result is axis `axes[i]` of the input: a view in loops, otherwise a copy. */
  transpose: { readonly axes: readonly number[] };
  /** x (…,V), ids (…,K) i32 → the values at the ids (…,K); 0 for ids outside [0, V). */
  gather: Empty;
  /** ids (…,K) i32, values (…,K) → (…,size): sums of the values by id. */
  scatterAdd: { readonly size: number };
  /** seed, step [] i32 → uniform numbers in [0, 1) of `shape`. */
  random: { readonly shape: Shape; readonly stream: number };
  /** inputs, then results → the results, with a custom gradient. */
  custom: {
    readonly results: number;
    readonly derive: (
      inputs: readonly Tensor[],
      results: readonly Tensor[],
      gradients: readonly (Tensor | null)[],
    ) => readonly (Tensor | null)[];
  };
  /** start [] or (B) i32 → start + the index along the last axis, i32 of `shape` (B,…,T). */
  positions: { readonly shape: Shape };
  /** Sum over `axes` (sorted), which stay as dimensions of size 1; `max` likewise. */
  sum: { readonly axes: readonly number[] };
  max: { readonly axes: readonly number[] };

  /**
   * A (M,K) · B (K,N) → (M,N), each optionally stored transposed. With `batchInvariant`, for A · Bᵀ only, the bits of a row
   * depend neither on M nor on the other rows. B may be stored weights, for A · Bᵀ only, and is then batch-invariant too.
   * With B in blocks, the rows of A are rounded to int8, as llama.cpp does: blocks as long as those of B, of 32
   * values with an f16 scale or of 256 with an f32 scale. Products of int8 are added up exactly, per group of values with one scale.
   */
  matmul: { readonly transposeA: boolean; readonly transposeB: boolean; readonly batchInvariant: boolean };
  /** table (V,C) in any float or block dtype, ids (N) i32 → (N,C) */
  embedding: Empty;
  /** ids (N) i32, d_out (N,C) → d_table (V,C) */
  embeddingGradient: { readonly vocabulary: number };
  /** x (B,T,H,D), cos (P,D/2), sin (P,D/2), position [] or (B) i32 → (B,T,H,D); token t has position + t. */
  rope: { readonly inverse: boolean };
  /**
   * q (B,T,H,D), k and v (B,S,G,D), position [] or (B) i32, then the inputs named in `optional`: lengths (B) i32, rows (B)
   * i32 (k and v are then (slots,S,G,D)), segments and ends (B,S) i32 → o (B,T,H,D), log-sum-exp (B,H,T); causal.
   */
  attention: { readonly scale: number; readonly optional: readonly ("lengths" | "rows" | "segments" | "ends")[] };
  /** q, k, v, o, log-sum-exp, d_o, then the inputs named in `optional` → dq, dk, dv; requires position 0 and S = T. */
  attentionGradient: { readonly scale: number; readonly optional: readonly ("lengths" | "segments" | "ends")[] };
  /**
   * x (N,C), w (V,C), targets (N) i32 → −log softmax(x·wᵀ)[target] (N), in nats, 0 for a target of −100. With `statistics`
   * also the entropy of the softmax (N), in nats, 1 or 0 (N) for whether no other id has a larger logit, and log Σ p² (N).
   */
  linearCrossEntropy: { readonly statistics: boolean };
  /**
   * x, w, targets, d_loss (N)[, d_entropy (N)] → loss (N), dx (N,C), dw (V,C)[, entropy, greedy, log Σ p²]. Computes the logits
   * once, and a second time for the gradient of the entropy.
   */
  linearCrossEntropyGradient: { readonly statistics: boolean };
  /**
   * cache (slots,S,G,D) variable, x (B,T,G,D), position [] or (B) i32, then rows (B) i32 if named in `optional` → the cache
   * with x[b] at [position, position + T) of slot rows[b], or of slot b.
   */
  cacheWrite: { readonly optional: readonly "rows"[] };
  /** cache (slots,S,G,D) variable, from (R), to (R), lengths (R) i32 → the cache with positions [0, lengths[r]) of slot from[r] copied to slot to[r]. */
  cacheCopy: Empty;
}

type Empty = Readonly<Record<never, never>>;

export type Op = keyof Attributes;

export interface Node<O extends Op = Op> {
  /** Creation order. Inputs always have smaller ids, so sorting by id is a topological order. */
  readonly id: number;
  readonly op: O;
  readonly inputs: readonly Tensor[];
  readonly attributes: Attributes[O];
  readonly outputs: readonly TensorType[];
}

export interface Tensor extends TensorType {
  readonly node: Node;
  /** Index of the output of the node. */
  readonly output: number;
}

/** Narrows a node to an operation. */
export function isOp<O extends Op>(node: Node, op: O): node is Node<O> {
  return node.op === op;
}

/** Returns the index of a node's optional input by name, or −1. The optional inputs come last. */
export function optionalInput(node: Node<"attention" | "attentionGradient" | "cacheWrite">, name: string): number {
  const optional: readonly string[] = node.attributes.optional;
  const place = optional.indexOf(name);
  return place < 0 ? -1 : node.inputs.length - optional.length + place;
}

/** Returns the number of elements of a shape. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** Returns the bytes of a tensor. */
export function bytesOf({ shape, dtype }: TensorType): number {
  return sizeOf(shape) * DTYPE_BYTES[dtype];
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, i) => dimension === b[i]);
}

/** An invalid graph: an error in model code, found while tracing. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}

let created = 0;

export function createNode<O extends Op>(
  op: O,
  inputs: readonly Tensor[],
  attributes: Attributes[O],
  outputs: readonly TensorType[],
): Node<O> {
  return { id: created++, op, inputs, attributes, outputs };
}

export function outputOf(node: Node, output = 0): Tensor {
  return { node, output, shape: node.outputs[output].shape, dtype: node.outputs[output].dtype };
}

/** Whether two tensors are the same output of the same node. */
export function sameTensor(a: Tensor, b: Tensor): boolean {
  return a.node === b.node && a.output === b.output;
}

/** Returns a key for maps over tensors. */
export function tensorKey(tensor: Tensor): string {
  return `${tensor.node.id}.${tensor.output}`;
}
