/**
 * @file Processes a text in parts of some tens of kilobytes, which stay in cache: encodes each as UTF-8 and splits it
 * into pretokens. Parts end only where every published pattern has a boundary that it does not look past, so the
 * pretokens are those of the whole text.
 */
import { PADDING } from "./encoder.js";
import type { Splitter } from "./patterns.js";
import { CASELESS, classOf, LOWER, NEWLINE, OTHER, SPACE, UPPER } from "./unicode-classes.js";

/** Target size of a part in UTF-16 units. */
export const PART_UNITS = 1 << 15;

const utf8 = new TextEncoder();
const asciiLetter = Uint8Array.from({ length: 128 }, (_, unit) => ((unit | 32) >= 97 && (unit | 32) <= 122 ? 1 : 0));

/** Contains one part at a time; `bytes`, `view` and `bounds` are replaced when they grow. */
export class TextParts {
  bytes = new Uint8Array(1024);
  view = new DataView(this.bytes.buffer);
  /** The ends of the part's pretokens, as written by a `Lexer`. */
  bounds = new Int32Array(1024);
  /** The number of pretokens in the part. */
  count = 0;
  readonly #splitter: Splitter;

  constructor(splitter: Splitter) {
    this.#splitter = splitter;
  }

  /** Loads the part of a text that starts at `start` and has about `size` units; returns the start of the next part. */
  load(text: string, start: number, size = PART_UNITS): number {
    const end =
      this.#splitter.divisible && text.length - start > size ? partEnd(text, start, start + size) : text.length;
    const part = start === 0 && end === text.length ? text : text.slice(start, end);
    if (this.bytes.length < part.length * 3 + PADDING) {
      this.bytes = new Uint8Array(Math.max(part.length * 3 + PADDING, Math.min(this.bytes.length * 2, PART_UNITS * 4)));
      this.view = new DataView(this.bytes.buffer);
    }
    const { written } = utf8.encodeInto(part, this.bytes);
    if (this.bounds.length < written) this.bounds = new Int32Array(written * 2);
    this.count = this.#splitter.lex(this.bytes, 0, written, this.bounds, 0);
    return end;
  }

  /**
   * Splits bytes[start, end), a text or a part of one between byte borders, into pretokens. Calls `visit` for each part with its
   * start; the part's pretokens are in `bounds` and `count`. The bytes are not copied.
   */
  eachPart(bytes: Uint8Array, start: number, end: number, visit: (start: number) => void): void {
    for (let from = start; from < end; ) {
      const to =
        this.#splitter.divisible && end - from > PART_UNITS ? byteBorder(bytes, from, from + PART_UNITS, end) : end;
      if (this.bounds.length < to - from) this.bounds = new Int32Array((to - from) * 2);
      this.count = this.#splitter.lex(bytes, from, to, this.bounds, 0);
      visit(from);
      from = to;
    }
  }

  /** Frees the memory of a huge text. */
  release(): void {
    if (this.bytes.length > PART_UNITS * 16) {
      this.bytes = new Uint8Array(PART_UNITS * 4);
      this.view = new DataView(this.bytes.buffer);
    }
    if (this.bounds.length > PART_UNITS * 16) this.bounds = new Int32Array(PART_UNITS * 4);
  }
}

/**
 * Returns a position near `aim` at which a part may end: after a letter, before a space or a symbol other than an
 * apostrophe. Searches backwards first, then forwards. Never splits next to surrogates, whose class only the pair
 * determines.
 */
export function partEnd(text: string, start: number, aim: number): number {
  for (let i = aim; i > start + 1 && i > aim - 8192; i--) if (isPartEnd(text, i)) return i;
  for (let i = aim + 1; i < text.length; i++) if (isPartEnd(text, i)) return i;
  return text.length;
}

function isPartEnd(text: string, i: number): boolean {
  const next = text.charCodeAt(i);
  if (next < 0x80 && asciiLetter[next] === 1) return false;
  if (next === 0x27 || (next >= 0xd800 && next <= 0xdfff)) return false;
  const kind = classOf(next);
  if (kind !== SPACE && kind !== NEWLINE && kind !== OTHER) return false;
  const last = classOf(text.charCodeAt(i - 1));
  return last === LOWER || last === UPPER || last === CASELESS;
}

/** `partEnd` for UTF-8 bytes. Searches backwards from `aim`, then forwards up to `end`. */
export function byteBorder(bytes: Uint8Array, start: number, aim: number, end: number): number {
  for (let i = aim; i > start + 1 && i > aim - 8192; i--) if (isByteBorder(bytes, i, start)) return i;
  for (let i = aim + 1; i < end; i++) if (isByteBorder(bytes, i, start)) return i;
  return end;
}

function isByteBorder(bytes: Uint8Array, i: number, start: number): boolean {
  const next = bytes[i];
  // Not before a letter, an apostrophe or a continuation byte; never next to a character above U+FFFF.
  if ((next < 0x80 && asciiLetter[next] === 1) || next === 0x27 || (next & 0xc0) === 0x80 || next >= 0xf0) return false;
  const kind = classOf(pointAt(bytes, i));
  if (kind !== SPACE && kind !== NEWLINE && kind !== OTHER) return false;
  let before = i - 1;
  while (before > start && (bytes[before] & 0xc0) === 0x80) before--;
  if (bytes[before] >= 0xf0) return false;
  const last = classOf(pointAt(bytes, before));
  return last === LOWER || last === UPPER || last === CASELESS;
}

/** The code point of the character at bytes[i], which has at most three bytes. */
function pointAt(bytes: Uint8Array, i: number): number {
  const lead = bytes[i];
  if (lead < 0x80) return lead;
  if (lead < 0xe0) return ((lead & 0x1f) << 6) | (bytes[i + 1] & 0x3f);
  return ((lead & 0x0f) << 12) | ((bytes[i + 1] & 0x3f) << 6) | (bytes[i + 2] & 0x3f);
}
