/**
 * @file External sorting of entries on disk. An entry has 16 bytes: a 64-bit key, a document number and a place in the
 * document. The writer sorts and writes a run whenever its memory is full; the reader merges runs as streams. Neither
 * needs more memory for more entries.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { fileError } from "../../errors.js";
import { growTo, instantiateKernel, kernelMemory } from "../../kernel.js";

interface Kernel {
  sort_entries(entries: number, count: number, other: number): void;
}

export const ENTRY_BYTES = 16;
const WORDS = ENTRY_BYTES / 4;

/** One spill of the writer's memory: the sorted entries of each shelf, one shelf after the other. */
export interface Run {
  /** Byte offset in the file. */
  readonly at: number;
  /** Entries per shelf. */
  readonly counts: readonly number[];
}

/** Writes entries as sorted runs. Each entry belongs to a shelf (for example a MinHash band); shelves are sorted separately. */
export class EntryWriter {
  readonly #path: string;
  readonly #room: number;
  readonly #filled: Int32Array;
  readonly #memory = kernelMemory();
  readonly #kernel = instantiateKernel<Kernel>(new URL("./kernel.wasm", import.meta.url), this.#memory);
  readonly #base = Math.ceil(this.#kernel.__heap_base.value / 64) * 64;
  readonly #words: Uint32Array;
  readonly #runs: Run[] = [];
  #file: number | undefined;
  #at = 0;

