/** @file Pairs of neighbouring tokens while merges are learned: numbered as they are met, with their counts. */

/** Pairs by number: their tokens, and how often they occur. */
export class PairTable {
  size = 0;
  /** Left and right token of each pair, one after the other. */
  keys = new Int32Array(1 << 11);
  counts = new Float64Array(1 << 10);
  /** Pair + 1, or 0. */
  #slots = new Int32Array(1 << 12);

  /** The number of a pair, or −1. */
  find(left: number, right: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = pairHash(left, right) & mask;
    for (;;) {
      const pair = slots[slot] - 1;
      if (pair < 0 || (this.keys[pair * 2] === left && this.keys[pair * 2 + 1] === right)) return pair;
      slot = (slot + 1) & mask;
    }
  }

  /** The number of a pair, new or known. */
  number(left: number, right: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = pairHash(left, right) & mask;
    for (;;) {
      const pair = slots[slot] - 1;
      if (pair < 0) break;
      if (this.keys[pair * 2] === left && this.keys[pair * 2 + 1] === right) return pair;
      slot = (slot + 1) & mask;
    }
    const pair = this.size++;
    slots[slot] = pair + 1;
    if (pair >= this.counts.length) {
      const room = this.counts.length * 2;
      this.keys = copied(this.keys, new Int32Array(room * 2));
      this.counts = copied(this.counts, new Float64Array(room));
    }
    this.keys[pair * 2] = left;
    this.keys[pair * 2 + 1] = right;
    if (this.size * 2 > slots.length) this.#rehash();
    return pair;
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let pair = 0; pair < this.size; pair++) {
      let slot = pairHash(this.keys[pair * 2], this.keys[pair * 2 + 1]) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = pair + 1;
    }
    this.#slots = slots;
  }
}

export function copied<T extends Int32Array | Uint32Array | Float64Array>(old: T, fresh: T): T {
  fresh.set(old);
  return fresh;
}

export function pairHash(left: number, right: number): number {
  let hash = Math.imul(left, 0x9e3779b1 | 0) ^ Math.imul(right, 0x85ebca6b | 0);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return hash ^ (hash >>> 15);
}
