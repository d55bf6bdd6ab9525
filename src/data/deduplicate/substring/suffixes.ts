/**
 * @file TypeScript interface to the kernel for repeated spans: takes a text, returns its suffix array and repeated
 * windows.
 */
import { growTo, instantiateKernel, kernelMemory } from "../../../kernel.js";

interface Kernel {
  suffix_array(text: number, wide: number, count: number, letters: number, order: number, bucket: number): void;
  join_neighbours(
    text: number,
    wide: number,
    count: number,
    order: number,
    window: number,
    separator: number,
    from: number,
    to: number,
  ): void;
  mark_repeats(order: number, count: number, all: number, bits: number): void;
  run_starts(order: number, count: number, bits: number, out: number, room: number): number;
  run_end(bits: number, count: number, start: number): number;
}

/** Suffixes per call of `join_neighbours`. */
const BLOCK = 2 ** 16;
/** Warm-up sorts left in this thread; see `sort`. */
let warmUps = 16;
/** Units that a warm-up sorts. */
const WARM_LENGTH = 2 ** 16;

/** Consecutive windows that repeat: the first begins at `start`, the last at `end - 1`. */
export interface RepeatedRun {
  readonly start: number;
  readonly end: number;
  /** The first occurrence of the run's first window. */
  readonly first: number;
}

/**
 * A text of bytes or of 32-bit units. It needs 5 bytes of memory per unit of a byte text, 8 per 32-bit unit, and 2 more per
 * unit while sorting.
 */
export class SuffixText {
  readonly text: Uint8Array | Int32Array;
  readonly #count: number;
  readonly #letters: number;
  readonly #memory: WebAssembly.Memory;
  readonly #kernel: Kernel;
  readonly #text: number;
  readonly #order: number;
  /** Address of the buckets while sorting; of the marked bits and runs afterwards. */
  readonly #rest: number;

  /**
   * Allocates the memory. Fill `text` before any other call.
   *
   * @param letters exclusive upper bound of the units; 256 for bytes
   * @param memory of an earlier text, to reuse
   */
  constructor(count: number, wide: boolean, letters = 256, memory = kernelMemory()) {
    const kernel = instantiateKernel<Kernel>(new URL("./kernel.wasm", import.meta.url), memory);
    this.#memory = memory;
    this.#kernel = kernel;
    this.#count = count;
    this.#letters = letters;
    this.#text = Math.ceil(kernel.__heap_base.value / 64) * 64;
    this.#order = Math.ceil((this.#text + (wide ? 4 : 1) * count + 16) / 64) * 64;
    this.#rest = this.#order + 4 * count + 64;
    growTo(memory, this.#rest + 4 * Math.max(letters, count / 2) + 64);
    this.text = wide
      ? new Int32Array(memory.buffer, this.#text, count)
      : new Uint8Array(memory.buffer, this.#text, count);
  }

  get #wide(): number {
    return this.text instanceof Int32Array ? 1 : 0;
  }

  /** Returns the suffix array. A view, valid until `repeats`. */
  sort(): Int32Array {
    // V8 starts with baseline code and switches a function to optimised code only at its next call. Without these short
    // warm-up calls, everything except the inner loops would run as baseline code for the whole of a large text.
    for (; warmUps > 0 && this.#count > WARM_LENGTH; warmUps--) {
      this.#kernel.suffix_array(this.#text, this.#wide, WARM_LENGTH, this.#letters, this.#order, this.#rest);
    }
    this.#kernel.suffix_array(this.#text, this.#wide, this.#count, this.#letters, this.#order, this.#rest);
    return new Int32Array(this.#memory.buffer, this.#order, this.#count);
  }

  /**
   * Returns runs of repeated windows, sorted by start. Windows that contain a separator do not count. Of equal windows all but
   * the first are returned; with `all`, the first too.
   */
  repeats(window: number, separator: number, all: boolean): readonly RepeatedRun[] {
    const kernel = this.#kernel;
    const count = this.#count;
    this.sort();
    // In blocks, so that V8 can switch to optimised code between calls.
    for (let to = count; to > 1; to -= BLOCK) {
      const from = Math.max(1, to - BLOCK);
      kernel.join_neighbours(this.#text, this.#wide, count, this.#order, window, separator, from, to);
    }
    return this.#marked(all);
  }

  /** Returns the repeated windows without the first occurrences. Call after `repeats`, whatever its `all` was. */
  copies(): readonly RepeatedRun[] {
    return this.#marked(false);
  }

  #marked(all: boolean): readonly RepeatedRun[] {
    const kernel = this.#kernel;
    const count = this.#count;
    const bits = this.#rest;
    const out = Math.ceil((bits + count / 8 + 1) / 64) * 64;
    growTo(this.#memory, out);
    kernel.mark_repeats(this.#order, count, all ? 1 : 0, bits);
    const room = Math.floor((this.#memory.buffer.byteLength - out) / 8);
    let runs = kernel.run_starts(this.#order, count, bits, out, room);
    if (runs > room) {
      growTo(this.#memory, out + 8 * runs);
      runs = kernel.run_starts(this.#order, count, bits, out, runs);
    }
    const pairs = new Int32Array(this.#memory.buffer, out, 2 * runs);
    const found: RepeatedRun[] = [];
    for (let i = 0; i < runs; i++) {
      const start = pairs[2 * i];
      found.push({ start, end: kernel.run_end(bits, count, start), first: pairs[2 * i + 1] });
    }
    return found.sort((a, b) => a.start - b.start);
  }
}
