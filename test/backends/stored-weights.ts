/** @file Made-up weights in every storage type. */
import { BLOCKS, type BlockDType, type DType, floatToHalf } from "../../src/tensor/index.js";

/** Pseudorandom numbers in [0, 1). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** Where a block has f16 scales. */
const SCALES: { readonly [D in BlockDType]: readonly number[] } = {
  ...{ q8_0: [0], q4_0: [0], q4_1: [0, 2], q5_0: [0], q5_1: [0, 2] },
  ...{ q4_k: [0, 2], q5_k: [0, 2], q6_k: [208] },
};

/** Random blocks: any quants and small scales, f16 of either sign. */
export function randomBlocks(dtype: BlockDType, rows: number, width: number, random: () => number): Uint8Array {
  const { values, bytes } = BLOCKS[dtype];
  const stored = Uint8Array.from({ length: ((rows * width) / values) * bytes }, () => random() * 256);
  for (let at = 0; at < stored.length; at += bytes) {
    for (const offset of SCALES[dtype]) {
      const scale = floatToHalf((random() - 0.4) / 100);
      stored.set([scale & 255, scale >> 8], at + offset);
    }
  }
  return stored;
}

/** Storage types of weights that are not f32, with the divisor of their row's length. */
export const STORED: readonly (readonly [dtype: DType, divisor: number])[] = [
  ["q8_0", 32],
  ["q4_0", 32],
  ["q4_1", 32],
  ["q5_0", 32],
  ["q5_1", 32],
  ["q4_k", 256],
  ["q5_k", 256],
  ["q6_k", 256],
  ["bf16", 1],
  ["f16", 1],
];
