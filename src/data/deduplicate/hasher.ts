/** @file TypeScript interface to the deduplication kernel: stores texts in its memory, returns hashes, signatures and cut texts. */
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
    marks: number,
    count: number,
    out: number,
    removed: number,
  ): number;
  take_text(line: number, length: number, out: number, found: number): number;
  escape_text(text: number, length: number, cursor: number, out: number, room: number): number;
  simplify(text: number, length: number, out: number, forms: number, pool: number, unknown: number): number;
  signature(text: number, length: number, n: number, a: number, b: number, count: number, out: number): number;
  band_hashes(signature: number, bands: number, rows: number, out: number): void;
}

/** FineWeb's punctuation list plus control characters, line breaks included. Each becomes a space. */
const PUNCTUATION = /[!-/:-@[-`{-~\p{Cc}”：１〈━【「」，】；《„’∶´．–？！：$～«〉）。…“×（％、—►»]/gu;
const NUMBER = /\p{Nd}+(?:[.,،٫⎖⎗⎘]\p{Nd}+)?/gu;
/** The kernel's kinds of character forms; 0 marks a form that has not been computed yet. */
const [SPACE, DIGIT, ITSELF, LETTERS, BY_NEIGHBOURS] = [1, 2, 3, 4, 5];
/** Pieces hashed per call. `escaped` uses the same buffer for its output. */
const PIECES = 1024;
/** Bytes past the end of a buffer that the kernel may read or write. */
const PADDING = 64;
/** Characters whose forms are computed together. */
const BLOCK = 64;
const CODE_POINTS = 0x110000;
/** Bytes for the forms of characters that change. Hangul, decomposed into single letters, needs the most. */
const POOL = 2 ** 18;
/** A mark that is not a diacritic and that NFD moves before most other marks on the same letter. */
const MOVED = "\u{16ff0}";

/**
 * Returns a text in FineWeb's normal form for near-duplicates (datatrove's `simplify_text`): lower case, numbers as 0, no
 * punctuation, single spaces, no diacritics. This is the slow reference; the kernel does the same per character.
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

/** Characters of scripts without spaces between words; each counts as a word: Thai to Tibetan, kana, Han … */
const UNSPACED =
  "\\u0e00-\\u109f\\u1780-\\u17ff\\u1950-\\u19ff\\u1a20-\\u1aaf\\u1b00-\\u1b7f\\u2e80-\\u2fdf\\u3005-\\u3007\\u3021-\\u3029\\u3031-\\u3035" +
  "\\u3040-\\u312f\\u31a0-\\u31bf\\u31f0-\\u31ff\\u3400-\\u4dbf\\u4e00-\\ua4cf\\ua980-\\ua9ff\\uaa60-\\uaadf\\uf900-\\ufaff\\uff66-\\uff9d" +
  "\\u{1b000}-\\u{1b16f}\\u{20000}-\\u{3ffff}";
const COMPARED = new RegExp(`[${UNSPACED}]|[^ ${UNSPACED}]+`, "gu");

/** Returns the words of a normal form, from which n-grams are built. The slow reference, like `simplifyText`. */
export const comparedWords = (form: string): readonly string[] => form.match(COMPARED) ?? [];

/** A UTF-8 text in the memory of a `TextHasher`. Valid until the next text is stored. */
export interface HeldText {
  /** Address in the kernel's memory. */
  readonly at: number;
  /** Bytes. */
  readonly length: number;
}

/** Computes hashes, MinHash signatures and their band hashes. Not thread-safe. */
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
  /** Address of the cursor (two u32: byte and piece), followed by the output buffer. */
  readonly #cursor: number;
  /** Addresses of one u32 form per code point, and of the letters that forms refer to. Unused pages are never touched. */
  readonly #forms: number;
  readonly #pool: number;
  #pooled = 0;
  /** Address of the held text. From `#free` on: strings to hash, normal forms and cut texts. */
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

  /** Grows the memory to `top` bytes. Creates the views here, since creating them per short line is slow. */
  #reach(top: number): void {
    if (top <= this.#bytes.length) return;
    growTo(this.#memory, top);
    this.#bytes = Buffer.from(this.#memory.buffer);
    this.#found = new Uint32Array(this.#memory.buffer, this.#bandHashes, 2 * this.bands);
  }

  /** Returns the text's place in memory; stores a string behind the held text first. */
  #put(text: string | HeldText): HeldText {
    if (typeof text !== "string") return text;
    if (text !== this.#string || this.#stringText.at !== this.#free) {
      this.#string = text;
      this.#stringText = this.#write(text, this.#free);
    }
    return this.#stringText;
  }

  #write(text: string, at: number): HeldText {
    // UTF-8 needs up to three bytes per UTF-16 unit.
    this.#reach(at + 3 * text.length + PADDING);
    return { at, length: this.#bytes.write(text, at, "utf8") };
  }

  #hold(length: number): HeldText {
    this.#free = this.#start + Math.ceil((length + PADDING) / 64) * 64;
    return { at: this.#start, length };
  }

  /** Stores a text until the next one is stored. */
  hold(text: string): HeldText {
    // Encoding as UTF-8 would lose a lone surrogate; the kernel's JSON reader keeps it.
    if (/\p{Cs}/u.test(text)) return this.take(Buffer.from(JSON.stringify({ text })))?.text as HeldText;
    return this.#hold(this.#write(text, this.#start).length);
  }

  /**
   * Stores the `text` string of a JSON line, which must be well-formed UTF-8. Returns it with the byte range of its literal in
   * the line and whether it is blank. Returns undefined if the line needs a full JSON parser.
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
   * Cuts lines or paragraphs out of a text. Returns the rest, valid until the memory is used again, and the number cut.
   *
   * @param marks pairs (place, 1 to cut or 0 to keep) in ascending order; overwritten with the pieces' byte ranges (start, end)
   */
  cutPieces(
    text: HeldText,
    kind: "line" | "paragraph",
    marks: Uint32Array,
  ): { readonly rest: HeldText; readonly cut: number } {
    const list = this.#free;
    const at = list + 4 * marks.length + 8;
    this.#reach(at + text.length + PADDING);
    const words = new Uint32Array(this.#memory.buffer, list, marks.length + 1);
    words.set(marks);
    const removed = list + 4 * marks.length;
    const paragraphs = kind === "paragraph" ? 1 : 0;
    const length = this.#kernel.cut_pieces(text.at, text.length, paragraphs, list, marks.length / 2, at, removed);
    marks.set(words.subarray(0, marks.length));
    this.#string = undefined;
    return { rest: { at, length }, cut: words[marks.length] };
  }

  /** Yields a text in chunks, escaped as `JSON.stringify` does but without the quotes. Each view is valid until the next. */
  *escaped({ at, length }: HeldText): Generator<Uint8Array> {
    const out = this.#cursor + 8;
    const cursor = new Uint32Array(this.#memory.buffer, this.#cursor, 1);
    cursor[0] = 0;
    while (cursor[0] < length) {
      const size = this.#kernel.escape_text(at, length, this.#cursor, out, 16 * PIECES);
      yield new Uint8Array(this.#memory.buffer, out, size);
    }
  }

  /** Returns a held text as a string. */
  #stringOf(text: HeldText): string {
    const literal = Buffer.concat(Array.from(this.escaped(text), (piece) => Buffer.from(piece)));
    return JSON.parse(`"${literal.toString("utf8")}"`) as string;
  }

  /** Returns xxHash64 of a text's UTF-8. */
  hash(text: string | HeldText): bigint {
    const [low, high] = this.hashWords(text);
    return (BigInt(high) << 32n) + BigInt(low);
  }

  /** Returns xxHash64 as two 32-bit halves, the lower first. A view, valid until the next call; ignore what follows. */
  hashWords(text: string | HeldText): Uint32Array {
    const { at, length } = this.#put(text);
    this.#kernel.hash(at, length, this.#bandHashes);
    return this.#found;
  }

  /** Calls `found` for each non-blank line or paragraph, with the two halves of its xxHash64 and its place. */
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

  /** Computes the forms of the block of code points that contains `unknown`. */
  #addForms(unknown: number): void {
    const forms = new Uint32Array(this.#memory.buffer, this.#forms, CODE_POINTS);
    const first = unknown - (unknown % BLOCK);
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
    // Two cases depend on neighbours: sigma at a word's end, and marks that NFD reorders.
    const alone = `a${character}`.toLowerCase() === `a${character.toLowerCase()}`;
    if (!alone || without(plain + MOVED) !== letters + MOVED || /\s/.test(letters)) return BY_NEIGHBOURS;
    if (letters === character) return ITSELF;
    const bytes = Buffer.from(letters);
    if (bytes.length > 3 * Buffer.byteLength(character) || this.#pooled + bytes.length > POOL) return BY_NEIGHBOURS;
    new Uint8Array(this.#memory.buffer, this.#pool + this.#pooled).set(bytes);
    this.#pooled += bytes.length;
    return LETTERS + bytes.length * 8 + (this.#pooled - bytes.length) * 256;
  }

  /** Writes a text's normal form into the memory. */
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
      this.#addForms(new Uint32Array(this.#memory.buffer, this.#cursor, 1)[0]);
    }
  }

  /** Returns a text's signature (bands × rows), or null if it has no words. A view, valid until the next call. */
  signature(text: string | HeldText): BigUint64Array | null {
    const { ngram, bands, rows } = this;
    const { at, length } = this.#simplify(text);
    const count = this.#kernel.signature(at, length, ngram, this.#a, this.#b, bands * rows, this.#signature);
    return count === 0 ? null : new BigUint64Array(this.#memory.buffer, this.#signature, bands * rows);
  }

  /** Returns one hash per band of a text's signature, or null if it has no words. A view, valid until the next call. */
  bandHashes(text: string | HeldText): BigUint64Array | null {
    if (this.signature(text) === null) return null;
    this.#kernel.band_hashes(this.#signature, this.bands, this.rows, this.#bandHashes);
    return new BigUint64Array(this.#memory.buffer, this.#bandHashes, this.bands);
  }
}
