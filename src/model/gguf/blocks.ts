/**
 * @file The tensor types of GGUF, and the decoding of their blocks to float32.
 *
 * To support another type, add its `decode`. The layouts are those of ggml (`ggml-common.h`, "block_q4_0" and so on). Scales
 * are float16. Products and sums are exact in float64 and rounded once.
 */
import { halfTable } from "./half-table.js";
import { decodeQ4_K, decodeQ5_K, decodeQ6_K, Q4_K_BYTES, Q5_K_BYTES, Q6_K_BYTES } from "./k-blocks.js";

export interface TensorType {
  readonly name: string;
  /** Values per block, and bytes per block. */
  readonly block: number;
  readonly bytes: number;
  /** Decodes whole blocks from `stored` to the beginning of `values`; undefined if Quern does not support the type. */
  readonly decode?: (stored: Uint8Array, values: Float32Array) => void;
}

/** Types by their number in the file format. */
export const TENSOR_TYPES: ReadonlyMap<number, TensorType> = new Map<number, TensorType>([
  [0, { name: "F32", block: 1, bytes: 4, decode: decodeF32 }],
  [1, { name: "F16", block: 1, bytes: 2, decode: decodeF16 }],
  [2, { name: "Q4_0", block: 32, bytes: 18, decode: decodeQ4_0 }],
  [3, { name: "Q4_1", block: 32, bytes: 20, decode: decodeQ4_1 }],
  [6, { name: "Q5_0", block: 32, bytes: 22, decode: decodeQ5_0 }],
  [7, { name: "Q5_1", block: 32, bytes: 24, decode: decodeQ5_1 }],
  [8, { name: "Q8_0", block: 32, bytes: 34, decode: decodeQ8_0 }],
  [9, { name: "Q8_1", block: 32, bytes: 40 }],
  [10, { name: "Q2_K", block: 256, bytes: 84 }],
  [11, { name: "Q3_K", block: 256, bytes: 110 }],
  [12, { name: "Q4_K", block: 256, bytes: Q4_K_BYTES, decode: decodeQ4_K }],
  [13, { name: "Q5_K", block: 256, bytes: Q5_K_BYTES, decode: decodeQ5_K }],
  [14, { name: "Q6_K", block: 256, bytes: Q6_K_BYTES, decode: decodeQ6_K }],
  [15, { name: "Q8_K", block: 256, bytes: 292 }],
  [16, { name: "IQ2_XXS", block: 256, bytes: 66 }],
  [17, { name: "IQ2_XS", block: 256, bytes: 74 }],
  [18, { name: "IQ3_XXS", block: 256, bytes: 98 }],
  [19, { name: "IQ1_S", block: 256, bytes: 50 }],
  [20, { name: "IQ4_NL", block: 32, bytes: 18 }],
  [21, { name: "IQ3_S", block: 256, bytes: 110 }],
  [22, { name: "IQ2_S", block: 256, bytes: 82 }],
  [23, { name: "IQ4_XS", block: 256, bytes: 136 }],
  [24, { name: "I8", block: 1, bytes: 1 }],
  [25, { name: "I16", block: 1, bytes: 2 }],
  [26, { name: "I32", block: 1, bytes: 4 }],
  [27, { name: "I64", block: 1, bytes: 8 }],
  [28, { name: "F64", block: 1, bytes: 8 }],
  [29, { name: "IQ1_M", block: 256, bytes: 56 }],
  [30, { name: "BF16", block: 1, bytes: 2, decode: decodeBF16 }],
  [34, { name: "TQ1_0", block: 256, bytes: 54 }],
  [35, { name: "TQ2_0", block: 256, bytes: 66 }],
  [39, { name: "MXFP4", block: 32, bytes: 17 }],
  [40, { name: "NVFP4", block: 64, bytes: 36 }],
]);

/** Names of the supported types, for messages. */
export const READABLE_TYPES = [...TENSOR_TYPES.values()].flatMap(({ name, decode }) => (decode ? [name] : []));

