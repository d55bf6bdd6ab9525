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
