/**
 * @file Occurrence lists: for each pair the slots where it occurs, in one arena at the end of the kernel's memory.
 * Merges make entries stale without updating the lists. A full arena drops its stale entries before it grows, so its
 * size stays in proportion to the remaining text.
 */

/** Marks a pair without a list. */
const NONE = -1;

/** Int32 words of a list's owner: the index of a pair, its left token and its right token. */
export const OWNER_WORDS = 3;

interface ListsKernel {
  reserve(bytes: number): number;
  keep_live(entries: number, from: number, end: number, to: number, left: number, right: number): number;
}

export class OccurrenceLists {
  readonly #kernel: ListsKernel;
  /** By pair: its list, or NONE. */
  #lists = new Int32Array(1 << 12).fill(NONE);
  /** Address of the arena: Uint32 entries, each a slot. */
  readonly #entries: number;
  /** Entries for which memory is reserved. */
  #room = 0;
  #used = 0;
  /** Entries that may be used before stale ones are dropped. */
  #limit = 1 << 12;
  /** Lists in the order of the arena: start and end entry, and owner (lists, OWNER_WORDS). */
  #starts = new Uint32Array(1 << 12);
  #ends = new Uint32Array(1 << 12);
  #owners = new Int32Array(OWNER_WORDS << 12);
  #size = 0;
  readonly #small: number;

  /** @param small number of entries below which the arena grows without dropping stale ones */
  constructor(kernel: ListsKernel, small: number) {
    this.#kernel = kernel;
    this.#small = small;
    this.#entries = kernel.reserve(0) >>> 0;
  }

  /**
   * Adds lists for `count` pairs that have none.
   * @param owners (count, OWNER_WORDS)
   * @param sizes (count): an upper bound of each pair's occurrences
   * @param ends (count): set to the start of each list, then advanced by `fill` to its end
   * @param fill called with the arena's address; writes the occurrences of pair i, ascending, to entries from ends[i] on and
   * advances ends[i]
   */
  add(
    owners: Int32Array,
    sizes: ArrayLike<number>,
    count: number,
    ends: Uint32Array,
    fill: (entries: number) => void,
  ): void {
    let needed = 0;
    for (let i = 0; i < count; i++) needed += sizes[i];
    if (this.#used + needed > this.#limit) this.#makeRoom(needed);
    this.#reach(this.#used + needed);
    const first = this.#size;
    for (let i = 0; i < count; i++) ends[i] = this.#open(owners, i * OWNER_WORDS, sizes[i]);
    fill(this.#entries);
    for (let i = 0; i < count; i++) this.#ends[first + i] = ends[i];
  }

  /** Entries in the list of a pair, stale ones included. */
  sizeOf(pair: number): number {
    const list = pair < this.#lists.length ? this.#lists[pair] : NONE;
    return list === NONE ? 0 : this.#ends[list] - this.#starts[list];
  }

  /** Removes the list of a pair; returns the address and number of its entries, ascending, some stale. Valid until the next `add`. */
  take(pair: number): { readonly start: number; readonly size: number } {
    const size = this.sizeOf(pair);
    if (size === 0) return { start: 0, size };
    const start = this.#entries + this.#starts[this.#lists[pair]] * 4;
    this.#lists[pair] = NONE;
    return { start, size };
  }

  /** Returns the address of `words` free words after space for `entries` more entries; valid until more entries are added. */
  spaceAfter(entries: number, words: number): number {
    this.#reach(this.#used + entries + words);
    return this.#entries + (this.#used + entries) * 4;
  }

  /** Reserves memory for `entries` entries. The system commits only pages that are written to. */
  #reach(entries: number): void {
    if (entries <= this.#room) return;
    const room = Math.ceil(entries / 4) * 4;
    this.#kernel.reserve((room - this.#room) * 4);
    this.#room = room;
  }

  /** Opens a list of `size` entries for owners[from, from + OWNER_WORDS); returns its first entry. */
  #open(owners: Int32Array, from: number, size: number): number {
    const pair = owners[from];
    if (pair >= this.#lists.length) {
      const known = this.#lists.length;
      this.#lists = copied(this.#lists, new Int32Array(Math.max(known * 2, pair + 1))).fill(NONE, known);
    }
    const list = this.#size++;
    if (list === this.#starts.length) {
      this.#starts = copied(this.#starts, new Uint32Array(list * 2));
      this.#ends = copied(this.#ends, new Uint32Array(list * 2));
      this.#owners = copied(this.#owners, new Int32Array(list * 2 * OWNER_WORDS));
    }
    const start = this.#used;
    this.#used += size;
    this.#starts[list] = start;
    this.#ends[list] = this.#used;
    for (let i = 0; i < OWNER_WORDS; i++) this.#owners[list * OWNER_WORDS + i] = owners[from + i];
    this.#lists[pair] = list;
    return start;
  }

  #makeRoom(count: number): void {
    if (this.#limit >= this.#small) this.#compact();
    // A limit of 1.5 times the use makes compaction rare enough to pay off.
    const needed = this.#used + count;
    if (needed * 1.25 > this.#limit) this.#limit = Math.ceil(needed * 1.5);
  }

  /** Drops stale entries and empty lists; the others move down in order. */
  #compact(): void {
    const owners = this.#owners;
    let kept = 0;
    let used = 0;
    for (let list = 0; list < this.#size; list++) {
      const owner = list * OWNER_WORDS;
      const pair = owners[owner];
      if (this.#lists[pair] !== list) continue;
      const start = used;
      const [from, end] = [this.#starts[list], this.#ends[list]];
      used = this.#kernel.keep_live(this.#entries, from, end, used, owners[owner + 1], owners[owner + 2]) >>> 0;
      this.#lists[pair] = NONE;
      if (used === start) continue;
      this.#starts[kept] = start;
      this.#ends[kept] = used;
      for (let i = 0; i < OWNER_WORDS; i++) owners[kept * OWNER_WORDS + i] = owners[owner + i];
      this.#lists[pair] = kept++;
    }
    this.#size = kept;
    this.#used = used;
  }
}

function copied<T extends Int32Array | Uint32Array>(old: T, fresh: T): T {
  fresh.set(old);
  return fresh;
}
