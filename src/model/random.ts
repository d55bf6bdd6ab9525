/**
 * @file Counter-based random numbers: a pure function of seed and position, equal on every machine and in any order.
 * Philox 4×32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 */

import { philox } from "../tensor/index.js";

/** A sequence of random numbers; streams of one seed are independent of each other. */
export interface RandomStream {
  /** Returns four uniform 32-bit numbers of block `index` (an integer below 2^53). */
  block(index: number, out?: Uint32Array): Uint32Array;
  /** Returns the uniform number in (0, 1) at `index`, with 32 random bits. */
  uniform(index: number): number;
  /** Fills `out` with normal numbers of mean 0 and the given standard deviation. */
  fillNormal(out: Float32Array, deviation: number): void;
}

const HIGH = 2 ** 32;

/** Returns the stream `name` of a seed (an integer of at least 0). */
export function randomStream(seed: number, name: string): RandomStream {
  // The seed is the key. Half of the counter is a hash of the name (32-bit FNV-1a with two different offsets).
  const tag0 = fnv1a(name, 0x811c9dc5);
  const tag1 = fnv1a(name, 0x9747b28c);
  const key0 = seed >>> 0;
  const key1 = Math.floor(seed / HIGH) >>> 0;
  const scratch = new Uint32Array(4);
  const block = (index: number, out = scratch) => {
    philox(index >>> 0, Math.floor(index / HIGH) >>> 0, tag0, tag1, key0, key1, out);
    return out;
  };
  return {
    block,
    uniform: (index) => (block(Math.floor(index / 4))[index % 4] + 0.5) / HIGH,
    fillNormal: (out, deviation) => {
      for (let i = 0; i < out.length; i += 4) {
        const bits = block(i / 4);
        for (let pair = 0; pair < 4; pair += 2) {
          // Box–Muller transform: two uniform numbers become two normal ones.
          const radius = deviation * Math.sqrt(-2 * Math.log((bits[pair] + 0.5) / HIGH));
          const angle = (2 * Math.PI * (bits[pair + 1] + 0.5)) / HIGH;
          if (i + pair < out.length) out[i + pair] = radius * Math.cos(angle);
          if (i + pair + 1 < out.length) out[i + pair + 1] = radius * Math.sin(angle);
        }
      }
    },
  };
}

function fnv1a(text: string, start: number): number {
  let hash = start;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
