/**
 * @file The text of one WGSL kernel while it is written, and the memory that it uses.
 *
 * All buffers are `array<u32>`, because small integers would be denormal floats. Operand k is at word `ok` of the buffer that holds it;
 * which binding that is depends on how the program's variables are shared, so the text says `ld$k` and `st$k`, and `shader.ts` writes
 * the binding's number in place of `$k` when the program is opened.
 */
import type { Buffer } from "../../compiler/index.js";
import type { DType } from "../../tensor/index.js";

/** Words of memory that one launch, or several of one operation, use for partial results. */
export interface Scratch {
  readonly kind: "scratch";
  readonly dtype: DType;
  /** Offset in words. */
  readonly at: number;
}

/** A buffer from word `from` on. Kernels that work on different parts have the same text. */
export interface Slice {
  readonly kind: "slice";
  readonly dtype: DType;
  readonly of: Buffer | Scratch;
  readonly from: number;
}

export type Memory = Buffer | Scratch | Slice;

/** The part of a buffer from element `from` on; its elements are words. */
export function sliceOf(of: Buffer, from: number): Slice {
  if (of.dtype !== "f32" && of.dtype !== "i32") throw new Error(`elements of ${of.dtype} are not words`);
  return { kind: "slice", dtype: of.dtype, of, from };
}

/** One kernel, launched once. */
export interface Emission {
  /** Prefix of the kernel's name. */
  readonly stem: string;
  /** WGSL, with `$k` in place of the binding of operand k. */
  readonly text: string;
  readonly operands: readonly Memory[];
  readonly workgroups: number;
}

/** Threads of a workgroup, unless a kernel needs another number. */
export const THREADS = 64;

interface Parts {
  readonly threads?: number;
  readonly declarations?: string;
  readonly functions?: readonly { readonly head: string; readonly lines: readonly string[] }[];
}

/** Collects the operands of a kernel and writes accesses to them. Values of integers are i32, all others f32. */
export class KernelText {
  readonly operands: Memory[] = [];

  number(memory: Memory): number {
    const known = this.operands.indexOf(memory);
    return known >= 0 ? known : this.operands.push(memory) - 1;
  }

  /** The word at an index expression. */
  word(memory: Memory, index: string): string {
    const k = this.number(memory);
    return `ld$${k}(o${k} + ${index})`;
  }

  storeWord(memory: Memory, index: string, word: string): string {
    const k = this.number(memory);
    return `st$${k}(o${k} + ${index}, ${word});`;
  }

  /** Element `index` as f32 or i32. */
  load(memory: Memory, index: string): string {
    const k = this.number(memory);
    switch (memory.dtype) {
      case "f32":
        return `bitcast<f32>(${this.word(memory, index)})`;
      case "i32":
        return `bitcast<i32>(${this.word(memory, index)})`;
      case "bf16":
        return `bitcast<f32>(half_of(ld$${k}(o${k} + (${index}) / 2u), ${index}) << 16u)`;
      case "f16":
        return `f16_to_f32(half_of(ld$${k}(o${k} + (${index}) / 2u), ${index}))`;
      case "u8":
        return `i32((ld$${k}(o${k} + (${index}) / 4u) >> (8u * ((${index}) & 3u))) & 0xffu)`;
      default:
        throw new Error(`${memory.dtype} has no single elements`);
    }
  }

  /** Stores an f32 or i32 as element `index`. Elements smaller than a word are exchanged atomically. */
  store(memory: Memory, index: string, value: string): string {
    const k = this.number(memory);
    switch (memory.dtype) {
      case "f32":
      case "i32":
        return this.storeWord(memory, index, `bitcast<u32>(${value})`);
      case "bf16":
        return `st_part$${k}(o${k} + (${index}) / 2u, 16u * ((${index}) & 1u), 0xffffu, f32_to_bf16(${value}));`;
      case "f16":
        return `st_part$${k}(o${k} + (${index}) / 2u, 16u * ((${index}) & 1u), 0xffffu, f32_to_f16(${value}));`;
      case "u8":
        return `st_part$${k}(o${k} + (${index}) / 4u, 8u * ((${index}) & 3u), 0xffu, u32(${value}) & 0xffu);`;
      default:
        throw new Error(`${memory.dtype} has no single elements`);
    }
  }

  /**
   * The finished kernel. In `body`, `tid` is the thread's number in its workgroup, and `block` the workgroup's number.
   * @param declarations workgroup variables, and functions that access no operands
   * @param functions functions that access operands
   */
  emission(stem: string, workgroups: number, body: readonly string[], options: Parts = {}): Emission {
    const { threads = THREADS, declarations = "", functions = [] } = options;
    const offsets = this.operands.map((_, k) => `  let o${k} = offsets[${k >> 2}].${"xyzw"[k & 3]};`);
    const text = [
      ...(declarations === "" ? [] : [declarations.trim()]),
      ...functions.flatMap(({ head, lines }) => [`${head} {`, ...offsets, ...lines.map((line) => `  ${line}`), "}"]),
      `@compute @workgroup_size(${threads})`,
      "fn main(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) wgs: vec3<u32>, @builtin(local_invocation_index) tid: u32) {",
      "  let block = wg.x + wg.y * wgs.x;",
      `  if (block >= ${workgroups}u) { return; }`,
      ...offsets,
      ...body.map((line) => `  ${line}`),
      "}",
    ].join("\n");
    return { stem, text, operands: this.operands, workgroups };
  }
}

/** A WGSL literal of exactly this float. */
export function wgslFloat(value: number): string {
  if (Number.isNaN(value)) return "bitcast<f32>(nan_bits)";
  if (!Number.isFinite(value)) return value > 0 ? "infinity()" : "-infinity()";
  const x = Math.fround(value);
  if (x !== 0 && Math.abs(x) < 2 ** -126) return `bitcast<f32>(${new Uint32Array(Float32Array.of(x).buffer)[0]}u)`;
  if (Object.is(x, -0)) return "-0.0f";
  const text = x.toString();
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}

/** Splits a sequence of `count` items among threads of workgroups: `i` runs over the items of a thread. */
export const threadsOver = (count: number, threads = THREADS) => Math.max(1, Math.ceil(count / threads));
