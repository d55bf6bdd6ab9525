/**
 * @file Where pairs occur: a list of slots for each pair, in one arena. Merges make entries stale without telling; when the
 * arena is full, stale entries are thrown out before more of it is used, so that it stays in proportion to the text that is left.
 */
import { copied } from "./pair-table.js";

/** In place of a list: there is none, or none any more. */
const NONE = -1;

export class OccurrenceLists {
  readonly #isThere: (pair: number, slot: number) => boolean;
  /** By pair: which list is its own, or NONE. */
  #lists = new Int32Array(1 << 12).fill(NONE);
  /** Longer than what may be used: the system gives memory only to what was written, and growing would copy it all. */
  #entries: Uint32Array;
  #used = 0;
  /** Entries that may be used before stale ones are thrown out. */
  #limit = 1 << 12;
  /** Lists in the order of the arena: start and end, and the pair. */
  #starts = new Uint32Array(1 << 12);
  #ends = new Uint32Array(1 << 12);
  #owners = new Int32Array(1 << 12);
  #size = 0;
  readonly #small: number;

  /**
   * @param isThere whether a pair does occur at a slot
   * @param slots how many there are; no slot is in more than one list without being stale
   * @param small entries below which more of the arena is used rather than stale ones thrown out
   */
  constructor(isThere: (pair: number, slot: number) => boolean, slots: number, small: number) {
    this.#entries = new Uint32Array(Math.max(this.#limit, Math.ceil(slots * 1.5)));
    this.#small = small;
    this.#isThere = isThere;
  }

  /**
   * Adds a list for each of some pairs, which have none.
   * @param sizes at least how many occurrences each has
   * @param fill writes the occurrences of the i-th pair, ascending, to entries from places[i], and moves places[i] behind them
   */
  add(
    pairs: ArrayLike<number>,
    sizes: ArrayLike<number>,
    count: number,
    fill: (entries: Uint32Array, places: Float64Array) => void,
  ): void {
    let needed = 0;
    for (let i = 0; i < count; i++) needed += sizes[i];
    if (this.#used + needed > this.#limit) this.#makeRoom(needed);
    if (this.#places.length < count) this.#places = new Float64Array(count * 2);
    const places = this.#places;
    const first = this.#size;
    for (let i = 0; i < count; i++) places[i] = this.#open(pairs[i], sizes[i]);
    fill(this.#entries, places);
    for (let i = 0; i < count; i++) this.#ends[first + i] = places[i];
  }
  #places = new Float64Array(256);

  /** The slots where a pair may occur, ascending; its list is given up. The result is good until the next `add`. */
  take(pair: number): Uint32Array {
    const list = pair < this.#lists.length ? this.#lists[pair] : NONE;
    if (list === NONE) return new Uint32Array(0);
    this.#lists[pair] = NONE;
    return this.#entries.subarray(this.#starts[list], this.#ends[list]);
  }

  /** Begins a list of so many entries; returns where it starts. */
  #open(pair: number, size: number): number {
    if (pair >= this.#lists.length) {
      const known = this.#lists.length;
      this.#lists = copied(this.#lists, new Int32Array(Math.max(known * 2, pair + 1))).fill(NONE, known);
    }
    const list = this.#size++;
    if (list === this.#starts.length) {
      this.#starts = copied(this.#starts, new Uint32Array(list * 2));
      this.#ends = copied(this.#ends, new Uint32Array(list * 2));
      this.#owners = copied(this.#owners, new Int32Array(list * 2));
    }
    const start = this.#used;
    this.#used += size;
    this.#starts[list] = start;
    this.#ends[list] = this.#used;
    this.#owners[list] = pair;
    this.#lists[pair] = list;
    return start;
  }

  #makeRoom(count: number): void {
    if (this.#limit >= this.#small) this.#compact();
    // Half as much again as is in use keeps the next throwing out far enough away to pay.
    const needed = this.#used + count;
    if (needed * 1.25 > this.#limit) this.#limit = Math.ceil(needed * 1.5);
    if (this.#limit > this.#entries.length) {
      this.#entries = copied(this.#entries.subarray(0, this.#used), new Uint32Array(this.#limit));
    }
  }

  /** Throws out stale entries and empty lists; the rest moves down, in order. */
  #compact(): void {
    const entries = this.#entries;
    let kept = 0;
    let used = 0;
    for (let list = 0; list < this.#size; list++) {
      const pair = this.#owners[list];
      if (this.#lists[pair] !== list) continue;
      const start = used;
      for (let i = this.#starts[list]; i < this.#ends[list]; i++) {
        if (this.#isThere(pair, entries[i])) entries[used++] = entries[i];
      }
      this.#lists[pair] = NONE;
      if (used === start) continue;
      this.#starts[kept] = start;
      this.#ends[kept] = used;
      this.#owners[kept] = pair;
      this.#lists[pair] = kept++;
    }
    this.#size = kept;
    this.#used = used;
  }
}