function decodeF32(stored: Uint8Array, values: Float32Array): void {
  new Uint8Array(values.buffer, values.byteOffset, stored.length).set(stored);
}

function decodeF16(stored: Uint8Array, values: Float32Array): void {
  const table = halfTable();
  for (let i = 0; i < stored.length / 2; i++) values[i] = table[stored[2 * i] | (stored[2 * i + 1] << 8)];
}

function decodeBF16(stored: Uint8Array, values: Float32Array): void {
  const bits = new Uint32Array(values.buffer, values.byteOffset, stored.length / 2);
  for (let i = 0; i < bits.length; i++) bits[i] = (stored[2 * i] << 16) | (stored[2 * i + 1] << 24);
}

/** d (f16), 32 × q (i8): d·q */
function decodeQ8_0(stored: Uint8Array, values: Float32Array): void {
  const table = halfTable();
  for (let at = 0, out = 0; at < stored.length; at += 34, out += 32) {
    const d = table[stored[at] | (stored[at + 1] << 8)];
    for (let i = 0; i < 32; i++) values[out + i] = d * ((stored[at + 2 + i] << 24) >> 24);
  }
}

/** d (f16), 16 bytes: d·(q − 8); the low halves of the bytes are the first 16 values of q, the high halves the others */
function decodeQ4_0(stored: Uint8Array, values: Float32Array): void {
  const table = halfTable();
  for (let at = 0, out = 0; at < stored.length; at += 18, out += 32) {
    const d = table[stored[at] | (stored[at + 1] << 8)];
    for (let i = 0; i < 16; i++) {
      const pair = stored[at + 2 + i];
      values[out + i] = d * ((pair & 15) - 8);
      values[out + 16 + i] = d * ((pair >> 4) - 8);
    }
  }
}

/** d, m (f16), 16 bytes with q as in Q4_0: d·q + m */
function decodeQ4_1(stored: Uint8Array, values: Float32Array): void {
  const table = halfTable();
  for (let at = 0, out = 0; at < stored.length; at += 20, out += 32) {
    const d = table[stored[at] | (stored[at + 1] << 8)];
    const m = table[stored[at + 2] | (stored[at + 3] << 8)];
    for (let i = 0; i < 16; i++) {
      const pair = stored[at + 4 + i];
      values[out + i] = d * (pair & 15) + m;
      values[out + 16 + i] = d * (pair >> 4) + m;
    }
  }
}

/** d (f16), 4 bytes with bit 4 of each value, 16 bytes with the low bits as in Q4_0: d·(q − 16) */
function decodeQ5_0(stored: Uint8Array, values: Float32Array): void {
  const table = halfTable();
  for (let at = 0, out = 0; at < stored.length; at += 22, out += 32) {
    const d = table[stored[at] | (stored[at + 1] << 8)];
    for (let i = 0; i < 32; i++) values[out + i] = d * (fiveBits(stored, at + 2, i) - 16);
  }
}

/** d, m (f16), 4 and 16 bytes as in Q5_0: d·q + m */
function decodeQ5_1(stored: Uint8Array, values: Float32Array): void {
  const table = halfTable();
  for (let at = 0, out = 0; at < stored.length; at += 24, out += 32) {
    const d = table[stored[at] | (stored[at + 1] << 8)];
    const m = table[stored[at + 2] | (stored[at + 3] << 8)];
    for (let i = 0; i < 32; i++) values[out + i] = d * fiveBits(stored, at + 4, i) + m;
  }
}

/** Value i of 32, whose high bits are in the 4 bytes at `at`, and low bits in the next 16. */
function fiveBits(stored: Uint8Array, at: number, i: number): number {
  const high = (stored[at + (i >> 3)] >> (i & 7)) & 1;
  return ((stored[at + 4 + (i & 15)] >> ((i >> 4) * 4)) & 15) | (high << 4);
}
