/**
 * @file Packs the documents of an epoch into full rows of T tokens, splitting as few of them as possible.
 *
 * A document longer than a row is cut into pieces of T tokens: from its beginning in the first epoch, from a random
 * offset later. Each row takes the longest remaining piece, then repeatedly the longest that fits the remaining room
 * (best-fit decreasing: Ding et al., arXiv:2404.10830). If none fits, the room is filled with the beginning of the
 * longest piece, whose rest remains. So nothing is padded, and a document that fits a row is cut only to fill the last
 * gap of one. Less than T tokens that do not fill the last row are left out of the epoch.
 *
 * `packInOrder` instead keeps the tokens in the order of the text, for texts whose order matters.
 *
 * The tokens of a piece are targets. Each is predicted from the earlier tokens of its piece and the one token before the
 * piece. At the beginning of a document, that is the previous end-of-text.
 */
import { randomStream } from "../../model/index.js";

export interface Packing {
  readonly rows: number;
  /** Position of each piece's first token in the text, and the number of its tokens. */
  readonly offsets: Float64Array;
  readonly lengths: Uint32Array;
  /** Row r has the pieces [firstPieces[r], firstPieces[r + 1]). */
  readonly firstPieces: Uint32Array;
}

/**
 * Packs documents that end at `ends` (ascending; the first begins at `start`) into rows of `sequence` tokens. Deterministic
 * for a given seed and epoch.
 */
export function packDocuments(
  ends: ArrayLike<number>,
  start: number,
  { sequence, seed, epoch }: { readonly sequence: number; readonly seed: number; readonly epoch: number },
): Packing {
  const pieces = shuffle(cutDocuments(ends, start, sequence, seed, epoch), seed, epoch);
  const rows = Math.floor((ends[ends.length - 1] - start) / sequence);
  const remaining = bucketsByLength(pieces.lengths, sequence);
  // Each row splits at most one piece.
  const offsets = new Float64Array(pieces.offsets.length + rows); // by piece, at most
  const lengths = new Uint32Array(offsets.length);
  const firstPieces = new Uint32Array(rows + 1);
  let placed = 0; // pieces so far
  for (let row = 0; row < rows; row++) {
    for (let room = sequence; room > 0; room -= lengths[placed++]) {
      const fits = remaining.longest(room);
      const piece = remaining.take(fits > 0 ? fits : remaining.longest(sequence));
      offsets[placed] = pieces.offsets[piece];
      lengths[placed] = Math.min(room, pieces.lengths[piece]);
      if (pieces.lengths[piece] > room) {
        pieces.offsets[piece] += room;
        pieces.lengths[piece] -= room;
        remaining.put(piece);
      }
    }
    firstPieces[row + 1] = placed;
  }
  return { rows, offsets: offsets.subarray(0, placed), lengths: lengths.subarray(0, placed), firstPieces };
}

/** Packs the tokens in the order of the text; a document is cut where a row ends. */
export function packInOrder(ends: ArrayLike<number>, start: number, sequence: number): Packing {
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

/** Cuts documents longer than T into pieces of T and a rest; after the first epoch, the first piece has a random length. */
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

/** Shuffles the pieces in place, so that pieces of one length combine differently in each epoch. */
function shuffle({ offsets, lengths }: Pieces, seed: number, epoch: number): Pieces {
  const random = randomStream(seed, `pieces of epoch ${epoch}`);
  for (let i = lengths.length - 1; i > 0; i--) {
    const j = Math.floor(random.uniform(i) * (i + 1));
    [offsets[i], offsets[j]] = [offsets[j], offsets[i]];
    [lengths[i], lengths[j]] = [lengths[j], lengths[i]];
  }
  return { offsets, lengths };
}

/**
 * Groups pieces by length in linked stacks. A bit set marks the lengths that have pieces, so the longest one up to a limit
 * is found in at most T / 32 word reads.
 */
function bucketsByLength(lengths: Uint32Array, longest: number) {
  const heads = new Int32Array(longest + 1).fill(-1); // by length: the top piece, or -1
  const next = new Int32Array(lengths.length); // by piece: the one below it
  const bits = new Uint32Array((longest >> 5) + 1); // bit n: there is a piece of length n
  const put = (piece: number) => {
    const length = lengths[piece];
    next[piece] = heads[length];
    heads[length] = piece;
    bits[length >> 5] |= 1 << (length & 31);
  };
  for (let piece = 0; piece < lengths.length; piece++) put(piece);
  return {
    put,
    take: (length: number): number => {
      const piece = heads[length];
      heads[length] = next[piece];
      if (heads[length] < 0) bits[length >> 5] &= ~(1 << (length & 31));
      return piece;
    },
    /** Returns the length of the longest piece of at most `limit` tokens, or 0. */
    longest: (limit: number): number => {
      let word = limit >> 5;
      let set = bits[word] & (0xffffffff >>> (31 - (limit & 31)));
      while (set === 0 && word > 0) set = bits[--word];
      return set === 0 ? 0 : 32 * word + 31 - Math.clz32(set);
    },
  };
}
