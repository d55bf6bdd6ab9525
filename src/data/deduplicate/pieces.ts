/** @file A text as pieces that are compared one by one: lines, paragraphs, sentences. */

export type PieceKind = "line" | "paragraph" | "sentence";

/** Separators, and what pieces that were parted by them are joined with again. */
const SEPARATORS = {
  line: [/\n/, "\n"],
  paragraph: [/\n[^\S\n]*\n\s*/, "\n\n"],
  // After a mark that ends a sentence, with the quotes and brackets that it closes, or at a line's end; the spaces stay
  // with the sentence before them.
  sentence: [/(?<=[.!?…]["'”’)\]»]{0,3}\s+)(?=\S)|(?<=[。！？]["”’」』）]{0,3})|(?<=\n)/u, ""],
} as const satisfies Readonly<Record<PieceKind, readonly [RegExp, string]>>;

export const splitPieces = (text: string, kind: PieceKind): string[] =>
  kind === "line" ? text.split("\n") : text.split(SEPARATORS[kind][0]);

export const joinPieces = (pieces: readonly string[], kind: PieceKind): string => pieces.join(SEPARATORS[kind][1]);

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

/** What is compared of a span's pieces. */
export const comparedText = (span: readonly string[], kind: PieceKind): string =>
  kind === "sentence" ? span.map((piece) => piece.trim()).join(" ") : span.join("");

/** The pieces of a span of sentences that begins at `place`. */
export function spanOf(
  pieces: readonly string[],
  kind: PieceKind,
  sentences: number,
  place: number,
): readonly number[] {
  if (kind !== "sentence") return [place];
  const span: number[] = [];
  for (let i = place; i < pieces.length && span.length < sentences; i++) if (!isBlank(pieces[i])) span.push(i);
  return span;
}

const isBlank = (piece: string) => /^\s*$/.test(piece);
