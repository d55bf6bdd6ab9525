/** @file Cuts long documents into pieces at line ends or spaces. */
import type { GivenDocument } from "./document.js";

/**
 * Returns where the piece that begins at `start` ends: at a line end or, if none is near, at a space. The piece has at most
 * about `longest` UTF-16 units. The text must be longer than that.
 */
export function pieceEnd(text: string, start: number, longest: number): number {
  const end = start + Math.ceil(longest);
  const line = text.lastIndexOf("\n", end - 1) + 1;
  const space = text.lastIndexOf(" ", end - 1) + 1;
  // Prefers a line end, so that no line is divided between the training and the held-out text.
  if (line > start + longest / 2) return line;
  if (space > start) return space;
  // Never between the two halves of a surrogate pair.
  return /[\ud800-\udbff]/.test(text[end - 1]) ? end - 1 : end;
}

/**
 * Cuts a document into pieces of at most about `longest` UTF-16 units. Their ids are the document's with `#1`, `#2`, …
 * @param offsets whether the text is the whole file: then each piece's origin is its own byte offset
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
