/**
 * @file Stores float32 rows as GGUF's 16-bit and block-quantised types, with the same bytes as ggml.
 *
 * ggml computes in float32, so every intermediate result here is rounded to float32, in ggml's order of operations. No
 * importance matrix is used.
 */
import { QuernError } from "../../errors.js";
import { floatBitsToBfloat16, floatToHalf } from "../../tensor/index.js";
import { TENSOR_TYPES } from "./blocks.js";
import { encodeQ4_0, encodeQ4_1, encodeQ5_0, encodeQ5_1, encodeQ8_0 } from "./quantise-blocks.js";
import { encodeQ4_K, encodeQ5_K, encodeQ6_K } from "./quantise-k-blocks.js";

/** Encodes whole blocks of finite `values` to `stored`. */
type Encoder = (values: Float32Array, stored: Uint8Array) => void;

const ENCODERS = {
  F32: encodeF32,
  F16: encodeF16,
  BF16: encodeBF16,
  Q8_0: encodeQ8_0,
  Q4_0: encodeQ4_0,
  Q4_1: encodeQ4_1,
  Q5_0: encodeQ5_0,
  Q5_1: encodeQ5_1,
  Q4_K: encodeQ4_K,
  Q5_K: encodeQ5_K,
  Q6_K: encodeQ6_K,
} satisfies Record<string, Encoder>;

/** The tensor types that Quern writes. */
export type WritableType = keyof typeof ENCODERS;
export const WRITABLE_TYPES = Object.keys(ENCODERS) as readonly WritableType[];

/** Values and bytes per block of a type. */
export function blockOf(type: WritableType): { readonly block: number; readonly bytes: number } {
  for (const each of TENSOR_TYPES.values()) if (each.name === type) return each;
  throw new Error(`${type} is not a tensor type`);
}

/**
 * Quantises rows of `rowLength` values (rows · rowLength) to the bytes of `type`. The bytes equal those of
 * `ggml_quantize_chunk` without an importance matrix.
 * @throws QuernError if rows are not whole blocks, or a value is not finite or too large for the type
 */
export function quantiseRows(values: Float32Array, rowLength: number, type: WritableType): Uint8Array {
  const { block, bytes } = blockOf(type);
  if (!Number.isInteger(rowLength) || rowLength < 1 || values.length % rowLength !== 0) {
    throw new QuernError(`${values.length} values are not whole rows of ${rowLength}`);
  }
  if (rowLength % block !== 0) {
    throw new QuernError(`${type} stores blocks of ${block} values, which rows of ${rowLength} values do not fill`);
  }
  checkFinite(values, type);
  const stored = new Uint8Array((values.length / block) * bytes);
  ENCODERS[type](values, stored);
  return stored;
}

function checkFinite(values: Float32Array, type: WritableType): void {
  let sum = 0; // stays 0 as long as all values are finite
  for (let i = 0; i < values.length; i++) sum += values[i] * 0;
  if (sum === 0) return;
  const at = values.findIndex((value) => !Number.isFinite(value));
  throw new QuernError(`value ${at} is ${values[at]}, but ${type} is written from finite numbers only`);
}

function encodeF32(values: Float32Array, stored: Uint8Array): void {
  stored.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
}

function encodeF16(values: Float32Array, stored: Uint8Array): void {
  for (let i = 0; i < values.length; i++) {
    const bits = floatToHalf(values[i]);
    if ((bits & 0x7fff) === 0x7c00) throw tooLarge(values[i], "F16", "65504");
    stored[2 * i] = bits;
    stored[2 * i + 1] = bits >> 8;
  }
}

function encodeBF16(values: Float32Array, stored: Uint8Array): void {
  const source = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < source.length; i++) {
    const bits = floatBitsToBfloat16(source[i]);
    if ((bits & 0x7fff) === 0x7f80) throw tooLarge(values[i], "BF16", "3.39e38");
    stored[2 * i] = bits;
    stored[2 * i + 1] = bits >> 8;
  }
}

const tooLarge = (value: number, type: string, most: string) =>
  new QuernError(`the value ${value} is too large for ${type}, whose largest is ${most}`);