  /** @param capacity entries kept in memory before a run is written */
  constructor(path: string, shelves: number, capacity = 2 ** 20) {
    this.#path = path;
    this.#room = Math.ceil(capacity / shelves);
    this.#filled = new Int32Array(shelves);
    // Sorting needs scratch space for one more shelf.
    growTo(this.#memory, this.#base + ENTRY_BYTES * this.#room * (shelves + 1));
    this.#words = new Uint32Array(this.#memory.buffer, this.#base, WORDS * this.#room * shelves);
  }

  /** Adds an entry; all numbers are 32-bit. Entries with equal keys keep their order. */
  add(shelf: number, keyLow: number, keyHigh: number, document: number, place: number): void {
    if (this.#filled[shelf] === this.#room) this.#spill();
    const at = WORDS * (shelf * this.#room + this.#filled[shelf]++);
    this.#words[at] = keyLow;
    this.#words[at + 1] = keyHigh;
    this.#words[at + 2] = place;
    this.#words[at + 3] = document;
  }

  #spill(): void {
    const counts = [...this.#filled];
    const at = this.#at;
    try {
      this.#file ??= openSync(this.#path, "w");
      for (const [shelf, count] of counts.entries()) {
        const start = this.#base + ENTRY_BYTES * shelf * this.#room;
        this.#kernel.sort_entries(start, count, this.#base + ENTRY_BYTES * counts.length * this.#room);
        writeWhole(this.#file, new Uint8Array(this.#memory.buffer, start, ENTRY_BYTES * count));
        this.#at += ENTRY_BYTES * count;
      }
    } catch (error) {
      throw fileError(error, "write", this.#path);
    }
    this.#runs.push({ at, counts });
    this.#filled.fill(0);
  }

  /** Writes the remaining entries, closes the file and returns all runs. */
  finish(): readonly Run[] {
    if (this.#filled.some((count) => count > 0)) this.#spill();
    this.close();
    return this.#runs;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

/** Writes all bytes: one `writeSync` call may write fewer. */
export function writeWhole(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done);
}

/** A sorted slice of a file, to merge with others. */
export interface SortedSlice {
  readonly path: string;
  readonly at: number;
  readonly count: number;
  /** Added to the entries' document numbers. */
  readonly base: number;
}

/** Merges sorted slices into one sequence ordered by key. Equal keys keep the order of the slices. */
export class EntryMerge {
  keyLow = 0;
  keyHigh = 0;
  document = 0;
  place = 0;
  readonly #sources: Source[] = [];
  /** A binary heap; the source with the smallest key is first. */
  readonly #heap: Source[] = [];

  /** Merges only keys whose upper 32 bits are at least `from` and less than `to`. */
  constructor(slices: readonly SortedSlice[], { from = 0, to = 2 ** 32 }: { from?: number; to?: number } = {}) {
    const entries = Math.max(256, Math.min(2 ** 14, Math.floor(2 ** 21 / slices.length)));
    for (const [order, slice] of slices.entries()) {
      const source = new Source(slice, order, entries, from, to);
      if (!source.ended) this.#sources.push(source);
    }
    for (const source of this.#sources) this.#heap.push(source);
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  /** Moves to the next entry; returns false after the last. */
  next(): boolean {
    const source = this.#heap[0];
    if (source === undefined) return false;
    this.keyLow = source.keyLow;
    this.keyHigh = source.keyHigh;
    this.document = source.document;
    this.place = source.place;
    source.advance();
    if (source.ended) {
      const last = this.#heap.pop() as Source;
      if (this.#heap.length > 0) this.#heap[0] = last;
    }
    if (this.#heap.length > 1) this.#sink(0);
    return true;
  }

  #sink(start: number): void {
    const heap = this.#heap;
    const source = heap[start];
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1].before(heap[child])) child += 1;
      if (!heap[child].before(source)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = source;
  }
}

/** Entries per block that the search for a key reads into memory. */
const SEARCH_BLOCK = 512;

/** One slice, read in blocks. Its file is open only during a read, because there may be thousands of slices. */
class Source {
  keyLow = 0;
  keyHigh = 0;
  document = 0;
  place = 0;
  ended = false;
  readonly #slice: SortedSlice;
  readonly #order: number;
  readonly #words: Uint32Array;
  /** Entries of the slice from `#next` to before `#end` are still unread. */
  #next = 0;
  #end: number;
  #at = 0;
  #filled = 0;

  /** @param entries to keep in memory, at most */
  constructor(slice: SortedSlice, order: number, entries: number, from: number, to: number) {
    this.#slice = slice;
    this.#order = order;
    this.#end = slice.count;
    if (slice.count > 0 && (from > 0 || to < 2 ** 32)) {
      const block = new Uint32Array(WORDS * SEARCH_BLOCK);
      this.#reading((read) => {
        // Finds the first entry whose key is not below: bisects, then scans one block, since each read is a system call.
        const find = (key: number, start: number) => {
          let [low, high] = [start, slice.count];
          while (high - low > SEARCH_BLOCK) {
            const middle = Math.floor((low + high) / 2);
            read(middle, block.subarray(0, WORDS));
            if (block[1] < key) low = middle + 1;
            else high = middle;
          }
          read(low, block.subarray(0, WORDS * (high - low)));
          let at = 0;
          while (at < high - low && block[WORDS * at + 1] < key) at += 1;
          return low + at;
        };
        this.#next = from === 0 ? 0 : find(from, 0);
        this.#end = to === 2 ** 32 ? slice.count : find(to, this.#next);
      });
    }
    this.#words = new Uint32Array(WORDS * Math.min(entries, this.#end - this.#next));
    this.advance();
  }

  before(other: Source): boolean {
    if (this.keyHigh !== other.keyHigh) return this.keyHigh < other.keyHigh;
    if (this.keyLow !== other.keyLow) return this.keyLow < other.keyLow;
    return this.#order < other.#order;
  }

  /** Opens the file while `during` runs. Its `read` fills `into` with the entries that start at `entry`. */
  #reading(during: (read: (entry: number, into: Uint32Array) => void) => void): void {
    const { path, at } = this.#slice;
    try {
      const file = openSync(path, "r");
      try {
        during((entry, into) => {
          readWhole(file, new Uint8Array(into.buffer, into.byteOffset, into.byteLength), at + ENTRY_BYTES * entry);
        });
      } finally {
        closeSync(file);
      }
    } catch (error) {
      throw fileError(error, "read", path);
    }
  }

  advance(): void {
    if (this.#at === this.#filled) {
      this.#filled = Math.min(this.#words.length / WORDS, this.#end - this.#next);
      this.#at = 0;
      if (this.#filled === 0) {
        this.ended = true;
        return;
      }
      this.#reading((read) => read(this.#next, this.#words.subarray(0, WORDS * this.#filled)));
      this.#next += this.#filled;
    }
    const word = WORDS * this.#at++;
    this.keyLow = this.#words[word];
    this.keyHigh = this.#words[word + 1];
    this.place = this.#words[word + 2];
    this.document = this.#words[word + 3] + this.#slice.base;
  }
}

/** Fills `into` from a position of the file. @throws Error if the file ends before */
export function readWhole(file: number, into: Uint8Array, position: number): void {
  for (let done = 0; done < into.length; ) {
    const read = readSync(file, into, done, into.length - done, position + done);
    if (read === 0) throw new Error("a work file is shorter than expected");
    done += read;
  }
}
