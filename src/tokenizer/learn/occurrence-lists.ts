/**
 * @file Where pairs occur: a list of slots for each pair, in one arena at the end of the kernel's memory. Merges make entries stale without telling; when the
 * arena is full, stale entries are thrown out before more of it is used, so that it stays in proportion to the text that is left.
 */

/** In place of a list: there is none, or none any more. */
const NONE = -1;

/** Whose a list is: the number of a pair, its left token and its right one. */
export const OWNER_WORDS = 3;

interface ListsKernel {
  reserve(bytes: number): number;
  keep(entries: number, from: number, end: number, to: number, left: number, right: number): number;
}

export class OccurrenceLists {
  readonly #kernel: ListsKernel;
  /** By pair: which list is its own, or NONE. */
  #lists = new Int32Array(1 << 12).fill(NONE);
  /** The arena, and how many entries there is memory for. */
  readonly #entries: number;
  #room = 0;
  #used = 0;
  /** Entries that may be used before stale ones are thrown out. */
  #limit = 1 << 12;
  /** Lists in the order of the arena: start and end, and OWNER_WORDS of whose they are. */
  #starts = new Uint32Array(1 << 12);
  #ends = new Uint32Array(1 << 12);
  #owners = new Int32Array(OWNER_WORDS << 12);
  #size = 0;
  readonly #small: number;

  /** @param small entries below which more of the arena is used rather than stale ones thrown out */
  constructor(kernel: ListsKernel, small: number) {
    this.#kernel = kernel;
    this.#small = small;
    this.#entries = kernel.reserve(0) >>> 0;
  }

  /**
   * Adds a list for each of some pairs, which have none.
   * @param owners OWNER_WORDS for each
   * @param sizes at least how many occurrences each has
   * @param places where each list begins is written here
   * @param fill writes the occurrences of the i-th pair, ascending, to entries from places[i], and moves places[i] behind them
   */
  add(
    owners: Int32Array,
    sizes: ArrayLike<number>,
    count: number,
    places: Uint32Array,
    fill: (entries: number) => void,
  ): void {
    let needed = 0;
    for (let i = 0; i < count; i++) needed += sizes[i];
    if (this.#used + needed > this.#limit) this.#makeRoom(needed);
    this.#reach(this.#used + needed);
    const first = this.#size;
    for (let i = 0; i < count; i++) places[i] = this.#open(owners, i * OWNER_WORDS, sizes[i]);
    fill(this.#entries);
    for (let i = 0; i < count; i++) this.#ends[first + i] = places[i];
  }

  /** How many entries the list of a pair has. */
  sizeOf(pair: number): number {
    const list = pair < this.#lists.length ? this.#lists[pair] : NONE;
    return list === NONE ? 0 : this.#ends[list] - this.#starts[list];
  }

  /** Where in memory the slots lie at which a pair may occur, ascending; its list is given up. Good until the next `add`. */
  take(pair: number): { readonly start: number; readonly size: number } {
    const size = this.sizeOf(pair);
    if (size === 0) return { start: 0, size };
    const start = this.#entries + this.#starts[this.#lists[pair]] * 4;
    this.#lists[pair] = NONE;
    return { start, size };
  }

  /** Memory for so many words that nothing is written to until more than `entries` entries are added. */
  behind(entries: number, words: number): number {
    this.#reach(this.#used + entries + words);
    return this.#entries + (this.#used + entries) * 4;
  }

  /** Makes the arena's memory reach so far. The system gives what is written to. */
  #reach(entries: number): void {
    if (entries <= this.#room) return;
    const room = Math.ceil(entries / 4) * 4;
    this.#kernel.reserve((room - this.#room) * 4);
    this.#room = room;
  }

  /** Begins a list of so many entries for owners[from]; returns where it starts. */
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
    // Half as much again as is in use keeps the next throwing out far enough away to pay.
    const needed = this.#used + count;
    if (needed * 1.25 > this.#limit) this.#limit = Math.ceil(needed * 1.5);
  }

  /** Throws out stale entries and empty lists; the rest moves down, in order. */
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
      used = this.#kernel.keep(this.#entries, from, end, used, owners[owner + 1], owners[owner + 2]) >>> 0;
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
