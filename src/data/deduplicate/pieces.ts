/** @file A text as pieces that are compared one by one: lines, paragraphs, sentences. */

export type PieceKind = "line" | "paragraph" | "sentence";

/** What parts them. Lines and paragraphs are parted by the kernel, which is held to this. */
const SEPARATORS = {
  line: /\n/,
  paragraph: /\n[^\S\n]*\n\s*/,
  // After a mark that ends a sentence, with the quotes and brackets that it closes, or at a line's end; the spaces stay
  // with the sentence before them.
  // The look ahead comes first: a long run of spaces is looked through once.
  sentence:
    /(?=\S)(?<=[.!?…।॥؟۔።։]["'”’)\]»]{0,3}\s+)|(?<=[。！？｡។៕။།]["”’」』）】〉》]{0,3})(?!["”’」』）】〉》。！？｡។៕။།])|(?<=\n)/u,
} as const satisfies Readonly<Record<PieceKind, RegExp>>;

export const splitPieces = (text: string, kind: PieceKind): string[] => text.split(SEPARATORS[kind]);

/** Calls `found` with each span of `sentences` sentences in a row that are not blank, and where it begins. */
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

/** What is compared of a span's sentences. */
export const comparedText = (span: readonly string[]): string => span.map((piece) => piece.trim()).join(" ");

/** The sentences of a span that begins at `place`. */
export function spanOf(pieces: readonly string[], sentences: number, place: number): readonly number[] {
  const span: number[] = [];
  for (let i = place; i < pieces.length && span.length < sentences; i++) if (!isBlank(pieces[i])) span.push(i);
  return span;
}

const isBlank = (piece: string) => /^\s*$/.test(piece);
