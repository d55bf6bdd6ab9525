/** @file Byte ranges of a text, and cutting them out. */

/** Bytes from `start` to before `end`. */
export interface Span {
  start: number;
  end: number;
}

/** Maps a range of units to bytes: the byte where its first unit starts, and where its last ends. */
export interface ByteBounds {
  start(unit: number): number;
  end(unit: number): number;
}

/** Whether a byte continues a UTF-8 character. */
const continues = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;

/** Shrinks spans to whole characters. Drops spans that contain no whole character. */
export function wholeCharacters<S extends Span>(bytes: Uint8Array, spans: readonly S[]): readonly S[] {
  const whole: S[] = [];
  for (const span of spans) {
    let { start, end } = span;
    while (start < end && continues(bytes[start])) start += 1;
    while (end > start && continues(bytes[end])) end -= 1;
    if (start < end) whole.push({ ...span, start, end });
  }
  return whole;
}

/** Cuts the spans, which must be sorted and disjoint, and returns the rest. */
export function cutSpans(bytes: Uint8Array, spans: readonly Span[]): Buffer {
  const left: Uint8Array[] = [];
  let at = 0;
  for (const { start, end } of spans) {
    left.push(bytes.subarray(at, start));
    at = end;
  }
  left.push(bytes.subarray(at));
  return Buffer.concat(left);
}
