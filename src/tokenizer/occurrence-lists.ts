/**
 * @file Where pairs occur: a list of slots for each pair, in one arena. Merges make entries stale without telling; when the
 * arena is full, stale entries are thrown out before more of it is used, so that it stays in proportion to the text that is left.
 */
import { copied } from "./pair-table.js";

/** In place of a list: the pair's occurrences have not been gathered. */
const UNLISTED = -1;
/** In place of a list: the pair has merged. */
const MERGED = -2;
/** In place of a list: all entries of the list were stale. */
const EMPTY = -3;

export class OccurrenceLists {
  readonly #isThere: (pair: number, slot: number) => boolean;
  /** By pair: its last segment, or one of the above. */
  #lists = new Int32Array(1 << 12).fill(UNLISTED);
  /** Longer than what may be used: the system gives memory only to what was written, and growing would copy it all. */
  #entries: Uint32Array;
  #used = 0;
  /** Entries that may be used before stale ones are thrown out. */
  #limit = 1 << 12;
  /** Segments of the arena: start and end, their pair, and the segment before in its list, or a negative number. */
  #starts = new Uint32Array(1 << 12);
  #ends = new Uint32Array(1 << 12);
  #owners = new Int32Array(1 << 12);
  #before = new Int32Array(1 << 12);
  #segments = 0;
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

  isListed(pair: number): boolean {
    return pair < this.#lists.length && this.#lists[pair] !== UNLISTED;
  }

  /**
   * Adds a list for each of some pairs.
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
    const first = this.#segments;
    for (let i = 0; i < count; i++) places[i] = this.#open(pairs[i], sizes[i]);
    fill(this.#entries, places);
    for (let i = 0; i < count; i++) this.#ends[first + i] = places[i];
  }
  #places = new Float64Array(256);

  /** The slots where a pair may occur, ascending; the pair is marked as merged. The result is good until the next `add`. */
  take(pair: number): Uint32Array {
    if (pair >= this.#lists.length) return new Uint32Array(0);
    const segment = this.#lists[pair];
    this.#lists[pair] = MERGED;
    if (segment < 0) return new Uint32Array(0);
    const last = this.#entries.subarray(this.#starts[segment], this.#ends[segment]);
    if (this.#before[segment] < 0) return last;
    const all: Uint32Array[] = [];
    let size = 0;
    for (let s = segment; s >= 0; s = this.#before[s]) {
      all.push(this.#entries.subarray(this.#starts[s], this.#ends[s]));
      size += this.#ends[s] - this.#starts[s];
    }
    const joined = new Uint32Array(size);
    for (const part of all) {
      size -= part.length;
      joined.set(part, size);
    }
    return joined.sort();
  }

  /** Begins a segment of so many entries for a pair; returns where it starts. */
  #open(pair: number, size: number): number {
    if (pair >= this.#lists.length) {
      const known = this.#lists.length;
      this.#lists = copied(this.#lists, new Int32Array(Math.max(known * 2, pair + 1))).fill(UNLISTED, known);
    }
    const segment = this.#segments++;
    if (segment === this.#starts.length) {
      this.#starts = copied(this.#starts, new Uint32Array(segment * 2));
      this.#ends = copied(this.#ends, new Uint32Array(segment * 2));
      this.#owners = copied(this.#owners, new Int32Array(segment * 2));
      this.#before = copied(this.#before, new Int32Array(segment * 2));
    }
    const start = this.#used;
    this.#used += size;
    this.#starts[segment] = start;
    this.#ends[segment] = this.#used;
    this.#owners[segment] = pair;
    this.#before[segment] = this.#lists[pair];
    this.#lists[pair] = segment;
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

  /** Throws out stale entries and empty segments; the rest moves down, in order. */
  #compact(): void {
    const lists = this.#lists;
    for (let segment = 0; segment < this.#segments; segment++) {
      const pair = this.#owners[segment];
      if (lists[pair] !== MERGED) lists[pair] = EMPTY;
    }
    const entries = this.#entries;
    let kept = 0;
    let used = 0;
    for (let segment = 0; segment < this.#segments; segment++) {
      const pair = this.#owners[segment];
      if (lists[pair] === MERGED) continue;
      const start = used;
      for (let i = this.#starts[segment]; i < this.#ends[segment]; i++) {
        if (this.#isThere(pair, entries[i])) entries[used++] = entries[i];
      }
      if (used === start) continue;
      this.#starts[kept] = start;
      this.#ends[kept] = used;
      this.#owners[kept] = pair;
      this.#before[kept] = lists[pair];
      lists[pair] = kept++;
    }
    this.#segments = kept;
    this.#used = used;
  }
}
