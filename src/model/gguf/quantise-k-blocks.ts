/**
 * @file Encodes ggml's K-quants: super-blocks of 256 values, in which each group of 32 or 16 has an integer scale. The
 * layouts are described in k-blocks.ts.
 *
 * Every result is rounded to float32 in ggml's order of operations, so the bytes are equal.
 */
import { halfTable } from "./half-table.js";
import { Q4_K_BYTES, Q5_K_BYTES, Q6_K_BYTES } from "./k-blocks.js";
import { writeHalf } from "./quantise-blocks.js";
import {
  fitGroup,
  fitSymmetric,
  LEAST_MAGNITUDE,
  levels,
  minima,
  nearestInteger,
  nearestLevel,
  type Search,
  scales,
} from "./scale-search.js";

const { fround } = Math;

const integerScales = new Uint8Array(8);
const integerMinima = new Uint8Array(8);

/**
 * Fits the eight groups of a super-block, writes its scales (16 bytes at `at`), and sets its levels for the scales as
 * stored.
 */
function encodeGroups(values: Float32Array, from: number, search: Search, stored: Uint8Array, at: number): void {
  for (let g = 0; g < 8; g++) fitGroup(values, from + g * 32, g, search);
  let [greatestScale, greatestMinimum] = [0, 0];
  for (let g = 0; g < 8; g++) {
    if (scales[g] > greatestScale) greatestScale = scales[g];
    if (minima[g] > greatestMinimum) greatestMinimum = minima[g];
  }
  const inverseScale = greatestScale > 0 ? fround(63 / greatestScale) : 0;
  const inverseMinimum = greatestMinimum > 0 ? fround(63 / greatestMinimum) : 0;
  for (let g = 0; g < 8; g++) {
    integerScales[g] = Math.min(63, nearestInteger(fround(inverseScale * scales[g])) & 255);
    integerMinima[g] = Math.min(63, nearestInteger(fround(inverseMinimum * minima[g])) & 255);
  }
  writeHalf(fround(greatestScale / 63), stored, at);
  writeHalf(fround(greatestMinimum / 63), stored, at + 2);
  for (let g = 0; g < 4; g++) {
    stored[at + 4 + g] = integerScales[g] | ((integerScales[g + 4] >> 4) << 6);
    stored[at + 8 + g] = integerMinima[g] | ((integerMinima[g + 4] >> 4) << 6);
    stored[at + 12 + g] = (integerScales[g + 4] & 15) | ((integerMinima[g + 4] & 15) << 4);
  }
  const table = halfTable();
  const d = table[stored[at] | (stored[at + 1] << 8)];
  const m = table[stored[at + 2] | (stored[at + 3] << 8)];
  for (let g = 0; g < 8; g++) {
    const scale = fround(d * integerScales[g]);
    if (scale === 0) continue; // the levels do not matter; ggml keeps those of the fit
    const minimum = fround(m * integerMinima[g]);
    for (let i = g * 32; i < g * 32 + 32; i++) {
      levels[i] = nearestLevel(fround(fround(values[from + i] + minimum) / scale), 0, search.most);
    }
  }
}

export function encodeQ4_K(values: Float32Array, stored: Uint8Array): void {
  const search = { most: 15, first: -1, steps: 20 };
  for (let from = 0, at = 0; from < values.length; from += 256, at += Q4_K_BYTES) {
    encodeGroups(values, from, search, stored, at);
    for (let pair = 0; pair < 4; pair++) {
      for (let i = 0; i < 32; i++) {
        stored[at + 16 + pair * 32 + i] = levels[pair * 64 + i] | (levels[pair * 64 + 32 + i] << 4);
      }
    }
  }
}

export function encodeQ5_K(values: Float32Array, stored: Uint8Array): void {
  const search = { most: 31, first: -0.5, steps: 15 };
  for (let from = 0, at = 0; from < values.length; from += 256, at += Q5_K_BYTES) {
    encodeGroups(values, from, search, stored, at);
    for (let i = 0; i < 32; i++) {
      let fifth = 0;
      for (let g = 0; g < 8; g++) fifth |= (levels[g * 32 + i] >> 4) << g;
      stored[at + 16 + i] = fifth;
      for (let pair = 0; pair < 4; pair++) {
        stored[at + 48 + pair * 32 + i] = (levels[pair * 64 + i] & 15) | (levels[pair * 64 + 32 + i] << 4);
      }
    }
  }
}

export function encodeQ6_K(values: Float32Array, stored: Uint8Array): void {
  const table = halfTable();
  for (let from = 0, at = 0; from < values.length; from += 256, at += Q6_K_BYTES) {
    let [magnitude, extreme] = [0, 0];
    for (let g = 0; g < 16; g++) {
      fitSymmetric(values, from + g * 16, g);
      if (Math.abs(scales[g]) > magnitude) {
        magnitude = Math.abs(scales[g]);
        extreme = scales[g];
      }
    }
    if (magnitude < LEAST_MAGNITUDE) continue; // all bytes 0
    const inverse = fround(-128 / extreme);
    writeHalf(fround(1 / inverse), stored, at + 208);
    const d = table[stored[at + 208] | (stored[at + 209] << 8)];
    for (let g = 0; g < 16; g++) {
      const integer = (Math.min(127, nearestInteger(fround(inverse * scales[g]))) << 24) >> 24;
      stored[at + 192 + g] = integer;
      const scale = fround(d * integer);
      if (scale === 0) continue; // the levels do not matter; ggml keeps those of the fit
      for (let i = g * 16; i < g * 16 + 16; i++) {
        levels[i] = nearestLevel(fround(values[from + i] / scale), -32, 31) + 32;
      }
    }
    for (let half = 0; half < 2; half++) {
      for (let i = 0; i < 32; i++) {
        const j = half * 128 + i;
        const [q0, q1, q2, q3] = [levels[j], levels[j + 32], levels[j + 64], levels[j + 96]];
        stored[at + half * 64 + i] = (q0 & 15) | (q2 << 4);
        stored[at + half * 64 + 32 + i] = (q1 & 15) | (q3 << 4);
        stored[at + 128 + half * 32 + i] = (q0 >> 4) | ((q1 >> 4) << 2) | ((q2 >> 4) << 4) | ((q3 >> 4) << 6);
      }
    }
  }
}
