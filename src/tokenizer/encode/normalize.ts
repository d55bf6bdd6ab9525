/** @file Unicode normalization forms, with an alignment from the normalized text to the original. */
import { classOf, MARK } from "./unicode-classes.js";

/** Returns the text in NFC. A text whose characters are all below U+0300 already is. */
export function nfc(text: string): string {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x300) return text.normalize("NFC");
  return text;
}

/**
 * Maps each UTF-16 unit of a normalized text to the part of the original that it comes from. A cluster is the shortest part
 * that normalization handles independently; one that does not change maps unit by unit.
 */
export interface Alignment {
  /** The normalized text. */
  readonly text: string;
  /** (text.length): units of the original at which each unit's cluster starts and ends. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** True if a text is ASCII, which no normalization form changes. */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

/** Normalizes a text and aligns the result with it; undefined if normalization changes nothing. */
export function alignedForm(text: string, form: "NFC" | "NFD" | "NFKC" | "NFKD"): Alignment | undefined {
  const normalized = text.normalize(form);
  if (normalized === text) return undefined;
  const starts = new Uint32Array(normalized.length);
  const ends = new Uint32Array(normalized.length);
  let written = 0;
  let isWhole = true;
  for (let start = 0; start < text.length; ) {
    let end = start + width(text, start);
    while (end < text.length && joins(text.codePointAt(end)!)) end += width(text, end);
    const cluster = text.slice(start, end);
    const normal = cluster.normalize(form);
    isWhole &&= normalized.startsWith(normal, written);
    // A common prefix and suffix map unit by unit; every unit between them maps to the whole changed part.
    const most = Math.min(cluster.length, normal.length);
    let head = 0;
    while (head < most && cluster[head] === normal[head]) head++;
    let tail = 0;
    while (tail < most - head && cluster[cluster.length - 1 - tail] === normal[normal.length - 1 - tail]) tail++;
    for (let i = 0; i < normal.length && written < normalized.length; i++, written++) {
      const fromEnd = normal.length - i;
      starts[written] = i < head ? start + i : fromEnd <= tail ? end - fromEnd : start + head;
      ends[written] = i < head ? start + i + 1 : fromEnd <= tail ? end - fromEnd + 1 : end - tail;
    }
    start = end;
  }
  if (!isWhole || written < normalized.length) {
    // Normalization composed characters across clusters: map every unit to the whole text.
    starts.fill(0);
    ends.fill(text.length);
  }
  return { text: normalized, starts, ends };
}

function width(text: string, index: number): number {
  return text.codePointAt(index)! > 0xffff ? 2 : 1;
}

/** True for characters that can compose or reorder with the one before: marks, Hangul vowels and finals, Kirat Rai vowels. */
function joins(point: number): boolean {
  return (
    classOf(point) === MARK ||
    (point >= 0x1160 && point <= 0x11ff) ||
    (point >= 0xd7b0 && point <= 0xd7ff) ||
    (point >= 0x16d63 && point <= 0x16d6a) ||
    // Half-width voicing marks and Hangul vowels, which compatibility forms convert to the above.
    point === 0xff9e ||
    point === 0xff9f ||
    (point >= 0xffa0 && point <= 0xffdc)
  );
}
