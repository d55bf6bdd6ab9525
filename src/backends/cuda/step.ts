/** @file A launch of a program: its function in CUDA C++, its grid, and its arguments, which are pointers into memory. */
import type { Buffer } from "../../compiler/index.js";
import type { DType } from "../../tensor/index.js";
import type { Algorithm, ProductShape } from "./cublaslt.js";

/** An argument: bytes after the start of a buffer, or of the scratch that all launches share. */
export interface Argument {
  /** Null for scratch. */
  readonly buffer: Buffer | null;
  readonly bytes: number;
}

/** A launch of a kernel, or a product that cuBLASLt computes. */
export type Step = KernelStep | ProductStep;

export interface KernelStep {
  /** Prefix of the function's name. */
  readonly stem: string;
  /** Text of the function, with NAME in place of its name. Equal texts become one function. */
  readonly text: string;
  readonly grid: readonly [x: number, y: number, z: number];
  readonly threads: number;
  readonly arguments: readonly Argument[];
  /** Bytes of scratch that it uses. */
  readonly scratch: number;
}

export interface ProductStep {
  readonly product: ProductShape;
  readonly algorithm: Algorithm;
  /** A, B, C, the workspace, and the bias if there is one. */
  readonly arguments: readonly Argument[];
  readonly scratch: number;
}

/** How products are computed. */
export interface Arithmetic {
  readonly bf16: boolean;
  /** Matrix products in e4m3. */
  readonly fp8: boolean;
  /** Chooses cuBLASLt's algorithm for a shape; null if the library does not compute it. */
  readonly library: ((shape: ProductShape) => Algorithm | null) | null;
}

/** C type of an element in memory. Blocks are bytes with the type of their format. */
export function typeOf(dtype: DType): string {
  const types: Partial<Record<DType, string>> = {
    ...{ f32: "float", bf16: "qn_bf16", f16: "qn_f16", i32: "int", u8: "unsigned char" },
  };
  return types[dtype] ?? `qn_${dtype}`;
}

/** The pointers that a function under construction uses, in order of first use. */
export class Pointers {
  readonly arguments: Argument[] = [];
  #scratch = 0;

  /** A pointer to an element of a buffer; `bytes` is added by the launch, `elements` by the function. */
  to(
    buffer: Buffer,
    { elements = 0, bytes = 0 }: { readonly elements?: number; readonly bytes?: number } = {},
  ): string {
    const pointer = `((${typeOf(buffer.dtype)} *)${this.#name({ buffer, bytes })})`;
    return elements === 0 ? pointer : `(${pointer} + ${elements}LL)`;
  }

  /** A pointer to scratch of this many bytes from `at` on. */
  scratch(type: string, at: number, bytes: number): string {
    this.#scratch = Math.max(this.#scratch, at + bytes);
    return `((${type} *)${this.#name({ buffer: null, bytes: at })})`;
  }

  get scratchBytes(): number {
    return this.#scratch;
  }

  #name(wanted: Argument): string {
    const known = this.arguments.findIndex(({ buffer, bytes }) => buffer === wanted.buffer && bytes === wanted.bytes);
    return `a${known >= 0 ? known : this.arguments.push(wanted) - 1}`;
  }
}

/** Largest second and third dimension of a grid. */
const MAX_GRID = 65535;

/**
 * Builds a launch. `write` returns the function's statements.
 * @param threads of a block, in one dimension
 */
export function stepOf(
  stem: string,
  [x, y = 1, z = 1]: readonly number[],
  threads: number,
  write: (use: Pointers) => string,
): KernelStep {
  const use = new Pointers();
  const body = write(use);
  if (x > 2 ** 31 - 1 || y > MAX_GRID || z > MAX_GRID) throw new Error(`${stem}: a grid of ${x}×${y}×${z}`);
  const parameters = use.arguments.map((_, i) => `void *a${i}`).join(", ");
  return {
    stem,
    text: `QN_KERNEL __launch_bounds__(${threads}) NAME(${parameters}) {\n${indented(body)}\n}`,
    grid: [x, y, z],
    threads,
    arguments: use.arguments,
    scratch: use.scratchBytes,
  };
}

/** Offsets of scratch are multiples of this many bytes. */
export const ALIGNMENT = 256;
export const aligned = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

function indented(text: string): string {
  return text
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");
}
