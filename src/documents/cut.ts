/** @file Long documents in pieces, cut where a reader would pause. */
import type { GivenDocument } from "./document.js";

/**
 * Where the piece of a text that begins at `start` ends: at a line's end, or at a space where there is no line end near, at most
 * about `longest` UTF-16 units on. The text goes on behind that.
 */
export function pieceEnd(text: string, start: number, longest: number): number {
  const end = start + Math.ceil(longest);
  const line = text.lastIndexOf("\n", end - 1) + 1;
  const space = text.lastIndexOf(" ", end - 1) + 1;
  // A cut in the middle of a line would leave its halves on two sides.
  if (line > start + longest / 2) return line;
  if (space > start) return space;
  // Never between the two halves of a surrogate pair.
  return /[\ud800-\udbff]/.test(text[end - 1]) ? end - 1 : end;
}

/**
 * A document in pieces of about `longest` UTF-16 units at most, numbered behind its id.
 * @param offsets whether its text is the file itself: then a piece's origin is its own byte
 */
export function* cutDocument<T extends GivenDocument>(
  document: T,
  longest: number,
  { offsets = false }: { readonly offsets?: boolean } = {},
): Generator<T> {
  const { text, id = "", origin } = document;
  if (text.length <= longest) return yield document;
  let offset = origin?.offset ?? 0;
  for (let start = 0, number = 1; start < text.length; number++) {
    const end = start + Math.ceil(longest) < text.length ? pieceEnd(text, start, longest) : text.length;
    const piece = text.slice(start, end);
    yield { ...document, text: piece, id: `${id}#${number}`, ...(offsets ? { origin: { ...origin, offset } } : {}) };
    if (offsets) offset += Buffer.byteLength(piece);
    start = end;
  }
}
