/** @file The kernel of deduplication with its memory: texts in, hashes, signatures and counts out. */
import { growTo, instantiateKernel, kernelMemory } from "../kernel.js";
import { minHashParameters } from "./parameters.js";

interface Kernel {
  hash(text: number, length: number, out: number): void;
  simplify(text: number, length: number, out: number): number;
  signature(
    text: number,
    length: number,
    n: number,
    starts: number,
    a: number,
    b: number,
    count: number,
    out: number,
  ): number;
  band_hashes(signature: number, bands: number, rows: number, out: number): void;
}

/** FineWeb's list of punctuation, each of which becomes a space, with the control characters: line breaks among them. */
const PUNCTUATION = /[!-/:-@[-`{-~\p{Cc}”：１〈━【「」，】；《„’∶´．–？！：$～«〉）。…“×（％、—►»]/gu;
const NUMBER = /\p{Nd}+(?:[.,،٫⎖⎗⎘]\p{Nd}+)?/gu;
const OTHER_THAN_ASCII = /[^\p{ASCII}]/u;

/**
 * A text in FineWeb's normal form for near-duplicates (datatrove's `simplify_text`): lower case, numbers 0, no
 * punctuation, single spaces, no diacritics. Plain and slow for any script; the kernel does the same for ASCII.
 */
export function simplifyText(text: string): string {
  const plain = text.toLowerCase().replace(NUMBER, "0").replace(PUNCTUATION, " ");
  return plain
    .replace(/\s+/g, " ")
    .trim()
    .normalize("NFD")
    .replace(/\p{Mn}+/gu, "")
    .trim();
}

/** Makes hashes, MinHash signatures and their bands; not for two threads at once. */
export class TextHasher {
  readonly bands: number;
  readonly rows: number;
  readonly ngram: number;
  readonly #memory = kernelMemory();
  readonly #kernel = instantiateKernel<Kernel>(new URL("./kernel.wasm", import.meta.url), this.#memory);
  readonly #a: number;
  readonly #b: number;
  readonly #signature: number;
  readonly #bandHashes: number;
  /** Where a text, its normal form and its words' starts go; the memory grows with the longest. */
  readonly #text: number;

  constructor({ bands = 14, rows = 8, ngram = 5 }: { bands?: number; rows?: number; ngram?: number } = {}) {
    this.bands = bands;
    this.rows = rows;
    this.ngram = ngram;
    const count = bands * rows;
    const base = Math.ceil(this.#kernel.__heap_base.value / 64) * 64;
    this.#a = base;
    this.#b = base + 8 * count;
    this.#signature = base + 16 * count;
    this.#bandHashes = base + 24 * count;
    this.#text = Math.ceil((this.#bandHashes + 8 * bands + 16) / 64) * 64;
    growTo(this.#memory, this.#text + 65536);
    const { a, b } = minHashParameters(count);
    new BigUint64Array(this.#memory.buffer, this.#a, count).set(a);
    new BigUint64Array(this.#memory.buffer, this.#b, count).set(b);
  }

  /** UTF-8 into the memory; gives its length. */
  #put(text: string, copies: number): number {
    // UTF-8 takes up to three bytes for a UTF-16 unit.
    growTo(this.#memory, this.#text + 3 * text.length * copies + 4096);
    return Buffer.from(this.#memory.buffer).write(text, this.#text, "utf8");
  }

  /** xxHash64 of a text's UTF-8. */
  hash(text: string): bigint {
    this.hashWords(text);
    return new BigUint64Array(this.#memory.buffer, this.#bandHashes, 1)[0];
  }

  /** The same in two halves, the lower one first. A view, valid until the next call. */
  hashWords(text: string): Uint32Array {
    const length = this.#put(text, 1);
    this.#kernel.hash(this.#text, length, this.#bandHashes);
    return new Uint32Array(this.#memory.buffer, this.#bandHashes, 2);
  }

  /** The signature of a text: bands × rows values; null where it has no n-gram. A view, valid until the next call. */
  signature(text: string): BigUint64Array | null {
    const ascii = !OTHER_THAN_ASCII.test(text);
    let length: number;
    let start = this.#text;
    if (ascii) {
      const whole = this.#put(text, 4);
      start = this.#text + Math.ceil(whole / 8) * 8;
      length = this.#kernel.simplify(this.#text, whole, start);
    } else {
      length = this.#put(simplifyText(text), 4);
    }
    const starts = Math.ceil((start + length + 8) / 8) * 8;
    growTo(this.#memory, starts + 4 * (length + 2));
    const { ngram, bands, rows } = this;
    const count = this.#kernel.signature(start, length, ngram, starts, this.#a, this.#b, bands * rows, this.#signature);
    return count === 0 ? null : new BigUint64Array(this.#memory.buffer, this.#signature, bands * rows);
  }

  /** A hash for each band of a text's signature; null where it has no n-gram. A view, valid until the next call. */
  bandHashes(text: string): BigUint64Array | null {
    if (this.signature(text) === null) return null;
    this.#kernel.band_hashes(this.#signature, this.bands, this.rows, this.#bandHashes);
    return new BigUint64Array(this.#memory.buffer, this.#bandHashes, this.bands);
  }
}
