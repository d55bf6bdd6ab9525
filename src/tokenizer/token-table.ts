/** @file The tokens of a vocabulary: from id to bytes in one arena, and from bytes to id in a hash table. */

/** The FNV-1a hash of bytes[start, end). */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return (hash ^ (hash >>> 15)) | 0;
}

/** A table as plain data that can be sent to another thread. */
export interface TokenTableData {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly starts: Uint32Array<ArrayBuffer>;
  readonly lengths: Uint32Array<ArrayBuffer>;
  readonly slots: Int32Array<ArrayBuffer>;
  readonly size: number;
  readonly longest: number;
  readonly used: number;
  readonly count: number;
}

/**
 * The byte string of each token id. An id without a token (a hole) has length 0. `find` searches only tokens that were added
 * as `searchable`; others can only be decoded.
 */
export class TokenTable {
  /** The arena. */
  bytes: Uint8Array<ArrayBuffer>;
  /** By id: offset in `bytes`. */
  starts: Uint32Array<ArrayBuffer>;
  /** By id: number of bytes. */
  lengths: Uint32Array<ArrayBuffer>;
  /** One more than the greatest id. */
  size = 0;
  /** Bytes of the longest token. */
  longest = 0;
  #used = 0;
  #slots = new Int32Array(1024);
  #count = 0;

  /** Reserves room for about `tokens` tokens and `bytes` bytes; both grow as needed. */
  constructor(tokens = 512, bytes = 4096) {
    this.starts = new Uint32Array(tokens);
    this.lengths = new Uint32Array(tokens);
    this.bytes = new Uint8Array(bytes);
    let slots = 1024;
    while (slots < tokens * 2) slots *= 2;
    this.#slots = new Int32Array(slots);
  }

  /** Returns the table as plain data that shares its memory. */
  data(): TokenTableData {
    const { bytes, starts, lengths, size, longest } = this;
    return { bytes, starts, lengths, size, longest, slots: this.#slots, used: this.#used, count: this.#count };
  }

  static from(data: TokenTableData): TokenTable {
    const table = new TokenTable(0, 0);
    table.bytes = data.bytes;
    table.starts = data.starts;
    table.lengths = data.lengths;
    table.size = data.size;
    table.longest = data.longest;
    table.#slots = data.slots;
    table.#used = data.used;
    table.#count = data.count;
    return table;
  }

  /** Copies the table without its hash table: the copy can be decoded with and added to, but `find` finds no copied token. */
  copy(): TokenTable {
    const table = new TokenTable(0, 0);
    table.bytes = this.bytes.slice(0, this.#used);
    table.starts = this.starts.slice(0, this.size);
    table.lengths = this.lengths.slice(0, this.size);
    table.size = this.size;
    table.longest = this.longest;
    table.#used = this.#used;
    return table;
  }

  has(id: number): boolean {
    return id < this.size && this.lengths[id] > 0;
  }

  /**
   * Returns tables that let the decoder copy eight bytes at a time. `heads` (size, 2) contains the first eight bytes of each token,
   * little-endian; `bytes` is the arena with eight bytes of padding.
   */
  forDecoding(): { readonly heads: Int32Array; readonly bytes: DataView } {
    const heads = new Int32Array(this.size * 2);
    for (let id = 0; id < this.size; id++) {
      const start = this.starts[id];
      const length = Math.min(8, this.lengths[id]);
      for (let i = 0; i < length; i++) heads[id * 2 + (i >> 2)] |= this.bytes[start + i] << (8 * (i & 3));
    }
    const padded = new Uint8Array(this.#used + 8);
    padded.set(this.bytes.subarray(0, this.#used));
    return { heads, bytes: new DataView(padded.buffer) };
  }

  /** Returns a view of a token's bytes; empty for a hole. */
  get(id: number): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(this.starts[id], this.starts[id] + this.lengths[id]);
  }

  /**
   * Adds a copy of source[start, end) as token `id`. If it is `searchable` and another searchable token has the same bytes, adds
   * nothing and returns false.
   */
  add(id: number, source: Uint8Array, start: number, end: number, searchable: boolean): boolean {
    const length = end - start;
    let slot = -1;
    if (searchable) {
      if ((this.#count + 1) * 2 > this.#slots.length) this.#grow();
      slot = this.#probe(source, start, end);
      if (this.#slots[slot] !== 0) return false;
    }
    if (this.#used + length > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.#used + length));
      grown.set(this.bytes);
      this.bytes = grown;
    }
    if (id >= this.starts.length) {
      const room = Math.max(this.starts.length * 2, id + 1);
      const starts = new Uint32Array(room);
      starts.set(this.starts);
      const lengths = new Uint32Array(room);
      lengths.set(this.lengths);
      this.starts = starts;
      this.lengths = lengths;
    }
    const at = this.#used;
    for (let i = 0; i < length; i++) this.bytes[at + i] = source[start + i];
    this.#used += length;
    this.starts[id] = at;
    this.lengths[id] = length;
    if (id >= this.size) this.size = id + 1;
    if (length > this.longest) this.longest = length;
    if (searchable) {
      this.#slots[slot] = id + 1;
      this.#count++;
    }
    return true;
  }

  /** Returns the id of the searchable token that equals source[start, end), or −1. */
  find(source: Uint8Array, start: number, end: number): number {
    return this.#slots[this.#probe(source, start, end)] - 1;
  }

  /** Returns the slot of the token that equals source[start, end), or the empty slot in which to store it. */
  #probe(source: Uint8Array, start: number, end: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const length = end - start;
    let slot = hashBytes(source, start, end) & mask;
    for (;;) {
      const id = slots[slot] - 1;
      if (id < 0) return slot;
      if (this.lengths[id] === length) {
        const at = this.starts[id];
        let i = 0;
        while (i < length && this.bytes[at + i] === source[start + i]) i++;
        if (i === length) return slot;
      }
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    const mask = this.#slots.length - 1;
    for (let i = 0; i < old.length; i++) {
      if (old[i] === 0) continue;
      const start = this.starts[old[i] - 1];
      let slot = hashBytes(this.bytes, start, start + this.lengths[old[i] - 1]) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = old[i];
    }
  }
}
