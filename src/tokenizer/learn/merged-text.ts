/**
 * @file The pretokens while merges are learned: merges are made in them, and the neighbours that they had are told. No pretoken
 * is looked at unless the pair is in it. The loops are kernel.c's, whose memory is laid out here. Lists of occurrences are not
 * corrected when a merge destroys some; an occurrence is checked when its list is used.
 */
import { QuernError } from "../../errors.js";
import { instantiateKernel, kernelMemory } from "../../kernel.js";
import { OccurrenceLists, OWNER_WORDS } from "./occurrence-lists.js";
import type { PretokenCounts } from "./pretoken-counts.js";

/** The neighbours of a merge, each token once a side. */
export interface MergeNeighbours {
  size: number;
  /** The token before, or the complement of the token after. */
  readonly ids: Int32Array;
  /** How often it is there. */
  readonly times: Float64Array;
  /** The number of the pair that it now forms, or −1 if it need not be listed: whoever counts the pairs writes it. */
  readonly numbers: Int32Array;
}

/** Pairs that are listed in one go over the text at most, if there is room for their places. */
const LISTED_AT_ONCE = 1 << 16;
/** Slots, pretokens or occurrences that the kernel goes through in one call. */
const PIECE = 1 << 14;

/** Pairs of tokens, left and right one after the other, and how often each occurs. */
export interface FoundPairs {
  readonly keys: Int32Array;
  readonly counts: Float64Array;
}

interface TextKernel {
  reserve(bytes: number): number;
  release(from: number): void;
  open_text(into: number): void;
  lay_out(bytes: number, starts: number, counts: number, size: number, byteIds: number): void;
  close_text(): void;
  tell(lengths: number, memo: number, ids: number, times: number, many: number): void;
  open_count(): void;
  count(at: number, last: number, turn: number, turns: number): number;
  count_found(): number;
  counted(keys: number, counts: number): void;
  begin(): void;
  take_up(left: number, right: number): number;
  choose(left: number, right: number, list: number): void;
  gather(at: number, last: number, places: number, entries: number): number;
  open_merge(left: number, right: number, token: number, into: number): void;
  merge(at: number, count: number, left: number, right: number, token: number, size: number): number;
  made(): number;
  fill(from: number, last: number, token: number, listed: number, places: number, entries: number): void;
  keep(entries: number, from: number, end: number, to: number, left: number, right: number): number;
}

type NumbersKind = typeof Int32Array | typeof Uint32Array | typeof Float64Array | typeof Uint8Array;

export class MergedText {
  readonly neighbours: MergeNeighbours;
  readonly #memory = kernelMemory();
  readonly #kernel: TextKernel;
  readonly #gathered: number;
  /** Borders of the pretokens that are too long, or too common, to be counted by their border, ascending, and their counts. */
  readonly #listedBorders: number[] = [];
  readonly #listedCounts: number[] = [];
  /** By neighbour: occurrences of the pair that it now forms. */
  readonly #many: Int32Array;
  /** By neighbour: its place among those whose pairs are listed, or −1. */
  readonly #listed: Int32Array;
  /** By list that is filled: where its next entry goes. */
  #places: Uint32Array;
  readonly #owners: Int32Array;
  /** Where the memory is free that the text and the tables leave. */
  readonly #free: number;
  readonly #slots: number;

  /** The pairs to begin with: left and right token, and at how many places each occurs at most until it is listed. */
  #pairs: number[] = [];
  #pairPlaces: number[] = [];
  /** Those pairs, commonest places first, and which of them is to be listed next, unless it is by now. */
  #commonest = new Uint32Array(0);
  #next = 0;
  #lists: OccurrenceLists;

