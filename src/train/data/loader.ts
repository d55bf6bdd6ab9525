/**
 * @file Batches from a tokenized text. Batch n is a pure function of the seed and n, so a resumed run continues exactly
 * where it stopped. Each epoch takes every packed row (packing.ts) once, in a new random order or in the order of the text.
 */
import type { Values } from "../../backends/index.js";
import { QuernError } from "../../errors.js";
import { randomStream } from "../../model/index.js";
import { oneRank, type Ranks } from "../distributed/ranks.js";
import { type Packing, packDocuments, packInOrder } from "./packing.js";

/** Token ids of a text, read by ranges. */
export interface TokenSource {
  /** Number of tokens. */
  readonly tokens: number;
  /** End of each document, after its end-of-text token; ascending up to `tokens`. Without it, the text is one document. */
  readonly documentEnds?: ArrayLike<number>;
  /** Returns the document ends in (from, to]. With it, memory does not grow with the text. */
  endsBetween?(from: number, to: number): ArrayLike<number>;
  read(offset: number, length: number): ArrayLike<number> | Promise<ArrayLike<number>>;
}

export interface Batch {
  /** (B,T) */
  readonly ids: Int32Array;
  /** (B,T), the token after each one in `ids`. */
  readonly targets: Int32Array;
  /** (B,T), the number of the piece in the row; tokens attend within their piece. */
  readonly segments: Int32Array;
}

/**
 * Groups batches into steps: batch step · accumulate + i is the i-th of the step. Several ranks are dealt the batches of each step
 * in turn, so that together they read what one rank reads.
 */
export function batchesOf(
  loader: Pick<Loader, "load">,
  accumulate: number,
  { rank, size }: Pick<Ranks, "rank" | "size"> = oneRank,
) {
  return {
    load: async (step: number): Promise<Values[]> => {
      const batches: Values[] = [];
      for (let i = rank; i < accumulate; i += size) batches.push({ ...(await loader.load(step * accumulate + i)) });
      return batches;
    },
  };
}

/** The order in which a run reads its text. */
export const TEXT_ORDERS = ["shuffled", "given"] as const;
export type TextOrder = (typeof TEXT_ORDERS)[number];

export interface Loader {
  /** Rows per epoch. */
  readonly rows: number;
  /** Loads batch `index`, counted from 0. */
  load(index: number): Promise<Batch>;
}

export interface LoaderOptions {
  readonly batch: number;
  readonly sequence: number;
  readonly seed: number;
  /** Default "shuffled". With "given", every epoch has the same rows, in the order of the text. */
  readonly order?: TextOrder;
  /** Id that precedes the first document, as it does the others. Without it, the text's first token is not predicted. */
  readonly endOfText?: number;
  /** Tokens that are packed and shuffled together; a longer text has several windows. Default 2^25. */
  readonly window?: number;
}

/** Creates a loader of batches of B rows of T tokens. @throws QuernError if the text does not fill one row */
export function createLoader(source: TokenSource, options: LoaderOptions): Loader {
  const { batch, sequence, seed, order = "shuffled", endOfText, window: size = WINDOW } = options;
  if (source.tokens < sequence + 1) {
    throw new QuernError(
      `the text has ${source.tokens} tokens, but one sequence needs ${sequence + 1}; give more text or a smaller sequence`,
    );
  }
  const start = endOfText === undefined ? 1 : 0;
  const windows = windowsOf(source, { start, sequence, order, size });
  const rows = windows.reduce((sum, window) => sum + window.rows, 0);
  let last: { readonly epoch: number; readonly window: Window; readonly packing: Packing } | undefined;
  const packingOf = (window: Window, epoch: number): Packing => {
    // Without shuffling, every epoch has the same packing.
    if (last?.window === window && (last.epoch === epoch || order === "given")) return last.packing;
    const ends = endsOf(source, window);
    const packing =
      order === "given"
        ? packInOrder(ends, window.from, sequence)
        : packDocuments(ends, window.from, { sequence, seed, epoch });
    last = { epoch, window, packing };
    return packing;
  };
  /** Returns the window and the row in it for row `index` of an epoch. */
  const placeOf = (index: number, epoch: number): { readonly window: Window; readonly row: number } => {
    let before = 0;
    for (let i = 0; ; i++) {
      const window = windows[order === "given" ? i : permute(i, windows.length, seed, epoch)];
      if (index - before >= window.rows) before += window.rows;
      else
        return { window, row: order === "given" ? index - before : permute(index - before, window.rows, seed, epoch) };
    }
  };
  /** Reads the tokens of a piece, and the one before them. */
  const read = async (offset: number, length: number) =>
    offset > 0
      ? source.read(offset - 1, length + 1)
      : [endOfText as number, ...Array.from(await source.read(0, length))];
  return {
    rows,
    load: async (index) => {
      const ids = new Int32Array(batch * sequence); // (B,T), like the next two
      const targets = new Int32Array(batch * sequence);
      const segments = new Int32Array(batch * sequence);
      for (let row = 0; row < batch; row++) {
        const drawn = index * batch + row;
        const epoch = Math.floor(drawn / rows);
        const { window, row: place } = placeOf(drawn % rows, epoch);
        const { offsets, lengths, firstPieces } = packingOf(window, epoch);
        let at = row * sequence;
        for (let piece = firstPieces[place]; piece < firstPieces[place + 1]; piece++) {
          const tokens = await read(offsets[piece], lengths[piece]);
          for (let t = 0; t < lengths[piece]; t++, at++) {
            ids[at] = tokens[t];
            targets[at] = tokens[t + 1];
            segments[at] = piece - firstPieces[place];
          }
        }
      }
      return { ids, targets, segments };
    },
  };
}

