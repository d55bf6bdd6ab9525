/**
 * @file The random hash functions of MinHash, equal to datatrove's with its default seed, so signatures match. datatrove uses
 * NumPy's RandomState(1).randint: MT19937 (Matsumoto and Nishimura 1998), two draws per 64-bit number, masked to 61 bits,
 * drawn again when above the bound.
 */

const PRIME = (1n << 61n) - 1n;

function* mersenneTwister(seed: number): Generator<number, never> {
  const state = new Uint32Array(624);
  state[0] = seed;
  for (let i = 1; i < 624; i++) {
    const before = state[i - 1] ^ (state[i - 1] >>> 30);
    state[i] = Math.imul(1812433253, before) + i;
  }
  for (;;) {
    for (let i = 0; i < 624; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
      state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    for (let i = 0; i < 624; i++) {
      let y = state[i];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      yield (y ^ (y >>> 18)) >>> 0;
    }
  }
}

/** Returns `count` multipliers in [1, 2^61 - 1) and `count` addends in [0, 2^61 - 1). */
export function minHashParameters(count: number): { readonly a: BigUint64Array; readonly b: BigUint64Array } {
  const random = mersenneTwister(1);
  const draw = (low: bigint) => {
    const range = PRIME - 1n - low;
    for (;;) {
      const value = ((BigInt(random.next().value) << 32n) | BigInt(random.next().value)) & PRIME;
      if (value <= range) return low + value;
    }
  };
  const a = BigUint64Array.from({ length: count }, () => draw(1n));
  const b = BigUint64Array.from({ length: count }, () => draw(0n));
  return { a, b };
}
