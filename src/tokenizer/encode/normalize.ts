/** @file Unicode normalisation forms, and where in the original each part of the normalised text comes from. */
import { classOf, MARK } from "./unicode-classes.js";

/** The text in NFC. Texts of characters below U+0300 are in it already. */
export function nfc(text: string): string {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x300) return text.normalize("NFC");
  return text;
}

/**
 * For each UTF-16 unit of nfc(text), and for its end, the unit of the original at which its cluster starts; `ends` the
 * same for where it ends. A cluster is the least stretch that normalisation treats by itself; one that it does not change
 * maps unit by unit.
 */
export interface Alignment {
  readonly text: string;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** True for a text that no Unicode form changes. */
export function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

/** A Unicode form with its alignment; undefined if the text is in it already. */
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
    // What both sides begin or end with maps unit by unit; what is composed in between maps to all of it.
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
    // Characters that were thought apart were composed: everything comes from all of it.
    starts.fill(0);
    ends.fill(text.length);
  }
  return { text: normalized, starts, ends };
}

function width(text: string, index: number): number {
  return text.codePointAt(index)! > 0xffff ? 2 : 1;
}

/** True for characters that composition or reordering can tie to the one before: marks, Hangul vowels and finals, Kirat Rai vowels. */
function joins(point: number): boolean {
  return (
    classOf(point) === MARK ||
    (point >= 0x1160 && point <= 0x11ff) ||
    (point >= 0xd7b0 && point <= 0xd7ff) ||
    (point >= 0x16d63 && point <= 0x16d6a) ||
    // Half-width voicing marks and Hangul vowels, which compatibility forms make into the above.
    point === 0xff9e ||
    point === 0xff9f ||
    (point >= 0xffa0 && point <= 0xffdc)
  );
}
