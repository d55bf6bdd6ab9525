/** @file Locates each token in the original text. */
import type { Alignment } from "./normalize.js";

/** A segment of ordinary text between added tokens, as it was encoded. */
export interface LocatedSegment {
  /** Its normalized text. */
  readonly normal: string;
  /** Bytes added before it: 1 for a space, else 0. */
  readonly prefix: number;
  /** Its start in the original text, in UTF-16 units. */
  readonly offset: number;
  /** Aligns `normal` with the original segment; undefined if normalization changed nothing. */
  readonly alignment: Alignment | undefined;
}

/**
 * Appends the start and end of each token of a segment to `spans`, in UTF-16 units of the original. Spans are widened to whole
 * characters.
 * @param lengths (V): bytes of each token
 */
export function locateTokens(
  ids: Uint32Array,
  lengths: ArrayLike<number>,
  { normal, prefix, offset, alignment }: LocatedSegment,
  spans: number[],
): void {
  let unit = 0;
  // Bytes of the segment before the character at `unit`, including the added space.
  let byte = prefix;
  let position = 0;
  for (const id of ids) {
    const start = position;
    position += lengths[id];
    while (unit < normal.length && byte + utf8Width(normal, unit) <= start) {
      byte += utf8Width(normal, unit);
      unit += unitWidth(normal, unit);
    }
    let last = unit;
    let lastByte = byte;
    while (last < normal.length && lastByte < position) {
      lastByte += utf8Width(normal, last);
      last += unitWidth(normal, last);
    }
    if (alignment === undefined) spans.push(offset + unit, offset + last);
    else if (last > unit) spans.push(offset + alignment.starts[unit], offset + alignment.ends[last - 1]);
    else {
      const at = unit < normal.length ? alignment.starts[unit] : unit === 0 ? 0 : alignment.ends[unit - 1];
      spans.push(offset + at, offset + at);
    }
  }
}

function unitWidth(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  if (unit < 0xd800 || unit > 0xdbff || index + 1 >= text.length) return 1;
  const low = text.charCodeAt(index + 1);
  return low >= 0xdc00 && low <= 0xdfff ? 2 : 1;
}

function utf8Width(text: string, index: number): number {
  const unit = text.charCodeAt(index);
  return unit < 0x80 ? 1 : unit < 0x800 ? 2 : unitWidth(text, index) === 2 ? 4 : 3;
}

/** (text.length + 1): UTF-8 byte offset of each UTF-16 unit and of the end. Both halves of a surrogate pair have the same offset. */
export function byteOffsets(text: string): Uint32Array {
  const at = new Uint32Array(text.length + 1);
  let byte = 0;
  for (let i = 0; i < text.length; ) {
    const units = unitWidth(text, i);
    at[i] = byte;
    if (units === 2) at[i + 1] = byte;
    byte += utf8Width(text, i);
    i += units;
  }
  at[text.length] = byte;
  return at;
}