/** Tokens [from, to) that are packed and shuffled together. If shuffled, windows end where documents end. */
interface Window {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
}

/** Default tokens per window; a window extends to the end of its last document. */
const WINDOW = 2 ** 25;

function windowsOf(
  source: TokenSource,
  { start, sequence, order, size }: { start: number; sequence: number; order: TextOrder; size: number },
): readonly Window[] {
  const { tokens } = source;
  const windows: Window[] = [];
  // Without shuffling, windows end at the end of a row, so that no token is left out.
  const whole = Math.max(1, Math.floor(size / sequence)) * sequence;
  for (let from = start; from < tokens; ) {
    const aim = from + (order === "given" ? whole : size);
    const to = aim >= tokens ? tokens : order === "given" ? aim : endFrom(source, aim);
    const rows = Math.floor((to - from) / sequence);
    if (rows > 0) windows.push({ from, to, rows });
    from = to;
  }
  return windows;
}

/** Returns the first document end at or after `position`. */
function endFrom({ tokens, documentEnds, endsBetween }: TokenSource, position: number): number {
  if (endsBetween === undefined) {
    const ends = documentEnds ?? [tokens];
    for (let i = 0; i < ends.length; i++) if (ends[i] >= position) return ends[i];
    return tokens;
  }
  for (let span = 2 ** 16; ; span *= 2) {
    const [first] = Array.from(endsBetween(position - 1, Math.min(tokens, position + span)));
    if (first !== undefined) return first;
    if (position + span >= tokens) return tokens;
  }
}

/** Returns the document ends in a window; the last is the end of the window. */
function endsOf({ tokens, documentEnds, endsBetween }: TokenSource, { from, to }: Window): ArrayLike<number> {
  if (endsBetween === undefined && to === tokens && from <= 1) return documentEnds ?? [tokens];
  const ends = endsBetween?.(from, to) ?? Array.from(documentEnds ?? [tokens]).filter((end) => end > from && end <= to);
  if (ends.length > 0 && ends[ends.length - 1] === to) return ends;
  return [...Array.from(ends), to];
}

/**
 * Returns the image of `index` under a random permutation of 0 … size−1, without storing the permutation. Repeats a Feistel
 * network over the next even number of bits until the value is below `size` (Black and Rogaway, "Ciphers with arbitrary
 * finite domains", 2002).
 */
export function permute(index: number, size: number, seed: number, epoch: number): number {
  const half = Math.max(1, Math.ceil(Math.log2(size) / 2));
  const base = 2 ** half;
  const random = randomStream(seed, `order of epoch ${epoch}`);
  let value = index;
  do {
    let left = Math.floor(value / base);
    let right = value % base;
    for (let round = 0; round < 4; round++) {
      const mixed = left ^ (random.block(right * 4 + round)[0] & (base - 1));
      left = right;
      right = mixed;
    }
    value = left * base + right;
  } while (value >= size);
  return value;
}
