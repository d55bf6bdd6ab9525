/**
 * @file Where pairs occur: a list of slots for each pair, in one arena. Merges make entries stale without telling; when the
 * arena is full, stale entries are thrown out before it grows, so that it stays in proportion to the text that is left.
 */
import { copied, type PairTable, UNLISTED } from "./pair-table.js";

/** In place of a list: the pair has merged. */
export const MERGED = -2;
/** In place of a list: all entries of the list were stale. */
const EMPTY = -3;
export class OccurrenceLists {
  readonly #pairs: PairTable;
  readonly #isThere: (pair: number, slot: number) => boolean;
  #entries = new Uint32Array(1 << 12);
  #used = 0;
  /** Segments of the arena: start and end, their pair, and the segment before in its list, or a negative number. */
  #starts = new Float64Array(1 << 12);
  #ends = new Float64Array(1 << 12);
  #owners = new Int32Array(1 << 12);
  #before = new Int32Array(1 << 12);
  #segments = 0;
  /** By pair: how many entries it is given, then −1 − the place of the next, then 0 again. */
  #places = new Float64Array(1 << 12);

  readonly #small: number;

  /**
   * @param isThere whether a pair does occur at a slot
   * @param small entries below which the arena grows rather than throw out stale ones
   */
  constructor(pairs: PairTable, isThere: (pair: number, slot: number) => boolean, small: number) {
    this.#small = small;
    this.#pairs = pairs;
    this.#isThere = isThere;
  }

  /** Adds entries: pair pairs[k] at slot slots[k]. `onPair` is called once for each pair. */
  add(pairs: Int32Array, slots: Uint32Array, count: number, onPair: (pair: number) => void): void {
    const places = this.#placesFor(count);
    for (let k = 0; k < count; k++) places[pairs[k]]++;
    for (let k = 0; k < count; k++) {
      const pair = pairs[k];
      if (places[pair] > 0) {
        places[pair] = -1 - this.#open(pair, places[pair]);
        onPair(pair);
      }
      this.#entries[-1 - places[pair]--] = slots[k];
    }
    for (let k = 0; k < count; k++) places[pairs[k]] = 0;
  }

  /**
   * Adds a list for each of some pairs, from a visit to all occurrences, which is made once.
   * @param sizes at least how many occurrences each has
   */
  gather(
    wanted: readonly number[],
    sizes: Float64Array,
    visit: (found: (pair: number, slot: number) => void) => void,
  ): void {
    const places = this.#placesFor(wanted.reduce((sum, pair) => sum + sizes[pair], 0));
    for (const pair of wanted) places[pair] = this.#open(pair, sizes[pair]);
    const entries = this.#entries;
    visit((pair, slot) => {
      entries[places[pair]++] = slot;
    });
    for (const pair of wanted) {
      this.#ends[this.#pairs.lists[pair]] = places[pair];
      places[pair] = 0;
    }
  }

  /** The slots where a pair may occur, ascending; the pair is marked as merged. The result is good until the next `add`. */
  take(pair: number): Uint32Array {
    const segment = this.#pairs.lists[pair];
    this.#pairs.lists[pair] = MERGED;
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

  #placesFor(count: number): Float64Array {
    if (this.#used + count > this.#entries.length) this.#makeRoom(count);
    if (this.#places.length < this.#pairs.counts.length) this.#places = new Float64Array(this.#pairs.counts.length);
    return this.#places;
  }

  /** Begins a segment of so many entries for a pair; returns where it starts. */
  #open(pair: number, size: number): number {
    const segment = this.#segments++;
    if (segment === this.#starts.length) {
      this.#starts = copied(this.#starts, new Float64Array(segment * 2));
      this.#ends = copied(this.#ends, new Float64Array(segment * 2));
      this.#owners = copied(this.#owners, new Int32Array(segment * 2));
      this.#before = copied(this.#before, new Int32Array(segment * 2));
    }
    const start = this.#used;
    this.#used += size;
    this.#starts[segment] = start;
    this.#ends[segment] = this.#used;
    this.#owners[segment] = pair;
    this.#before[segment] = this.#pairs.lists[pair];
    this.#pairs.lists[pair] = segment;
    return start;
  }

  #makeRoom(count: number): void {
    if (this.#entries.length >= this.#small) this.#compact();
    // Half as much again as is in use keeps the next throwing out far enough away to pay.
    const needed = this.#used + count;
    if (needed * 1.25 > this.#entries.length) {
      this.#entries = copied(this.#entries.subarray(0, this.#used), new Uint32Array(Math.ceil(needed * 1.5)));
    }
  }

  /** Throws out stale entries and empty segments; the rest moves down, in order. */
  #compact(): void {
    const { lists } = this.#pairs;
    for (let segment = 0; segment < this.#segments; segment++) {
      const pair = this.#owners[segment];
      if (lists[pair] !== MERGED && lists[pair] !== UNLISTED) lists[pair] = EMPTY;
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
