/**
 * @file Setting documents apart for the verdict: chosen by a hash of what they are, so that the same text gives the same
 * split whatever its order, and cleaned of every longer line that the training text has as well.
 */
import { createHash } from "node:crypto";
import { QuernError } from "../errors.js";
import type { GivenDocument } from "./document.js";

export interface HeldOutSplit {
  readonly training: readonly GivenDocument[];
  readonly heldOut: readonly GivenDocument[];
  /** UTF-8 bytes of text on either side. */
  readonly trainingBytes: number;
  readonly heldOutBytes: number;
  /** Lines taken out of the held-out side because training has them too. */
  readonly sharedLines: number;
  /** True for text that repeats itself so much that cleaning would leave too little: then nothing was taken out. */
  readonly overlapping: boolean;
}

export interface HeldOutOptions {
  /** The least share of all bytes that is held out. */
  readonly share?: number;
  /** The least number of bytes that is held out, where that is not more than a tenth of all. */
  readonly bytes?: number;
}

/** A line of this many characters or more says something of its own; a shorter one may be anybody's. */
export const SHARED_LINE = 40;

/** A document longer than this share of what is to be held out is cut, so that one long file can be split as well. */
const LONGEST_PIECE_SHARE = 0.25;

/**
 * Splits documents into training and held-out text: at least `share` (.05) of the bytes and `bytes` (200,000) of them,
 * but never more than a tenth because of `bytes`. No line of `SHARED_LINE` characters or more, outer white space aside,
 * is on both sides. Each source gives its share. Documents that are long for the split (one file that is the whole text)
 * are cut at line ends, or at spaces where a line is long itself. Text that repeats itself everywhere is split all the same,
 * and says so in `overlapping`. Throws a `QuernError` when there is too little text.
 */
export function splitHeldOut(
  documents: readonly GivenDocument[],
  { share = 0.05, bytes = 200_000 }: HeldOutOptions = {},
): HeldOutSplit {
  const total = bytesOf(documents);
  const wanted = Math.max(share * total, Math.min(bytes, total / 10));
  const pieces = documents.flatMap((document) => cut(document, Math.max(1000, wanted * LONGEST_PIECE_SHARE)));
  if (pieces.length < 2) {
    throw new QuernError(
      `the text is too short: ${Math.round(total)} bytes leave nothing to hold out; give at least 10 kB`,
      { exitCode: 2 },
    );
  }
  const order = inDrawnOrder(pieces);
  // What is cleaned away must be made up for, so more is taken until enough is left.
  for (let aim = wanted; aim <= total / 2; aim += Math.max(1, 0.25 * wanted)) {
    const { training, chosen } = draw(pieces, order, aim / total);
    const { documents: heldOut, lines } = removeShared(chosen, training);
    if (bytesOf(heldOut) >= wanted) return splitOf(training, heldOut, lines, false);
  }
  const { training, chosen } = draw(pieces, order, wanted / total);
  return splitOf(training, chosen, 0, true);
}

/** A split that is made already; only the longer lines that training has too are taken out of the held-out side. */
export function separateHeldOut(training: readonly GivenDocument[], heldOut: readonly GivenDocument[]): HeldOutSplit {
  const { documents, lines } = removeShared(heldOut, training);
  if (bytesOf(training) === 0 || bytesOf(documents) === 0) {
    throw new QuernError("there is no text to train on, or none that is held out and not trained on as well", {
      exitCode: 2,
    });
  }
  return splitOf(training, documents, lines, false);
}

function splitOf(
  training: readonly GivenDocument[],
  heldOut: readonly GivenDocument[],
  sharedLines: number,
  overlapping: boolean,
): HeldOutSplit {
  const sizes = { trainingBytes: bytesOf(training), heldOutBytes: bytesOf(heldOut) };
  return { training, heldOut, ...sizes, sharedLines, overlapping };
}

/** Pieces of each source by the hash of their text, the order in which they are drawn. */
function inDrawnOrder(pieces: readonly GivenDocument[]): Map<string, GivenDocument[]> {
  const drawn = pieces
    .map((piece) => ({ piece, hash: createHash("sha256").update(piece.text).digest("hex") }))
    .sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
  const bySource = new Map<string, GivenDocument[]>();
  for (const { piece } of drawn) {
    const source = piece.source ?? "";
    const list = bySource.get(source);
    if (list === undefined) bySource.set(source, [piece]);
    else list.push(piece);
  }
  return bySource;
}

/** From each source the first pieces that reach the share; one is always left for training. */
function draw(
  pieces: readonly GivenDocument[],
  bySource: ReadonlyMap<string, readonly GivenDocument[]>,
  share: number,
): { readonly training: GivenDocument[]; readonly chosen: GivenDocument[] } {
  const chosen = new Set<GivenDocument>();
  for (const list of bySource.values()) {
    const wanted = bytesOf(list) * share;
    let bytes = 0;
    for (const piece of list.slice(0, -1)) {
      if (bytes >= wanted) break;
      chosen.add(piece);
      bytes += Buffer.byteLength(piece.text);
    }
  }
  return {
    training: pieces.filter((piece) => !chosen.has(piece)),
    chosen: pieces.filter((piece) => chosen.has(piece)),
  };
}

function removeShared(
  heldOut: readonly GivenDocument[],
  training: readonly GivenDocument[],
): { readonly documents: GivenDocument[]; readonly lines: number } {
  const suspects = new Set(heldOut.flatMap(({ text }) => longLines(text)));
  const shared = new Set<string>();
  for (const { text } of training) for (const line of longLines(text)) if (suspects.has(line)) shared.add(line);
  let lines = 0;
  const documents = heldOut.map((document) => {
    const kept = document.text.split("\n").filter((line) => !shared.has(line.trim()));
    const text = kept.join("\n");
    lines += document.text.split("\n").length - kept.length;
    return text.length === document.text.length ? document : { ...document, text };
  });
  return { documents: documents.filter(({ text }) => text.trim() !== ""), lines };
}

function longLines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line.length >= SHARED_LINE);
}

/** A document in pieces of about `longest` characters at most. */
function cut(document: GivenDocument, longest: number): GivenDocument[] {
  const { text } = document;
  if (text.length <= longest) return [document];
  const pieces: GivenDocument[] = [];
  for (let start = 0; start < text.length; ) {
    let end = Math.min(text.length, start + Math.ceil(longest));
    if (end < text.length) {
      const line = text.lastIndexOf("\n", end - 1) + 1;
      const space = text.lastIndexOf(" ", end - 1) + 1;
      // A cut in the middle of a line would leave its halves on two sides: a space only where there is no line end near.
      if (line > start + longest / 2) end = line;
      else if (space > start) end = space;
      // Never between the two halves of a surrogate pair.
      else if (/[\ud800-\udbff]/.test(text[end - 1])) end -= 1;
    }
    pieces.push({ ...document, text: text.slice(start, end), id: `${document.id ?? ""}#${pieces.length + 1}` });
    start = end;
  }
  return pieces;
}

function bytesOf(documents: readonly GivenDocument[]): number {
  return documents.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
}
