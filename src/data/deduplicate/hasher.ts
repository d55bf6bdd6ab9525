/** @file The kernel of deduplication with its memory: texts in, hashes, signatures and counts out. */
import { growTo, instantiateKernel, kernelMemory } from "../kernel.js";
import { minHashParameters } from "./parameters.js";

interface Kernel {
  hash(text: number, length: number, out: number): void;
  hash_pieces(text: number, length: number, paragraphs: number, cursor: number, out: number, room: number): number;
  simplify(text: number, length: number, out: number, forms: number, pool: number): number;
  signature(text: number, length: number, n: number, a: number, b: number, count: number, out: number): number;
  band_hashes(signature: number, bands: number, rows: number, out: number): void;
}

/** FineWeb's list of punctuation, each of which becomes a space, with the control characters: line breaks among them. */
const PUNCTUATION = /[!-/:-@[-`{-~\p{Cc}”：１〈━【「」，】；《„’∶´．–？！：$～«〉）。…“×（％、—►»]/gu;
const NUMBER = /\p{Nd}+(?:[.,،٫⎖⎗⎘]\p{Nd}+)?/gu;
/** What becomes of a character, as the kernel has it. */
const [UNKNOWN, SPACE, DIGIT, ITSELF, LETTERS, BY_NEIGHBOURS] = [0, 1, 2, 3, 4, 5];
/** Pieces that are hashed in one call. */
const PIECES = 1024;
const CODE_POINTS = 0x110000;
/** Bytes for what characters become where that is not themselves: Hangul, in single letters, takes the most. */
const POOL = 2 ** 18;
/** A mark that is no diacritic and that NFD moves before most others which follow the same letter. */
const MOVED = "\u{16ff0}";

/**
 * A text in FineWeb's normal form for near-duplicates (datatrove's `simplify_text`): lower case, numbers 0, no
 * punctuation, single spaces, no diacritics. Plain and slow; the kernel does the same, character by character.
 */
export function simplifyText(text: string): string {
  const plain = text
    .replace(/\p{Cs}/gu, "\ufffd")
    .toLowerCase()
    .replace(NUMBER, "0")
    .replace(PUNCTUATION, " ");
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
  /** Where hashing goes on in a text's pieces, then hashes and places. */
  readonly #cursor: number;
  /** A form for each code point, and the letters that some become. Pages that no text needs are never touched. */
  readonly #forms: number;
  readonly #pool: number;
  #pooled = 0;
  /** Where a text and its normal form go; the memory grows with the longest. */
  readonly #text: number;
  #held = "";
  #length = 0;
  #bytes: Buffer<ArrayBufferLike> = Buffer.alloc(0);
  #found: Uint32Array<ArrayBufferLike> = new Uint32Array(0);

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
    this.#cursor = this.#bandHashes + 8 * bands + 16;
    this.#forms = Math.ceil((this.#cursor + 8 + 16 * PIECES) / 64) * 64;
    this.#pool = this.#forms + 4 * CODE_POINTS;
    this.#text = this.#pool + POOL;
    this.#reach(this.#text + 65536);
    const { a, b } = minHashParameters(count);
    new BigUint64Array(this.#memory.buffer, this.#a, count).set(a);
    new BigUint64Array(this.#memory.buffer, this.#b, count).set(b);
    // What half a surrogate pair is in UTF-8.
    this.#learn("\ufffd");
  }

  /** Makes the memory reach `top`. Its views are made here and not for each of many short lines. */
  #reach(top: number): void {
    if (top <= this.#bytes.length) return;
    growTo(this.#memory, top);
    this.#bytes = Buffer.from(this.#memory.buffer);
    this.#found = new Uint32Array(this.#memory.buffer, this.#bandHashes, 2 * this.bands);
  }

  /** UTF-8 into the memory; gives its length. The text of the last call is there already. */
  #put(text: string): number {
    if (text === this.#held) return this.#length;
    // UTF-8 takes up to three bytes for a UTF-16 unit.
    this.#reach(this.#text + 3 * text.length + 64);
    this.#held = text;
    this.#length = this.#bytes.write(text, this.#text, "utf8");
    return this.#length;
  }

  /** xxHash64 of a text's UTF-8. */
  hash(text: string): bigint {
    const [low, high] = this.hashWords(text);
    return (BigInt(high) << 32n) + BigInt(low);
  }

  /** The same in two halves, the lower one first, in front. A view, valid until the next call. */
  hashWords(text: string): Uint32Array {
    const length = this.#put(text);
    this.#kernel.hash(this.#text, length, this.#bandHashes);
    return this.#found;
  }

  /** Calls `found` with the two halves of xxHash64 and the place of each line or paragraph that is not blank. */
  hashPieces(
    text: string,
    kind: "line" | "paragraph",
    found: (low: number, high: number, place: number) => void,
  ): void {
    const length = this.#put(text);
    const out = this.#cursor + 8;
    const words = new Uint32Array(this.#memory.buffer, this.#cursor, 2 + 4 * PIECES);
    words[0] = words[1] = 0;
    while (words[0] <= length) {
      const paragraphs = kind === "paragraph" ? 1 : 0;
      const count = this.#kernel.hash_pieces(this.#text, length, paragraphs, this.#cursor, out, PIECES);
      for (let i = 2; i < 2 + 4 * count; i += 4) found(words[i], words[i + 1], words[i + 2]);
    }
  }

  /** Tells the kernel what becomes of the characters of a text. */
  #learn(text: string): void {
    const forms = new Uint32Array(this.#memory.buffer, this.#forms, CODE_POINTS);
    for (const character of text) {
      const point = character.codePointAt(0) as number;
      if (forms[point] === UNKNOWN) forms[point] = this.#formOf(character);
    }
  }

  #formOf(character: string): number {
    if (/\p{Nd}/u.test(character)) return DIGIT;
    const plain = character.toLowerCase().replace(PUNCTUATION, " ");
    if (/^\s$/.test(plain)) return SPACE;
    const without = (text: string) => text.normalize("NFD").replace(/\p{Mn}+/gu, "");
    const letters = without(plain);
    // Sigma at a word's end, and marks that NFD brings into an order.
    const alone = `a${character}`.toLowerCase() === `a${character.toLowerCase()}`;
    if (!alone || without(plain + MOVED) !== letters + MOVED || /\s/.test(letters)) return BY_NEIGHBOURS;
    if (letters === character) return ITSELF;
    const bytes = Buffer.from(letters);
    if (bytes.length > 3 * Buffer.byteLength(character) || this.#pooled + bytes.length > POOL) return BY_NEIGHBOURS;
    new Uint8Array(this.#memory.buffer, this.#pool + this.#pooled).set(bytes);
    this.#pooled += bytes.length;
    return LETTERS + bytes.length * 8 + (this.#pooled - bytes.length) * 256;
  }

  /** Puts a text's normal form into the memory; gives where it is and its length. */
  #simplify(text: string): readonly [number, number] {
    const whole = this.#put(text);
    const out = this.#text + whole;
    this.#reach(out + 3 * whole + 64);
    const run = () => this.#kernel.simplify(this.#text, whole, out, this.#forms, this.#pool);
    let length = run();
    if (length === -1 - UNKNOWN) {
      this.#learn(text);
      length = run();
    }
    return length === -1 - BY_NEIGHBOURS ? [this.#text, this.#put(simplifyText(text))] : [out, length];
  }

  /** The signature of a text: bands × rows values; null where it has no n-gram. A view, valid until the next call. */
  signature(text: string): BigUint64Array | null {
    const { ngram, bands, rows } = this;
    const [start, length] = this.#simplify(text);
    const count = this.#kernel.signature(start, length, ngram, this.#a, this.#b, bands * rows, this.#signature);
    return count === 0 ? null : new BigUint64Array(this.#memory.buffer, this.#signature, bands * rows);
  }

  /** A hash for each band of a text's signature; null where it has no n-gram. A view, valid until the next call. */
  bandHashes(text: string): BigUint64Array | null {
    if (this.signature(text) === null) return null;
    this.#kernel.band_hashes(this.#signature, this.bands, this.rows, this.#bandHashes);
    return new BigUint64Array(this.#memory.buffer, this.#bandHashes, this.bands);
  }
}
