/** @file Splits a text into the pieces that are compared: lines, paragraphs, sentences. */

export type PieceKind = "line" | "paragraph" | "sentence";

/** Separators. The kernel splits lines and paragraphs itself; tests check it against these. */
const SEPARATORS = {
  line: /\n/,
  paragraph: /\n[^\S\n]*\n\s*/,
  // Splits after a sentence-ending mark with its closing quotes and brackets, or at a line's end. The spaces stay
  // with the sentence before them. The lookahead comes first so that a long run of spaces is scanned once.
  sentence:
    /(?=\S)(?<=[.!?…।॥؟۔።։]["'”’)\]»]{0,3}\s+)|(?<=[。！？｡។៕။།]["”’」』）】〉》]{0,3})(?!["”’」』）】〉》。！？｡។៕။།])|(?<=\n)/u,
} as const satisfies Readonly<Record<PieceKind, RegExp>>;

export const splitPieces = (text: string, kind: PieceKind): string[] => text.split(SEPARATORS[kind]);

/** Calls `found` with each span of `sentences` consecutive non-blank sentences, and the place of its first sentence. */
export function comparedSentences(
  pieces: readonly string[],
  sentences: number,
  found: (text: string, place: number) => void,
): void {
  const places: number[] = [];
  const words: string[] = [];
  for (const [place, piece] of pieces.entries()) {
    const trimmed = piece.trim();
    if (trimmed === "") continue;
    places.push(place);
    words.push(trimmed);
  }
  for (let i = 0; i + sentences <= places.length; i++) found(words.slice(i, i + sentences).join(" "), places[i]);
}

/** Returns the text by which a span of sentences is compared. */
export const comparedText = (span: readonly string[]): string => span.map((piece) => piece.trim()).join(" ");

/** Returns the places of the sentences in the span that begins at `place`. */
export function spanOf(pieces: readonly string[], sentences: number, place: number): readonly number[] {
  const span: number[] = [];
  for (let i = place; i < pieces.length && span.length < sentences; i++) if (!isBlank(pieces[i])) span.push(i);
  return span;
}

const isBlank = (piece: string) => /^\s*$/.test(piece);
