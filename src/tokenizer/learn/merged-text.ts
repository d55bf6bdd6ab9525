/**
 * @file The text during merge learning: applies merges to the pretokens and reports the neighbours of each. A merge reads only
 * pretokens that contain its pair. The loops are in kernel.c; this file lays out its memory. A merge does not update the
 * occurrence lists of pairs that it destroys; each occurrence is checked when its list is used.
 */
import { QuernError } from "../../errors.js";
import { instantiateKernel, kernelMemory } from "../../kernel.js";
import { OccurrenceLists, OWNER_WORDS } from "./occurrence-lists.js";
import type { PretokenCounts } from "./pretoken-counts.js";

/** The neighbours of a merge, each token once per side; the arrays have shape (2 · vocabulary). */
export interface MergeNeighbours {
  size: number;
  /** The token before the merged pair, or the complement of the token after it. */
  readonly ids: Int32Array;
  /** How often the neighbour occurs there. */
  readonly counts: Float64Array;
  /** The index of the pair that it forms with the new token, or −1 if the pair is too rare; written by `PairQueue`. */
  readonly pairs: Int32Array;
}

/** Maximum number of pairs whose occurrences one pass over the text lists. */
const MAX_LISTS = 1 << 16;
/** Slots, pretokens or occurrences that one kernel call processes. */
const PIECE = 1 << 14;

/** P pairs of tokens and how often each occurs. */
export interface PairCounts {
  /** (P, 2): left and right token. */
  readonly keys: Int32Array;
  /** (P) */
  readonly counts: Float64Array;
}

interface TextKernel {
  reserve(bytes: number): number;
  release(from: number): void;
  begin_text(into: number): void;
  append_pretokens(bytes: number, starts: number, counts: number, size: number, byteIds: number): void;
  end_text(): void;
  set_tables(lengths: number, memo: number, ids: number, counts: number, places: number): void;
  begin_count(): void;
  count_pairs(at: number, last: number, pass: number, passes: number): number;
  counted_size(): number;
  write_counted(keys: number, counts: number): void;
  reset_pairs(): void;
  add_initial(left: number, right: number): number;
  assign_list(left: number, right: number, list: number): void;
  list_occurrences(at: number, last: number, ends: number, entries: number): number;
  begin_merge(left: number, right: number, token: number, into: number): void;
  merge_pair(at: number, count: number, left: number, right: number, token: number, size: number): number;
  merged_count(): number;
  list_new_pairs(from: number, last: number, token: number, listOf: number, ends: number, entries: number): void;
  keep_live(entries: number, from: number, end: number, to: number, left: number, right: number): number;
}

type NumbersKind = typeof Int32Array | typeof Uint32Array | typeof Float64Array | typeof Uint8Array;

export class MergedText {
  readonly neighbours: MergeNeighbours;
  readonly #memory = kernelMemory();
  readonly #kernel: TextKernel;
  readonly #occurrencesPerPass: number;
  /** Border slots, ascending, and counts of the pretokens that are too long or too frequent to store their count in the border. */
  readonly #storedBorders: number[] = [];
  readonly #storedCounts: number[] = [];
  /** By neighbour: at how many slots it occurs, and so the pair that it forms with the new token. */
  readonly #neighbourPlaces: Int32Array;
  /** By neighbour: the list of its new pair, or −1. */
  readonly #listOf: Int32Array;
  /** By list: where its next entry is written. */
  #listEnds: Uint32Array;
  readonly #owners: Int32Array;
  /** Address of the first byte after the text and the tables. */
  readonly #free: number;
  readonly #slots: number;

  /** The initial pairs (P, 2): left and right token. */
  #pairs: number[] = [];
  /** By initial pair: an upper bound of the slots at which it occurs; 0 once its occurrences are listed. */
  #pairPlaces: number[] = [];
  /** Initial pairs by descending number of places, and the next one to list. */
  #byPlaces = new Uint32Array(0);
  #next = 0;
  #lists: OccurrenceLists;

