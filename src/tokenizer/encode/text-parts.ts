/**
 * @file A text in parts of some tens of kilobytes that stay in the processor's cache, each written as UTF-8 and cut into
 * pretokens. Parts end only where every published pattern has a boundary and looks no further, so that the pretokens are
 * those of the whole text.
 */
import { PADDING } from "./encoder.js";
import type { Splitter } from "./patterns.js";
import { CASELESS, classOf, LOWER, NEWLINE, OTHER, SPACE, UPPER } from "./unicode-classes.js";

/** UTF-16 units of a part, when the text has a place to end it near. */
export const PART_UNITS = 1 << 15;

const utf8 = new TextEncoder();
const asciiLetter = Uint8Array.from({ length: 128 }, (_, unit) => ((unit | 32) >= 97 && (unit | 32) <= 122 ? 1 : 0));

/** Holds one part at a time; `bytes`, `view` and `bounds` are replaced when they grow. */
export class TextParts {
  bytes = new Uint8Array(1024);
  view = new DataView(this.bytes.buffer);
  /** Ends of the part's pretokens, as a lexer writes them. */
  bounds = new Int32Array(1024);
  /** How many pretokens the part has. */
  count = 0;
  readonly #splitter: Splitter;

  constructor(splitter: Splitter) {
    this.#splitter = splitter;
  }

  /** Loads the part of a text that starts at `start` and has about `size` units; returns where the next one starts. */
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
   * Cuts bytes[start, end), a text or a stretch of one between borders, into pretokens, a part at a time; `visit` finds the part's ends in `bounds` and `count`. Nothing is copied.
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

  /** Gives back what a huge text needed. */
  release(): void {
    if (this.bytes.length > PART_UNITS * 16) {
      this.bytes = new Uint8Array(PART_UNITS * 4);
      this.view = new DataView(this.bytes.buffer);
    }
    if (this.bounds.length > PART_UNITS * 16) this.bounds = new Int32Array(PART_UNITS * 4);
  }
}

/**
 * Where a part of a text may end near `aim`: after a letter that a space or a symbol other than an apostrophe follows,
 * looked for backwards, then forwards. Surrogates are left alone: only their pair tells what they are.
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

/** What `partEnd` is, in bytes: where UTF-8 may end near `aim`, looked for backwards, then forwards up to `end`. */
export function byteBorder(bytes: Uint8Array, start: number, aim: number, end: number): number {
  for (let i = aim; i > start + 1 && i > aim - 8192; i--) if (isByteBorder(bytes, i, start)) return i;
  for (let i = aim + 1; i < end; i++) if (isByteBorder(bytes, i, start)) return i;
  return end;
}

function isByteBorder(bytes: Uint8Array, i: number, start: number): boolean {
  const next = bytes[i];
  // No letter, no apostrophe, no later byte of a character; beyond the basic plane nothing is a border.
  if ((next < 0x80 && asciiLetter[next] === 1) || next === 0x27 || (next & 0xc0) === 0x80 || next >= 0xf0) return false;
  const kind = classOf(pointAt(bytes, i));
  if (kind !== SPACE && kind !== NEWLINE && kind !== OTHER) return false;
  let before = i - 1;
  while (before > start && (bytes[before] & 0xc0) === 0x80) before--;
  if (bytes[before] >= 0xf0) return false;
  const last = classOf(pointAt(bytes, before));
  return last === LOWER || last === UPPER || last === CASELESS;
}

/** The code point of a character of at most three bytes. */
function pointAt(bytes: Uint8Array, i: number): number {
  const lead = bytes[i];
  if (lead < 0x80) return lead;
  if (lead < 0xe0) return ((lead & 0x1f) << 6) | (bytes[i + 1] & 0x3f);
  return ((lead & 0x0f) << 12) | ((bytes[i + 1] & 0x3f) << 6) | (bytes[i + 2] & 0x3f);
}
