/**
 * @file Sets and counts of addresses, stored as hashes: a crawl sees millions, and their authors choose their length.
 */
import { createHash } from "node:crypto";

/** Returns 53 bits of SHA-256, too many for anyone to forge a collision. Never returns 0, which marks a free slot. */
function hashOf(text: string): number {
  const digest = createHash("sha256").update(text).digest();
  return digest.readUIntBE(0, 6) * 32 + (digest[6] & 31) + 1;
}

/** A hash set of addresses, 8 to 32 bytes per address. */
export class AddressSet {
  #slots = new Float64Array(1024);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(address: string): boolean {
    return this.#slots[this.#slotOf(hashOf(address))] !== 0;
  }

  /** Returns false if the address is already present. */
  add(address: string): boolean {
    const hash = hashOf(address);
    const slot = this.#slotOf(hash);
    if (this.#slots[slot] !== 0) return false;
    this.#slots[slot] = hash;
    this.#size += 1;
    if (2 * this.#size > this.#slots.length) this.#grow();
    return true;
  }

  /** Returns the slot of a hash, or the free slot where it belongs. */
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

/**
 * Counts texts by hash, at most `most` different ones. A new text beyond that limit always counts as its first
 * occurrence.
 */
export class AddressCounts {
  readonly #counts = new Map<number, number>();
  readonly #most: number;

  constructor(most = 1_000_000) {
    this.#most = most;
  }

  /** Returns how often this text was added, including this time. */
  add(text: string): number {
    const hash = hashOf(text);
    const count = (this.#counts.get(hash) ?? 0) + 1;
    if (count > 1 || this.#counts.size < this.#most) this.#counts.set(hash, count);
    return count;
  }
}
