/**
 * @file The block formats of weights, as integers and scales. The layouts are ggml's (`ggml-common.h`, "block_q8_0" and so on):
 *
 *     q8_0  d f16, 32 × i8                                          d·q
 *     q4_0  d f16, 16 bytes: values 0–15 are the low halves         d·(q − 8)
 *     q4_1  d, m f16, 16 bytes as in q4_0                           d·q + m
 *     q5_0  d f16, 4 bytes with bit 4 of each value, 16 bytes       d·(q − 16)
 *     q5_1  d, m f16, 4 and 16 bytes as in q5_0                     d·q + m
 *     q4_k  d, dmin f16, 12 bytes: 8 × (scale, minimum) of 6 bits, 128 bytes     d·scale·q − dmin·minimum
 *     q5_k  as q4_k, with 32 bytes before the 128: bit g of byte i is bit 4 of value i of group g
 *     q6_k  128 bytes: low 4 bits, 64 bytes: high 2 bits, 16 × scale i8, d f16   d·scale·(q − 32)
 */
import { halfToFloat } from "./float-formats.js";
import { BLOCKS, type BlockDType } from "./tensor.js";

/** Value i is d[block]·scales[group]·quants[i] − dmin[block]·minima[group]. */
export interface Blocks {
  /** Values per block, and values per group. */
  readonly block: number;
  readonly group: number;
  readonly quants: Int8Array;
  readonly scales: Int8Array;
  readonly minima: Int8Array;
  readonly d: Float64Array;
  readonly dmin: Float64Array;
}

/** Values with a common scale. */
const groupOf = (dtype: BlockDType) => (dtype === "q6_k" ? 16 : 32);

/** Reads one block: `at` is its first byte, `i` its number. */
type Reader = (stored: Uint8Array, at: number, to: Blocks, i: number) => void;

const half = (stored: Uint8Array, at: number) => halfToFloat(stored[at] | (stored[at + 1] << 8));

/** Reads the quants of a block of 32 from 16 bytes at `at`, with their high bits from the 4 bytes at `high`, if any. */
function readNibbles(
  stored: Uint8Array,
  at: number,
  to: Int8Array,
  first: number,
  offset: number,
  high?: number,
): void {
  for (let k = 0; k < 32; k++) {
    const low = (stored[at + (k & 15)] >> (k < 16 ? 0 : 4)) & 15;
    const bit = high === undefined ? 0 : (stored[high + (k >> 3)] >> (k & 7)) & 1;
    to[first + k] = (low | (bit << 4)) - offset;
  }
}

/** Reads the scales and minima of q4_k and q5_k. */
function readScales(stored: Uint8Array, at: number, { d, dmin, scales, minima }: Blocks, i: number): void {
  d[i] = half(stored, at);
  dmin[i] = half(stored, at + 2);
  const packed = stored.subarray(at + 4, at + 16);
  for (let g = 0; g < 4; g++) {
    scales[8 * i + g] = packed[g] & 63;
    minima[8 * i + g] = packed[4 + g] & 63;
    scales[8 * i + 4 + g] = (packed[8 + g] & 15) | ((packed[g] >> 6) << 4);
    minima[8 * i + 4 + g] = (packed[8 + g] >> 4) | ((packed[4 + g] >> 6) << 4);
  }
}

const readers: { readonly [D in BlockDType]: Reader } = {
  q8_0(stored, at, { d, quants }, i) {
    d[i] = half(stored, at);
    for (let k = 0; k < 32; k++) quants[32 * i + k] = stored[at + 2 + k];
  },
  q4_0(stored, at, { d, quants }, i) {
    d[i] = half(stored, at);
    readNibbles(stored, at + 2, quants, 32 * i, 8);
  },
  q4_1(stored, at, { d, dmin, minima, quants }, i) {
    d[i] = half(stored, at);
    [dmin[i], minima[i]] = [-half(stored, at + 2), 1];
    readNibbles(stored, at + 4, quants, 32 * i, 0);
  },
  q5_0(stored, at, { d, quants }, i) {
    d[i] = half(stored, at);
    readNibbles(stored, at + 6, quants, 32 * i, 16, at + 2);
  },
  q5_1(stored, at, { d, dmin, minima, quants }, i) {
    d[i] = half(stored, at);
    [dmin[i], minima[i]] = [-half(stored, at + 2), 1];
    readNibbles(stored, at + 8, quants, 32 * i, 0, at + 4);
  },
  q4_k(stored, at, to, i) {
    readScales(stored, at, to, i);
    // 32 bytes have two groups of values: one in their low halves, the next in their high halves.
    for (let k = 0; k < 128; k++) {
      const first = 256 * i + 64 * (k >> 5) + (k & 31);
      to.quants[first] = stored[at + 16 + k] & 15;
      to.quants[first + 32] = stored[at + 16 + k] >> 4;
    }
  },
  q5_k(stored, at, to, i) {
    readScales(stored, at, to, i);
    for (let k = 0; k < 256; k++) {
      const group = k >> 5;
      const low = (stored[at + 48 + 32 * (k >> 6) + (k & 31)] >> (4 * (group & 1))) & 15;
      to.quants[256 * i + k] = low | (((stored[at + 16 + (k & 31)] >> group) & 1) << 4);
    }
  },
  q6_k(stored, at, { d, scales, quants }, i) {
    d[i] = half(stored, at + 208);
    for (let g = 0; g < 16; g++) scales[16 * i + g] = stored[at + 192 + g];
    // Each half of a block: 64 bytes of low bits, 32 bytes of high bits, for four runs of 32 values.
    for (let k = 0; k < 256; k++) {
      const [part, run, l] = [k >> 7, (k >> 5) & 3, k & 31];
      const low = stored[at + 64 * part + 32 * (run & 1) + l] >> (run < 2 ? 0 : 4);
      const high = stored[at + 128 + 32 * part + l] >> (2 * run);
      quants[256 * i + k] = ((low & 15) | ((high & 3) << 4)) - 32;
    }
  },
};

/** Splits whole blocks into integers and scales. */
export function readBlocks(stored: Uint8Array, dtype: BlockDType): Blocks {
  const { values: block, bytes } = BLOCKS[dtype];
  const [count, group] = [stored.length / bytes, groupOf(dtype)];
  const groups = (count * block) / group;
  const blocks: Blocks = {
    ...{ block, group, quants: new Int8Array(count * block) },
    ...{ scales: new Int8Array(groups).fill(1), minima: new Int8Array(groups) },
    ...{ d: new Float64Array(count), dmin: new Float64Array(count) },
  };
  for (let i = 0; i < count; i++) readers[dtype](stored, i * bytes, blocks, i);
  return blocks;
}

/** Decodes whole blocks to numbers, each rounded once. */
export function decodeBlocks(stored: Uint8Array, dtype: BlockDType): Float32Array {
  const { block, group, quants, scales, minima, d, dmin } = readBlocks(stored, dtype);
  return Float32Array.from(quants, (q, i) => {
    const [b, g] = [Math.floor(i / block), Math.floor(i / group)];
    return d[b] * scales[g] * q - dmin[b] * minima[g];
  });
}
