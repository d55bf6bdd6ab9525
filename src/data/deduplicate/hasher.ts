/** @file The kernel of deduplication with its memory: texts in, hashes, signatures and what is left of them out. */
import { growTo, instantiateKernel, kernelMemory } from "../../kernel.js";
import { minHashParameters } from "./parameters.js";

interface Kernel {
  hash(text: number, length: number, out: number): void;
  hash_pieces(text: number, length: number, paragraphs: number, cursor: number, out: number, room: number): number;
  is_blank(text: number, length: number): number;
  cut_pieces(
    text: number,
    length: number,
    paragraphs: number,
    told: number,
    count: number,
    out: number,
    gone: number,
  ): number;
  take_text(line: number, length: number, out: number, found: number): number;
  escape_text(text: number, length: number, cursor: number, out: number, room: number): number;
  simplify(text: number, length: number, out: number, forms: number, pool: number, asked: number): number;
  signature(text: number, length: number, n: number, a: number, b: number, count: number, out: number): number;
  band_hashes(signature: number, bands: number, rows: number, out: number): void;
}

/** FineWeb's list of punctuation, each of which becomes a space, with the control characters: line breaks among them. */
const PUNCTUATION = /[!-/:-@[-`{-~\p{Cc}”：１〈━【「」，】；《„’∶´．–？！：$～«〉）。…“×（％、—►»]/gu;
const NUMBER = /\p{Nd}+(?:[.,،٫⎖⎗⎘]\p{Nd}+)?/gu;
/** What becomes of a character, as the kernel has it; 0 where nobody has asked. */
const [SPACE, DIGIT, ITSELF, LETTERS, BY_NEIGHBOURS] = [1, 2, 3, 4, 5];
/** Pieces that are hashed in one call; their numbers are what a literal is written into, too. */
const PIECES = 1024;
/** Kernels may read and write so far behind what is there. */
const PADDING = 64;
/** Characters whose forms are asked for together. */
const BLOCK = 64;
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

/** Characters of scripts without spaces between words, each of which is compared as a word: Thai to Tibetan, kana, Han … */
const UNSPACED =
  "\\u0e00-\\u109f\\u1780-\\u17ff\\u1950-\\u19ff\\u1a20-\\u1aaf\\u1b00-\\u1b7f\\u2e80-\\u2fdf\\u3005-\\u3007\\u3021-\\u3029\\u3031-\\u3035" +
  "\\u3040-\\u312f\\u31a0-\\u31bf\\u31f0-\\u31ff\\u3400-\\u4dbf\\u4e00-\\ua4cf\\ua980-\\ua9ff\\uaa60-\\uaadf\\uf900-\\ufaff\\uff66-\\uff9d" +
  "\\u{1b000}-\\u{1b16f}\\u{20000}-\\u{3ffff}";
const COMPARED = new RegExp(`[${UNSPACED}]|[^ ${UNSPACED}]+`, "gu");

/** The words of a normal form, of which n-grams are made. Plain and slow, as `simplifyText`. */
export const comparedWords = (form: string): readonly string[] => form.match(COMPARED) ?? [];

/** A text in the memory of a `TextHasher`, in UTF-8: there until the next one is put into it. */
export interface HeldText {
  readonly at: number;
  /** In bytes. */
  readonly length: number;
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
  /** Where a held text goes, and behind it strings that are hashed, normal forms and what is left of a text. */
  readonly #start: number;
  #free: number;
  #string: string | undefined;
  #stringText: HeldText = { at: 0, length: 0 };
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
    this.#start = this.#free = this.#pool + POOL;
    this.#reach(this.#start + 65536);
    const { a, b } = minHashParameters(count);
    new BigUint64Array(this.#memory.buffer, this.#a, count).set(a);
    new BigUint64Array(this.#memory.buffer, this.#b, count).set(b);
  }

  /** Makes the memory reach `top`. Its views are made here and not for each of many short lines. */
  #reach(top: number): void {
    if (top <= this.#bytes.length) return;
    growTo(this.#memory, top);
    this.#bytes = Buffer.from(this.#memory.buffer);
    this.#found = new Uint32Array(this.#memory.buffer, this.#bandHashes, 2 * this.bands);
  }

  /** Where a text is in the memory; a string goes behind the text that is held. */
  #put(text: string | HeldText): HeldText {
    if (typeof text !== "string") return text;
    if (text !== this.#string || this.#stringText.at !== this.#free) {
      this.#string = text;
      this.#stringText = this.#write(text, this.#free);
    }
    return this.#stringText;
  }

  #write(text: string, at: number): HeldText {
    // UTF-8 takes up to three bytes for a UTF-16 unit.
    this.#reach(at + 3 * text.length + PADDING);
    return { at, length: this.#bytes.write(text, at, "utf8") };
  }

  #hold(length: number): HeldText {
    this.#free = this.#start + Math.ceil((length + PADDING) / 64) * 64;
    return { at: this.#start, length };
  }

  /** Holds a text, for as long as no other is held. */
  hold(text: string): HeldText {
    // Half a surrogate pair would be lost in UTF-8, but not in JSON.
    if (/\p{Cs}/u.test(text)) return this.take(Buffer.from(JSON.stringify({ text })))?.text as HeldText;
    return this.#hold(this.#write(text, this.#start).length);
  }

  /**
   * Holds the one text of a JSON line, well-formed UTF-8; where that is, in bytes of the line, and whether it is blank. Undefined
   * where the line has to be parsed to know.
   */
  take(
    line: Uint8Array,
  ): { readonly text: HeldText; readonly from: number; readonly to: number; readonly blank: boolean } | undefined {
    const at = this.#start + line.length + PADDING;
    this.#reach(at + line.length + PADDING);
    this.#string = undefined;
    this.#bytes.set(line, at);
    const length = this.#kernel.take_text(at, line.length, this.#start, this.#cursor);
    if (length < 0) return undefined;
    const [from, to] = new Uint32Array(this.#memory.buffer, this.#cursor, 2);
    return { text: this.#hold(length), from, to, blank: this.isBlank({ at: this.#start, length }) };
  }

  isBlank({ at, length }: HeldText): boolean {
    return this.#kernel.is_blank(at, length) === 1;
  }

  /**
   * A text without some of its lines or paragraphs. Of each that is told, in order, `told` has the place and whether it goes (1);
   * then where it begins and ends, in bytes of the text. The rest is there until the memory is used again.
   */
  cutPieces(
    text: HeldText,
    kind: "line" | "paragraph",
    told: Uint32Array,
  ): { readonly rest: HeldText; readonly cut: number } {
    const list = this.#free;
    const at = list + 4 * told.length + 8;
    this.#reach(at + text.length + PADDING);
    const words = new Uint32Array(this.#memory.buffer, list, told.length + 1);
    words.set(told);
    const gone = list + 4 * told.length;
    const paragraphs = kind === "paragraph" ? 1 : 0;
    const length = this.#kernel.cut_pieces(text.at, text.length, paragraphs, list, told.length / 2, at, gone);
    told.set(words.subarray(0, told.length));
    this.#string = undefined;
    return { rest: { at, length }, cut: words[told.length] };
  }

  /** A text as what stands between the quotes of a JSON string, as `JSON.stringify` has it, in pieces: views, valid until the next one. */
  *escaped({ at, length }: HeldText): Generator<Uint8Array> {
    const out = this.#cursor + 8;
    const cursor = new Uint32Array(this.#memory.buffer, this.#cursor, 1);
    cursor[0] = 0;
    while (cursor[0] < length) {
      const size = this.#kernel.escape_text(at, length, this.#cursor, out, 16 * PIECES);
      yield new Uint8Array(this.#memory.buffer, out, size);
    }
  }

  /** A held text as a string. */
  #stringOf(text: HeldText): string {
    const literal = Buffer.concat(Array.from(this.escaped(text), (piece) => Buffer.from(piece)));
    return JSON.parse(`"${literal.toString("utf8")}"`) as string;
  }

  /** xxHash64 of a text's UTF-8. */
  hash(text: string | HeldText): bigint {
    const [low, high] = this.hashWords(text);
    return (BigInt(high) << 32n) + BigInt(low);
  }

  /** The same in two halves, the lower one first, in front. A view, valid until the next call. */
  hashWords(text: string | HeldText): Uint32Array {
    const { at, length } = this.#put(text);
    this.#kernel.hash(at, length, this.#bandHashes);
    return this.#found;
  }

  /** Calls `found` with the two halves of xxHash64 and the place of each line or paragraph that is not blank. */
  hashPieces(
    text: string | HeldText,
    kind: "line" | "paragraph",
    found: (low: number, high: number, place: number) => void,
  ): void {
    const { at, length } = this.#put(text);
    const out = this.#cursor + 8;
    const words = new Uint32Array(this.#memory.buffer, this.#cursor, 2 + 4 * PIECES);
    words[0] = words[1] = 0;
    while (words[0] <= length) {
      const paragraphs = kind === "paragraph" ? 1 : 0;
      const count = this.#kernel.hash_pieces(at, length, paragraphs, this.#cursor, out, PIECES);
      for (let i = 2; i < 2 + 4 * count; i += 4) found(words[i], words[i + 1], words[i + 2]);
    }
  }

  /** Tells the kernel what becomes of a character and of those around it. */
  #learn(asked: number): void {
    const forms = new Uint32Array(this.#memory.buffer, this.#forms, CODE_POINTS);
    const first = asked - (asked % BLOCK);
    for (let point = first; point < first + BLOCK; point++) forms[point] = this.#formOf(String.fromCodePoint(point));
  }

  #formOf(character: string): number {
    if (/\p{Nd}/u.test(character)) return DIGIT;
    const plain = character
      .replace(/\p{Cs}/u, "\ufffd")
      .toLowerCase()
      .replace(PUNCTUATION, " ");
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

  /** Puts a text's normal form into the memory. */
  #simplify(text: string | HeldText): HeldText {
    const { at, length: whole } = this.#put(text);
    const out = Math.max(this.#free, at + whole + PADDING);
    if (typeof text !== "string") this.#string = undefined;
    this.#reach(out + 3 * whole + PADDING);
    for (;;) {
      const length = this.#kernel.simplify(at, whole, out, this.#forms, this.#pool, this.#cursor);
      if (length >= 0) return { at: out, length };
      if (length === -1 - BY_NEIGHBOURS)
        return this.#put(simplifyText(typeof text === "string" ? text : this.#stringOf(text)));
      this.#learn(new Uint32Array(this.#memory.buffer, this.#cursor, 1)[0]);
    }
  }

  /** The signature of a text: bands × rows values; null where it has no word. A view, valid until the next call. */
  signature(text: string | HeldText): BigUint64Array | null {
    const { ngram, bands, rows } = this;
    const { at, length } = this.#simplify(text);
    const count = this.#kernel.signature(at, length, ngram, this.#a, this.#b, bands * rows, this.#signature);
    return count === 0 ? null : new BigUint64Array(this.#memory.buffer, this.#signature, bands * rows);
  }

  /** A hash for each band of a text's signature; null where it has no word. A view, valid until the next call. */
  bandHashes(text: string | HeldText): BigUint64Array | null {
    if (this.signature(text) === null) return null;
    this.#kernel.band_hashes(this.#signature, this.bands, this.rows, this.#bandHashes);
    return new BigUint64Array(this.#memory.buffer, this.#bandHashes, this.bands);
  }
}
