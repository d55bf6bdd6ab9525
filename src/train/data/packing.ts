/**
 * @file Packing: the text of an epoch in rows of T tokens, laid at the boundaries of documents, with no row half empty.
 *
 * A document longer than a row is cut into pieces of T tokens: from its beginning on in the first epoch, at other places in
 * each later one. Then each row takes the longest piece that is left, and into what room it has the longest that fits, again
 * and again (best fit decreasing, as Ding et al. pack, arXiv:2404.10830). Where none fits the room is filled with the beginning
 * of the longest, whose rest stays a piece: so nothing is padded, and a document that fits a row is cut for the last gap of
 * one alone. What does not fill the last row, less than T tokens, is left out of this epoch.
 *
 * Or the rows hold the text as it lies, one token after the other, for a text whose order means something.
 *
 * A piece is so many tokens to predict, each from those of the piece before it and from the one token before them all: at a
 * document's beginning the end of the text before it.
 */
import { randomStream } from "../../model/index.js";

export interface Packing {
  readonly rows: number;
  /** Of each piece: the place of its first token in the text, and how many it has. */
  readonly offsets: Float64Array;
  readonly lengths: Uint32Array;
  /** The pieces of row r are `firstPieces[r]` up to `firstPieces[r + 1]`, not with it. */
  readonly firstPieces: Uint32Array;
}

/**
 * Packs documents that end at `ends` (ascending; the first begins at `start`) into rows of `sequence` tokens. A function of
 * the seed and the epoch alone.
 */
export function packDocuments(
  ends: ArrayLike<number>,
  start: number,
  { sequence, seed, epoch }: { readonly sequence: number; readonly seed: number; readonly epoch: number },
): Packing {
  const pieces = shuffle(cutDocuments(ends, start, sequence, seed, epoch), seed, epoch);
  const rows = Math.floor((ends[ends.length - 1] - start) / sequence);
  const piles = pilesOf(pieces.lengths, sequence);
  // Every row cuts one piece in two at most.
  const offsets = new Float64Array(pieces.offsets.length + rows);
  const lengths = new Uint32Array(offsets.length);
  const firstPieces = new Uint32Array(rows + 1);
  let laid = 0;
  for (let row = 0; row < rows; row++) {
    for (let room = sequence; room > 0; room -= lengths[laid++]) {
      const fits = piles.longest(room);
      const piece = piles.take(fits > 0 ? fits : piles.longest(sequence));
      offsets[laid] = pieces.offsets[piece];
      lengths[laid] = Math.min(room, pieces.lengths[piece]);
      if (pieces.lengths[piece] > room) {
        pieces.offsets[piece] += room;
        pieces.lengths[piece] -= room;
        piles.put(piece);
      }
    }
    firstPieces[row + 1] = laid;
  }
  return { rows, offsets: offsets.subarray(0, laid), lengths: lengths.subarray(0, laid), firstPieces };
}

/** The same text in rows as it lies: a document is cut where a row ends. */
export function layInOrder(ends: ArrayLike<number>, start: number, sequence: number): Packing {
  const rows = Math.floor((ends[ends.length - 1] - start) / sequence);
  const last = start + rows * sequence;
  const offsets: number[] = [];
  const lengths: number[] = [];
  const firstPieces = new Uint32Array(rows + 1);
  let document = 0;
  for (let at = start; at < last; at += lengths[lengths.length - 1]) {
    while (ends[document] <= at) document += 1;
    const row = Math.floor((at - start) / sequence);
    const rowEnd = start + (row + 1) * sequence;
    offsets.push(at);
    lengths.push(Math.min(ends[document], rowEnd) - at);
    if (ends[document] >= rowEnd) firstPieces[row + 1] = offsets.length;
  }
  return { rows, offsets: Float64Array.from(offsets), lengths: Uint32Array.from(lengths), firstPieces };
}

type Pieces = Pick<Packing, "offsets" | "lengths">;

/** Documents of up to T tokens whole; of longer ones pieces of T and the rest, after the first epoch behind a shorter piece. */
function cutDocuments(ends: ArrayLike<number>, start: number, sequence: number, seed: number, epoch: number): Pieces {
  const random = randomStream(seed, `cuts of epoch ${epoch}`);
  const firstLength = (document: number, length: number) =>
    epoch === 0 || length <= sequence
      ? Math.min(length, sequence)
      : 1 + Math.floor(random.uniform(document) * sequence);
  let count = 0;
  for (let i = 0, from = start; i < ends.length; from = ends[i++]) {
    const length = ends[i] - from;
    if (length > 0) count += 1 + Math.ceil((length - firstLength(i, length)) / sequence);
  }
  const offsets = new Float64Array(count);
  const lengths = new Uint32Array(count);
  let piece = 0;
  for (let i = 0, from = start; i < ends.length; from = ends[i++]) {
    let length = firstLength(i, ends[i] - from);
    for (let at = from; at < ends[i]; at += length, length = Math.min(sequence, ends[i] - at)) {
      offsets[piece] = at;
      lengths[piece++] = length;
    }
  }
  return { offsets, lengths };
}

/** Pieces in an order that is drawn, so that those of one length come together anew in each epoch. */
function shuffle({ offsets, lengths }: Pieces, seed: number, epoch: number): Pieces {
  const random = randomStream(seed, `pieces of epoch ${epoch}`);
  for (let i = lengths.length - 1; i > 0; i--) {
    const j = Math.floor(random.uniform(i) * (i + 1));
    [offsets[i], offsets[j]] = [offsets[j], offsets[i]];
    [lengths[i], lengths[j]] = [lengths[j], lengths[i]];
  }
  return { offsets, lengths };
}

/** Pieces by length; which lengths there are is kept as bits, so that the longest up to a limit is found in T / 32 looks. */
function pilesOf(lengths: Uint32Array, longest: number) {
  const tops = new Int32Array(longest + 1).fill(-1);
  const below = new Int32Array(lengths.length);
  const bits = new Uint32Array((longest >> 5) + 1);
  const put = (piece: number) => {
    const length = lengths[piece];
    below[piece] = tops[length];
    tops[length] = piece;
    bits[length >> 5] |= 1 << (length & 31);
  };
  for (let piece = 0; piece < lengths.length; piece++) put(piece);
  return {
    put,
    take: (length: number): number => {
      const piece = tops[length];
      tops[length] = below[piece];
      if (tops[length] < 0) bits[length >> 5] &= ~(1 << (length & 31));
      return piece;
    },
    /** The length of the longest piece of at most `limit`, or 0. */
    longest: (limit: number): number => {
      let word = limit >> 5;
      let set = bits[word] & (0xffffffff >>> (31 - (limit & 31)));
      while (set === 0 && word > 0) set = bits[--word];
      return set === 0 ? 0 : 32 * word + 31 - Math.clz32(set);
    },
  };
}
