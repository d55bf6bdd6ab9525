/** @file Stretches of a text's bytes, and cutting them out. */

/** Bytes from `start` to before `end`. */
export interface Span {
  start: number;
  end: number;
}

/** Where a stretch of units begins and ends in bytes. */
export interface ByteBounds {
  start(unit: number): number;
  end(unit: number): number;
}

const continues = (byte: number | undefined) => byte !== undefined && (byte & 0xc0) === 0x80;

/** The spans without the characters that lie in them only in part; those that had nothing else are left out. */
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

/** What is left without the spans, which are in order and apart. */
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
