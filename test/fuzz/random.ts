/** @file Random numbers that a seed fixes, on every machine. */

/** A generator of 32 bits (Marsaglia's xorshift128). The same seed gives the same numbers. */
export class Random {
  readonly #state = new Uint32Array(4);

  constructor(seed: string) {
    let hash = 0x811c9dc5;
    for (let i = 0; i < 4; i++) {
      for (const character of `${i}${seed}`) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
      this.#state[i] = hash | 1;
    }
    for (let i = 0; i < 16; i++) this.next();
  }

  /** An integer in [0, 2^32). */
  next(): number {
    const state = this.#state;
    let t = state[3];
    const s = state[0];
    state[3] = state[2];
    state[2] = state[1];
    state[1] = s;
    t ^= t << 11;
    t ^= t >>> 8;
    state[0] = t ^ s ^ (s >>> 19);
    return state[0];
  }

  /** An integer in [0, n); 0 where n is not positive. */
  below(n: number): number {
    return n <= 0 ? 0 : Math.floor((this.next() / 2 ** 32) * n);
  }

  /** An integer in [from, to). */
  between(from: number, to: number): number {
    return from + this.below(to - from);
  }

  chance(probability: number): boolean {
    return this.next() / 2 ** 32 < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  /** Runs one of several actions, as a function that returns its result. */
  oneOf<T>(...actions: readonly (() => T)[]): T {
    return this.pick(actions)();
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** 1 mostly, seldom up to 4: how many mutations an input has. */
  few(): number {
    return 1 + (this.chance(0.4) ? this.below(4) : 0);
  }
}
