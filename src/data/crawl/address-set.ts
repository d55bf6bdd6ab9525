/**
 * @file Addresses that were seen, and counts of their patterns, by their hashes: a crawl meets millions, and strangers
 * choose how long they are.
 */
import { createHash } from "node:crypto";

/** 53 bits of SHA-256, so that nobody can make two addresses that look like one. 0 is never one. */
function hashOf(text: string): number {
  const digest = createHash("sha256").update(text).digest();
  return digest.readUIntBE(0, 6) * 32 + (digest[6] & 31) + 1;
}

/** A set of addresses in 8 to 32 bytes each. */
export class AddressSet {
  #slots = new Float64Array(1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(address: string): boolean {
    return this.#slots[this.#slotOf(hashOf(address))] !== 0;
  }

  /** False for one that is there already. */
  add(address: string): boolean {
    const hash = hashOf(address);
    const slot = this.#slotOf(hash);
    if (this.#slots[slot] !== 0) return false;
    this.#slots[slot] = hash;
    this.#size += 1;
    if (2 * this.#size > this.#slots.length) this.#grow();
    return true;
  }

  /** Where a hash is, or the free place where it belongs. */
  #slotOf(hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash % this.#slots.length;
    while (this.#slots[slot] !== 0 && this.#slots[slot] !== hash) slot = (slot + 1) & mask;
    return slot;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Float64Array(2 * before.length);
    for (const hash of before) if (hash !== 0) this.#slots[this.#slotOf(hash)] = hash;
  }
}

/** Counts texts by their hashes, at most `most` different ones: what comes after counts as the first of its kind. */
export class AddressCounts {
  readonly #counts = new Map<number, number>();
  readonly #most: number;

  constructor(most = 1_000_000) {
    this.#most = most;
  }

  /** How often this text was added, this time included. */
  add(text: string): number {
    const hash = hashOf(text);
    const count = (this.#counts.get(hash) ?? 0) + 1;
    if (count > 1 || this.#counts.size < this.#most) this.#counts.set(hash, count);
    return count;
  }
}
