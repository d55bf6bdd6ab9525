/** @file The kernel of repeated spans with its memory: a text in, its suffix array and the windows that repeat out. */
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

const STRETCH = 2 ** 16;
/** How often the beginning of a text is sorted before the first large text of a thread is, and how much of it. */
let warmUps = 16;
const WARM_LENGTH = 2 ** 16;

/** Windows in a row that repeat: the first of them begins at `start`, the last before `end`. */
export interface RepeatedRun {
  readonly start: number;
  readonly end: number;
  /** Where the first window of the run is found first. */
  readonly first: number;
}

/**
 * A text of bytes or of 32-bit units. The memory is 5 bytes a byte of the text (8 of 32-bit units), with 2 more while it
 * is sorted.
 */
export class SuffixText {
  readonly text: Uint8Array | Int32Array;
  readonly #count: number;
  readonly #letters: number;
  readonly #memory: WebAssembly.Memory;
  readonly #kernel: Kernel;
  readonly #text: number;
  readonly #order: number;
  /** Buckets while the suffixes are sorted, then bits and runs. */
  readonly #rest: number;

  /**
   * Fill `text` before the rest is called.
   *
   * @param letters units are less than that; 256 for bytes
   * @param memory of a text before, to be used again
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

  /** The suffix array. A view, valid until `repeats`. */
  sort(): Int32Array {
    // V8 begins with quickly made code, and a function gets its better code only when it is called anew: without this
    // all but the inner loops of a large text would run in the former.
    for (; warmUps > 0 && this.#count > WARM_LENGTH; warmUps--) {
      this.#kernel.suffix_array(this.#text, this.#wide, WARM_LENGTH, this.#letters, this.#order, this.#rest);
    }
    this.#kernel.suffix_array(this.#text, this.#wide, this.#count, this.#letters, this.#order, this.#rest);
    return new Int32Array(this.#memory.buffer, this.#order, this.#count);
  }

  /**
   * The windows without a separator that repeat, in runs, by their starts: of equal ones all but the first; with `all` that
   * one too.
   */
  repeats(window: number, separator: number, all: boolean): readonly RepeatedRun[] {
    const kernel = this.#kernel;
    const count = this.#count;
    this.sort();
    // In stretches, for the reason that the kernel's own loops are.
    for (let to = count; to > 1; to -= STRETCH) {
      const from = Math.max(1, to - STRETCH);
      kernel.join_neighbours(this.#text, this.#wide, count, this.#order, window, separator, from, to);
    }
    return this.#marked(all);
  }

  /** After `repeats`: those that are not the first of their kind, whatever that was asked for. */
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