  /**
   * @param byteIds the id of each byte's token
   * @param lengths bytes of each token that there is, and room for those to come
   * @param gathered places of counted pairs that are listed in one go over the text; fewer take less memory and more goes
   */
  constructor(words: PretokenCounts, byteIds: Int32Array, lengths: Uint32Array, gathered: number) {
    const kernel = instantiateKernel<TextKernel>(new URL("kernel.wasm", import.meta.url), this.#memory, {
      full: () => {
        throw new QuernError("there are too many different pretokens: they do not fit into 4 GB");
      },
      compare: () => 0,
      list_count: (border: number, count: number) => {
        this.#listedBorders.push(border >>> 0);
        this.#listedCounts.push(count);
      },
      listed_count: (slot: number) => this.#listedCount(slot >>> 0),
    });
    this.#kernel = kernel;
    this.#gathered = gathered;
    const memo = this.#reserve(Int32Array, lengths.length * 4);
    const neighbours = lengths.length * 2;
    this.neighbours = {
      size: 0,
      ids: this.#reserve(Int32Array, neighbours),
      times: this.#reserve(Float64Array, neighbours),
      numbers: this.#reserve(Int32Array, neighbours),
    };
    this.#many = this.#reserve(Int32Array, neighbours);
    this.#listed = this.#reserve(Int32Array, neighbours);
    this.#places = this.#reserve(Uint32Array, Math.max(neighbours, LISTED_AT_ONCE));
    this.#owners = new Int32Array(neighbours * OWNER_WORDS);
    const told = [memo, this.neighbours.ids, this.neighbours.times, this.#many].map(({ byteOffset }) => byteOffset);
    kernel.tell(this.#copy(Uint32Array, lengths), told[0], told[1], told[2], told[3]);

    const room = words.starts[words.size] + words.size + 1;
    const slots = kernel.reserve(room * 4) >>> 0;
    this.#free = slots + room * 4;
    this.#slots = room;
    kernel.open_text(slots);
    const ids = this.#copy(Int32Array, byteIds);
    const { starts, counts, bytes } = words;
    for (let first = 0; first < words.size; first += PIECE) {
      const last = Math.min(first + PIECE, words.size);
      const piece = this.#copy(Uint8Array, bytes.subarray(starts[first], starts[last]));
      const from = this.#copy(Float64Array, starts.subarray(first, last + 1));
      kernel.lay_out(piece, from, this.#copy(Float64Array, counts.subarray(first, last)), last - first, ids);
      kernel.release(piece);
    }
    kernel.close_text();
    kernel.release(this.#free);
    this.#lists = new OccurrenceLists(kernel, gathered >> 1);
  }

  /**
   * The pairs of neighbours that occur at least `least` times. There may be hundreds of millions of others, so all are dealt
   * out by their hash, and each go over the text counts those of one turn. Merging begins anew.
   */
  count(least: number, turns: number): FoundPairs {
    const kernel = this.#kernel;
    kernel.release(this.#free);
    kernel.begin();
    this.#pairs = [];
    this.#pairPlaces = [];
    const common: number[] = [];
    for (let turn = 0; turn < turns; turn++) {
      kernel.open_count();
      for (let at = 0; at + 1 < this.#slots; ) at = kernel.count(at, at + PIECE, turn, turns) >>> 0;
      const size = kernel.count_found() >>> 0;
      const keys = this.#reserve(Int32Array, size * 2);
      const counts = this.#reserve(Float64Array, size);
      kernel.counted(keys.byteOffset, counts.byteOffset);
      for (let i = 0; i < size; i++) {
        if (counts[i] < least) continue;
        const [left, right] = [keys[i * 2], keys[i * 2 + 1]];
        common.push(counts[i]);
        this.#pairs.push(left, right);
        this.#pairPlaces.push(kernel.take_up(left, right) >>> 0);
      }
    }
    const places = this.#pairPlaces;
    this.#commonest = Uint32Array.from(places.keys()).sort((a, b) => places[b] - places[a] || a - b);
    this.#next = 0;
    this.#lists = new OccurrenceLists(kernel, this.#gathered >> 1);
    return { keys: Int32Array.from(this.#pairs), counts: Float64Array.from(common) };
  }

  /** Makes a pair one token wherever it occurs; `neighbours` then tells what was beside it. */
  merge(pair: number, left: number, right: number, token: number): void {
    const kernel = this.#kernel;
    const lists = this.#lists;
    if (this.#pairPlaces[pair] > 0) this.#gather(pair);
    const { start, size } = lists.take(pair);
    // Each occurrence makes two pairs at most: where the token is made lies behind the room that their lists will need.
    kernel.open_merge(left, right, token, lists.behind(size * 2, size));
    let known = 0;
    for (let from = 0; from < size; from += PIECE) {
      known = kernel.merge(start + from * 4, Math.min(size - from, PIECE), left, right, token, known);
    }
    this.neighbours.size = known;
  }

  /** Lists the pairs that the last merge made, by the numbers that they were given. */
  list(token: number): void {
    const { size, ids, numbers } = this.neighbours;
    const many = this.#many;
    const listed = this.#listed;
    const owners = this.#owners;
    let lists = 0;
    for (let i = 0; i < size; i++) {
      listed[i] = -1;
      if (numbers[i] < 0) continue;
      const owner = lists * OWNER_WORDS;
      owners[owner] = numbers[i];
      owners[owner + 1] = ids[i] >= 0 ? ids[i] : token;
      owners[owner + 2] = ids[i] >= 0 ? token : ~ids[i];
      many[lists] = many[i];
      listed[i] = lists++;
    }
    const places = this.#places;
    this.#lists.add(owners, many, lists, places, (entries) => {
      const made = this.#kernel.made();
      for (let from = 0; from < made; from += PIECE) {
        this.#kernel.fill(from, from + PIECE, token, listed.byteOffset, places.byteOffset, entries);
      }
    });
  }

  /**
   * Lists the places of a counted pair and of the commonest others, as many as there is room for: so a huge text is read a
   * few times, and its occurrences are never all in memory.
   */
  #gather(pair: number): void {
    const sizes = this.#pairPlaces;
    const pairs = this.#pairs;
    const chosen = [pair];
    let room = this.#gathered - sizes[pair];
    for (; this.#next < sizes.length && chosen.length < this.#places.length; this.#next++) {
      const other = this.#commonest[this.#next];
      if (sizes[other] === 0 || other === pair) continue;
      room -= sizes[other];
      if (room < 0) break;
      chosen.push(other);
    }
    chosen.forEach((other, list) => {
      this.#kernel.choose(pairs[other * 2], pairs[other * 2 + 1], list);
    });
    const owners = Int32Array.from(chosen.flatMap((other) => [other, pairs[other * 2], pairs[other * 2 + 1]]));
    const expected = chosen.map((other) => sizes[other]);
    const places = this.#places;
    this.#lists.add(owners, expected, chosen.length, places, (entries) => {
      for (let at = 0; at + 1 < this.#slots; ) {
        at = this.#kernel.gather(at, at + PIECE, places.byteOffset, entries) >>> 0;
      }
    });
    for (const other of chosen) {
      sizes[other] = 0;
      this.#kernel.choose(pairs[other * 2], pairs[other * 2 + 1], -1);
    }
  }

  /** The count of the last listed pretoken that begins before the slot. */
  #listedCount(slot: number): number {
    let low = 0;
    let high = this.#listedBorders.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#listedBorders[middle] < slot) low = middle;
      else high = middle - 1;
    }
    return this.#listedCounts[low];
  }

  #reserve<T extends NumbersKind>(kind: T, length: number): InstanceType<T> {
    const at = this.#kernel.reserve(length * kind.BYTES_PER_ELEMENT) >>> 0;
    return new kind(this.#memory.buffer as unknown as ArrayBuffer, at, length) as InstanceType<T>;
  }

  /** Copies numbers in; returns where they lie. */
  #copy(kind: NumbersKind, numbers: ArrayLike<number>): number {
    const copy = this.#reserve(kind, numbers.length);
    copy.set(numbers);
    return copy.byteOffset;
  }
}
