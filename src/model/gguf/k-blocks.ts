/**
 * @file Decodes ggml's K-quants to float32: super-blocks of 256 values, with small integer scales per group of 32 or 16.
 *
 * The layouts are those of `ggml-common.h` ("block_q4_K" and so on). Every product and sum below is exact in float64 and
 * rounded once.
 */
import { halfTable } from "./half-table.js";

/** Bytes of one super-block. */
export const Q4_K_BYTES = 144;
export const Q5_K_BYTES = 176;
export const Q6_K_BYTES = 210;

/**
 * Unpacks the 6-bit scales and minima of the eight groups of a Q4_K or Q5_K block from 12 bytes at `at`. Groups 0–3 have
 * their scales in bytes 0–3 and minima in bytes 4–7. The others have four low bits in bytes 8–11, and their two high bits
 * at the top of bytes 0–7.
 */
function unpackScales(stored: Uint8Array, at: number, scales: Uint8Array, minima: Uint8Array): void {
  for (let j = 0; j < 4; j++) {
    const [scale, minimum, low] = [stored[at + j], stored[at + 4 + j], stored[at + 8 + j]];
    scales[j] = scale & 63;
    minima[j] = minimum & 63;
    scales[4 + j] = (low & 15) | ((scale >> 6) << 4);
    minima[4 + j] = (low >> 4) | ((minimum >> 6) << 4);
  }
}

/**
 * d, m (f16), 12 bytes of scales, 128 bytes: d·scale·q − m·minimum. Each run of 32 bytes has two groups: the low halves of
 * the bytes, then the high halves.
 */
export function decodeQ4_K(stored: Uint8Array, values: Float32Array): void {
  const table = halfTable();
  const [scales, minima] = [new Uint8Array(8), new Uint8Array(8)];
  for (let at = 0, out = 0; at < stored.length; at += Q4_K_BYTES) {
    const d = table[stored[at] | (stored[at + 1] << 8)];
    const m = table[stored[at + 2] | (stored[at + 3] << 8)];
    unpackScales(stored, at + 4, scales, minima);
    for (let group = 0; group < 8; group++, out += 32) {
      const [scale, minimum] = [d * scales[group], m * minima[group]];
      const from = at + 16 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let i = 0; i < 32; i++) values[out + i] = scale * ((stored[from + i] >> shift) & 15) - minimum;
    }
  }
}

/** As Q4_K with a fifth bit: after the scales come 32 bytes, in which bit g of byte i belongs to value i of group g. */
export function decodeQ5_K(stored: Uint8Array, values: Float32Array): void {
  const table = halfTable();
  const [scales, minima] = [new Uint8Array(8), new Uint8Array(8)];
  for (let at = 0, out = 0; at < stored.length; at += Q5_K_BYTES) {
    const d = table[stored[at] | (stored[at + 1] << 8)];
    const m = table[stored[at + 2] | (stored[at + 3] << 8)];
    unpackScales(stored, at + 4, scales, minima);
    for (let group = 0; group < 8; group++, out += 32) {
      const [scale, minimum] = [d * scales[group], m * minima[group]];
      const from = at + 48 + (group >> 1) * 32;
      const shift = (group & 1) * 4;
      for (let i = 0; i < 32; i++) {
        const high = ((stored[at + 16 + i] >> group) & 1) << 4;
        values[out + i] = scale * (((stored[from + i] >> shift) & 15) | high) - minimum;
      }
    }
  }
}

/**
 * 128 bytes of low halves, 64 bytes of two high bits, 16 scales (i8), d (f16): d·scale·(q − 32). Per 128 values, run r of
 * 32 has its low halves in bytes (r mod 2)·32 … (below 64: low nibble, else high), and its high bits at 2r of 32 bytes.
 */
export function decodeQ6_K(stored: Uint8Array, values: Float32Array): void {
  const table = halfTable();
  for (let at = 0, out = 0; at < stored.length; at += Q6_K_BYTES) {
    const d = table[stored[at + 208] | (stored[at + 209] << 8)];
    for (let run = 0; run < 8; run++, out += 32) {
      const half = run >> 2;
      const low = at + half * 64 + (run & 1) * 32;
      const high = at + 128 + half * 32;
      const [lowShift, highShift] = [(run & 2) * 2, (run & 3) * 2];
      for (let i = 0; i < 32; i++) {
        const scale = d * ((stored[at + 192 + run * 2 + (i >> 4)] << 24) >> 24);
        const q = ((stored[low + i] >> lowShift) & 15) | (((stored[high + i] >> highShift) & 3) << 4);
        values[out + i] = scale * (q - 32);
      }
    }
  }
}