  /**
   * @param byteIds the id of each byte's token
   * @param lengths (V): bytes of each existing token, with room for the tokens to come
   * @param occurrencesPerPass occurrences that one pass over the text lists; a smaller number takes less memory and more passes
   */
  constructor(words: PretokenCounts, byteIds: Int32Array, lengths: Uint32Array, occurrencesPerPass: number) {
    const kernel = instantiateKernel<TextKernel>(new URL("kernel.wasm", import.meta.url), this.#memory, {
      full: () => {
        throw new QuernError("the text has too many distinct pretokens: they do not fit into 4 GB of memory");
      },
      compare: () => 0,
      store_count: (border: number, count: number) => {
        this.#storedBorders.push(border >>> 0);
        this.#storedCounts.push(count);
      },
      stored_count: (slot: number) => this.#storedCount(slot >>> 0),
    });
    this.#kernel = kernel;
    this.#occurrencesPerPass = occurrencesPerPass;
    const memo = this.#reserve(Int32Array, lengths.length * 4);
    const neighbours = lengths.length * 2;
    this.neighbours = {
      size: 0,
      ids: this.#reserve(Int32Array, neighbours),
      counts: this.#reserve(Float64Array, neighbours),
      pairs: this.#reserve(Int32Array, neighbours),
    };
    this.#neighbourPlaces = this.#reserve(Int32Array, neighbours);
    this.#listOf = this.#reserve(Int32Array, neighbours);
    this.#listEnds = this.#reserve(Uint32Array, Math.max(neighbours, MAX_LISTS));
    this.#owners = new Int32Array(neighbours * OWNER_WORDS);
    const { ids: neighbourIds, counts: neighbourCounts } = this.neighbours;
    const tables = [memo, neighbourIds, neighbourCounts, this.#neighbourPlaces].map(({ byteOffset }) => byteOffset);
    kernel.set_tables(this.#copy(Uint32Array, lengths), tables[0], tables[1], tables[2], tables[3]);

    const room = words.starts[words.size] + words.size + 1;
    const slots = kernel.reserve(room * 4) >>> 0;
    this.#free = slots + room * 4;
    this.#slots = room;
    kernel.begin_text(slots);
    const ids = this.#copy(Int32Array, byteIds);
    const { starts, counts, bytes } = words;
    for (let first = 0; first < words.size; first += PIECE) {
      const last = Math.min(first + PIECE, words.size);
      const piece = this.#copy(Uint8Array, bytes.subarray(starts[first], starts[last]));
      const from = this.#copy(Float64Array, starts.subarray(first, last + 1));
      kernel.append_pretokens(piece, from, this.#copy(Float64Array, counts.subarray(first, last)), last - first, ids);
      kernel.release(piece);
    }
    kernel.end_text();
    kernel.release(this.#free);
    this.#lists = new OccurrenceLists(kernel, occurrencesPerPass >> 1);
  }

  /**
   * Returns the adjacent pairs that occur at least `least` times, and restarts merging. A text may have hundreds of millions of
   * rarer pairs. Pairs are therefore partitioned by hash, and each of `passes` passes over the text counts one part.
   */
  count(least: number, passes: number): PairCounts {
    const kernel = this.#kernel;
    kernel.release(this.#free);
    kernel.reset_pairs();
    this.#pairs = [];
    this.#pairPlaces = [];
    const frequencies: number[] = [];
    for (let pass = 0; pass < passes; pass++) {
      kernel.begin_count();
      for (let at = 0; at + 1 < this.#slots; ) at = kernel.count_pairs(at, at + PIECE, pass, passes) >>> 0;
      const size = kernel.counted_size() >>> 0;
      const keys = this.#reserve(Int32Array, size * 2);
      const counts = this.#reserve(Float64Array, size);
      kernel.write_counted(keys.byteOffset, counts.byteOffset);
      for (let i = 0; i < size; i++) {
        if (counts[i] < least) continue;
        const [left, right] = [keys[i * 2], keys[i * 2 + 1]];
        frequencies.push(counts[i]);
        this.#pairs.push(left, right);
        this.#pairPlaces.push(kernel.add_initial(left, right) >>> 0);
      }
    }
    const places = this.#pairPlaces;
    this.#byPlaces = Uint32Array.from(places.keys()).sort((a, b) => places[b] - places[a] || a - b);
    this.#next = 0;
    this.#lists = new OccurrenceLists(kernel, this.#occurrencesPerPass >> 1);
    return { keys: Int32Array.from(this.#pairs), counts: Float64Array.from(frequencies) };
  }

  /** Replaces every occurrence of a pair by a token, and sets `neighbours`. */
  merge(pair: number, left: number, right: number, token: number): void {
    const kernel = this.#kernel;
    const lists = this.#lists;
    if (this.#pairPlaces[pair] > 0) this.#listInitial(pair);
    const { start, size } = lists.take(pair);
    // Each occurrence creates at most two pairs. The merged slots are written after the space that their lists will need.
    kernel.begin_merge(left, right, token, lists.spaceAfter(size * 2, size));
    let known = 0;
    for (let from = 0; from < size; from += PIECE) {
      known = kernel.merge_pair(start + from * 4, Math.min(size - from, PIECE), left, right, token, known);
    }
    this.neighbours.size = known;
  }

  /** Lists the occurrences of the pairs that the last merge created, under their indices in `neighbours.pairs`. */
  list(token: number): void {
    const { size, ids, pairs } = this.neighbours;
    const places = this.#neighbourPlaces;
    const listOf = this.#listOf;
    const owners = this.#owners;
    let lists = 0;
    for (let i = 0; i < size; i++) {
      listOf[i] = -1;
      if (pairs[i] < 0) continue;
      const owner = lists * OWNER_WORDS;
      owners[owner] = pairs[i];
      owners[owner + 1] = ids[i] >= 0 ? ids[i] : token;
      owners[owner + 2] = ids[i] >= 0 ? token : ~ids[i];
      places[lists] = places[i];
      listOf[i] = lists++;
    }
    const ends = this.#listEnds;
    this.#lists.add(owners, places, lists, ends, (entries) => {
      const merged = this.#kernel.merged_count();
      for (let from = 0; from < merged; from += PIECE) {
        this.#kernel.list_new_pairs(from, from + PIECE, token, listOf.byteOffset, ends.byteOffset, entries);
      }
    });
  }

  /**
   * Lists the occurrences of an initial pair and of as many other initial pairs as fit, those with the most occurrences first.
   * A huge text is thus read only a few times, and only part of its occurrences is in memory at once.
   */
  #listInitial(pair: number): void {
    const sizes = this.#pairPlaces;
    const pairs = this.#pairs;
    const chosen = [pair];
    let room = this.#occurrencesPerPass - sizes[pair];
    for (; this.#next < sizes.length && chosen.length < this.#listEnds.length; this.#next++) {
      const other = this.#byPlaces[this.#next];
      if (sizes[other] === 0 || other === pair) continue;
      room -= sizes[other];
      if (room < 0) break;
      chosen.push(other);
    }
    chosen.forEach((other, list) => {
      this.#kernel.assign_list(pairs[other * 2], pairs[other * 2 + 1], list);
    });
    const owners = Int32Array.from(chosen.flatMap((other) => [other, pairs[other * 2], pairs[other * 2 + 1]]));
    const expected = chosen.map((other) => sizes[other]);
    const ends = this.#listEnds;
    this.#lists.add(owners, expected, chosen.length, ends, (entries) => {
      for (let at = 0; at + 1 < this.#slots; ) {
        at = this.#kernel.list_occurrences(at, at + PIECE, ends.byteOffset, entries) >>> 0;
      }
    });
    for (const other of chosen) {
      sizes[other] = 0;
      this.#kernel.assign_list(pairs[other * 2], pairs[other * 2 + 1], -1);
    }
  }

  /** Returns the count of the last pretoken with a stored count that begins before the slot. */
  #storedCount(slot: number): number {
    let low = 0;
    let high = this.#storedBorders.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#storedBorders[middle] < slot) low = middle;
      else high = middle - 1;
    }
    return this.#storedCounts[low];
  }

  #reserve<T extends NumbersKind>(kind: T, length: number): InstanceType<T> {
    const at = this.#kernel.reserve(length * kind.BYTES_PER_ELEMENT) >>> 0;
    return new kind(this.#memory.buffer as unknown as ArrayBuffer, at, length) as InstanceType<T>;
  }

  /** Copies numbers into the kernel's memory; returns their address. */
  #copy(kind: NumbersKind, numbers: ArrayLike<number>): number {
    const copy = this.#reserve(kind, numbers.length);
    copy.set(numbers);
    return copy.byteOffset;
  }
}
