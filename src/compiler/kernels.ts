/**
 * @file The compiler's output for a backend: buffers, and kernels in execution order.
 *
 * A kernel is a large operation (a template of the backend) or a loop of fused element-wise operations and reductions. A loop
 * runs over `rows` × `columns`. The same kind of body can be the epilogue of a matrix product, which calls it for each
 * result block while that block is in cache.
 */
import type { BinaryOp, DType, Node, NumberDType, UnaryOp } from "../tensor/index.js";

/**
 * A piece of memory. `name` is the user's name for it; temporaries and constants have none. A transient buffer is a variable that
 * exists only while its entry runs.
 */
export interface Buffer {
  readonly id: number;
  readonly kind: "variable" | "transient" | "input" | "output" | "constant" | "temporary";
  readonly name?: string;
  readonly dtype: DType;
  /** Number of elements. */
  readonly size: number;
  readonly data?: Float32Array;
}

/** ((row / divide) % modulo) · stride; modulo 0 means no remainder. */
export interface RowTerm {
  readonly divide: number;
  readonly modulo: number;
  readonly stride: number;
}

/** The element of a buffer at (row, column) is at offset + Σ row terms + column · columnStride. */
export interface Access {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly rows: readonly RowTerm[];
  readonly columnStride: number;
}

interface Computed {
  /** Whether it differs between columns; if not, it is computed once per row. */
  readonly varies: boolean;
  /** Number of successive row reductions that must finish before it can be computed. */
  readonly stage: number;
}

/** A value of a loop; operands are indices into the body's values. */
export type LoopValue = Computed &
  (
    | { readonly op: "load"; readonly access: Access }
    | { readonly op: "literal"; readonly value: number }
    | { readonly op: UnaryOp | BinaryOp | "where"; readonly operands: readonly number[] }
    | {
        readonly op: "cast";
        readonly from: NumberDType;
        readonly to: NumberDType;
        readonly operands: readonly [number];
      }
    | { readonly op: "rowSum" | "rowMax"; readonly operands: readonly [number] }
  );

/** A result of a loop. `columnSum` sums over the rows, `fullSum` over everything. */
export type LoopResult =
  | { readonly kind: "store"; readonly value: number; readonly access: Access }
  | {
      readonly kind: "columnSum" | "fullSum";
      readonly value: number;
      readonly buffer: Buffer;
      readonly accumulate: boolean;
    };

export interface LoopBody {
  readonly rows: number;
  readonly columns: number;
  readonly values: readonly LoopValue[];
  readonly results: readonly LoopResult[];
}

export interface LoopKernel {
  readonly kind: "loop";
  readonly body: LoopBody;
}

/** Rows of a larger buffer: the first starts at element `offset`, and rows are `stride` elements apart. */
export interface RowView {
  readonly offset: number;
  readonly stride: number;
}

/** A large operation. */
export interface TemplateKernel {
  readonly kind: "template";
  readonly node: Node;
  /** One buffer per input, or a number if the input is a literal index. */
  readonly operands: readonly (Buffer | number)[];
  /** One buffer per output; null for one that is not computed. */
  readonly results: readonly (Buffer | null)[];
  /** Set if an operand or result is only part of the rows of its buffer. */
  readonly operandViews: readonly (RowView | null)[];
  readonly resultViews: readonly (RowView | null)[];
  /** Per output: whether it is added to its buffer instead of overwriting it. */
  readonly accumulate: readonly boolean[];
  /** Runs on each finished block of output 0. */
  readonly epilogue: LoopBody | null;
  /** Output 0 is never stored: its buffer has no memory, and only the epilogue reads its blocks. */
  readonly inBlocks?: true;
}

export type Kernel = LoopKernel | TemplateKernel;

export interface Schedule {
  readonly kernels: readonly Kernel[];
}

function bodyBuffers(body: LoopBody): { reads: Buffer[]; writes: Buffer[] } {
  return {
    reads: body.values.flatMap((value) => (value.op === "load" ? [value.access.buffer] : [])),
    writes: body.results.map((result) => (result.kind === "store" ? result.access.buffer : result.buffer)),
  };
}

/** The buffers that a kernel reads and writes. */
export function buffersOf(kernel: Kernel): { reads: Buffer[]; writes: Buffer[] } {
  if (kernel.kind === "loop") return bodyBuffers(kernel.body);
  const reads = kernel.operands.filter((operand) => typeof operand !== "number");
  const writes = kernel.results.filter((result) => result !== null);
  if (!kernel.epilogue) return { reads, writes };
  const epilogue = bodyBuffers(kernel.epilogue);
  return { reads: [...reads, ...epilogue.reads], writes: [...writes, ...epilogue.writes] };
}
