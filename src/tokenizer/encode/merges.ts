/**
 * @file The merges of a vocabulary: which pairs of tokens merge into which token, and in which order.
 * A tokenizer.json lists its merges. A tiktoken file contains only ranks of byte strings; its pairs merge if their concatenation
 * is a token. That table is filled when pairs are first looked up.
 */
import type { TokenTable } from "../token-table.js";

/** Rank of a pair that never merges; greater than every rank. */
export const NO_MERGE = 0x7fffffff;

/** Maximum slots (16 bytes each) of a table that is filled on demand; a full table is emptied. */
const LAZY_SLOTS = 1 << 20;

/** An open-addressing hash table from (left, right) to (rank, merged). `entries` is (slots, 4): left + 1, right, rank, merged. */
export class MergeTable {
  entries: Int32Array<ArrayBuffer>;
  mask: number;
  count = 0;
  readonly #ranks: TokenTable | undefined;
  #joined = new Uint8Array(256);

  /** @param ranks if given, fills the table on demand; a token's id is its rank, as in tiktoken files */
  constructor(room: number, ranks?: TokenTable) {
    let slots = 1024;
    while (slots < room * 1.6) slots *= 2;
    this.entries = new Int32Array(slots * 4);
    this.mask = slots - 1;
    this.#ranks = ranks;
  }

  /** True if the merges follow from ranks instead of a list. */
  get lazy(): boolean {
    return this.#ranks !== undefined;
  }

  /** Index in `entries` of the pair's slot, or −1 if the merges are listed and do not include it. */
  find(left: number, right: number): number {
    const entries = this.entries;
    const mask = this.mask;
    let slot = pairHash(left, right) & mask;
    for (;;) {
      const at = slot * 4;
      const key = entries[at];
      if (key === left + 1 && entries[at + 1] === right) return at;
      if (key === 0) return this.#ranks === undefined ? -1 : this.#resolve(left, right, this.#ranks);
      slot = (slot + 1) & mask;
    }
  }

  /** Adds a pair; returns false if it already exists. */
  add(left: number, right: number, rank: number, merged: number): boolean {
    if ((this.count + 1) * 1.6 > this.mask + 1) this.#grow();
    let slot = pairHash(left, right) & this.mask;
    for (;;) {
      const at = slot * 4;
      if (this.entries[at] === 0) {
        this.entries[at] = left + 1;
        this.entries[at + 1] = right;
        this.entries[at + 2] = rank;
        this.entries[at + 3] = merged;
        this.count++;
        return true;
      }
      if (this.entries[at] === left + 1 && this.entries[at + 1] === right) return false;
      slot = (slot + 1) & this.mask;
    }
  }

  #resolve(left: number, right: number, ranks: TokenTable): number {
    const leftLength = ranks.lengths[left];
    const length = leftLength + ranks.lengths[right];
    let merged = -1;
    if (length <= ranks.longest) {
      if (this.#joined.length < length) this.#joined = new Uint8Array(length * 2);
      const joined = this.#joined;
      const { bytes, starts } = ranks;
      for (let i = 0, at = starts[left]; i < leftLength; i++) joined[i] = bytes[at + i];
      for (let i = leftLength, at = starts[right] - leftLength; i < length; i++) joined[i] = bytes[at + i];
      merged = ranks.find(joined, 0, length);
    }
    if (this.count >= LAZY_SLOTS / 1.7) {
      this.entries.fill(0);
      this.count = 0;
    }
    this.add(left, right, merged < 0 ? NO_MERGE : merged, merged);
    return this.find(left, right);
  }

  #grow(): void {
    const old = this.entries;
    this.entries = new Int32Array(old.length * 2);
    this.mask = this.entries.length / 4 - 1;
    this.count = 0;
    for (let at = 0; at < old.length; at += 4) {
      if (old[at] !== 0) this.add(old[at] - 1, old[at + 1], old[at + 2], old[at + 3]);
    }
  }
}

function pairHash(left: number, right: number): number {
  const hash = Math.imul(left, 0x9e3779b1 | 0) ^ Math.imul(right, 0x85ebca6b | 0);
  return hash ^ (hash >>> 15);
}
