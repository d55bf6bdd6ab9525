/**
 * @file Batches out of a text in tokens. Batch number n is a pure function of the seed and n: nothing is kept between
 * batches, so a run that resumes goes on exactly where it stopped. Each epoch takes every row of its packing (packing.ts)
 * once, in a new order, or as the text lies.
 */
import type { Values } from "../../backends/index.js";
import { QuernError } from "../../errors.js";
import { randomStream } from "../../model/index.js";
import { layInOrder, type Packing, packDocuments } from "./packing.js";

/** A text as token ids, read by ranges. */
export interface TokenSource {
  /** How many there are. */
  readonly tokens: number;
  /** Where each document ends, behind its end of text; ascending, the last is `tokens`. Without, the text is one document. */
  readonly documentEnds?: ArrayLike<number>;
  /** Those of them behind token `from` and up to `to`: with it, memory does not grow with the text. */
  endsBetween?(from: number, to: number): ArrayLike<number>;
  read(offset: number, length: number): ArrayLike<number> | Promise<ArrayLike<number>>;
}

export interface Batch {
  /** (B,T) */
  readonly ids: Int32Array;
  /** (B,T), each the token after the one in `ids`. */
  readonly targets: Int32Array;
  /** (B,T), a number a piece of a row: tokens of one number belong together. */
  readonly segments: Int32Array;
}

/** The batches of each step: number step · accumulate + i is the i-th batch of the step. */
export function batchesOf(loader: Pick<Loader, "load">, accumulate: number) {
  return {
    load: async (step: number): Promise<Values[]> => {
      const batches: Values[] = [];
      for (let i = 0; i < accumulate; i++) batches.push({ ...(await loader.load(step * accumulate + i)) });
      return batches;
    },
  };
}

/** The order in which a run reads its text. */
export const TEXT_ORDERS = ["shuffled", "given"] as const;
export type TextOrder = (typeof TEXT_ORDERS)[number];

export interface Loader {
  /** Rows of an epoch. */
  readonly rows: number;
  /** Batch number `index`, from 0. */
  load(index: number): Promise<Batch>;
}

export interface LoaderOptions {
  readonly batch: number;
  readonly sequence: number;
  readonly seed: number;
  /** Shuffled, which is the default, or as the text lies: every epoch the same rows from its beginning on. */
  readonly order?: TextOrder;
  /** What stands before the first document, as it ends every other; without, the text's first token is not predicted. */
  readonly endOfText?: number;
  /** Tokens that are packed and shuffled together; a longer text is taken window by window. Default 2^25. */
  readonly window?: number;
}

/** Batches of B rows of T tokens. Throws a `QuernError` where the text does not fill one row. */
export function createLoader(source: TokenSource, options: LoaderOptions): Loader {
  const { batch, sequence, seed, order = "shuffled", endOfText, window: size = WINDOW } = options;
  if (source.tokens < sequence + 1) {
    throw new QuernError(
      `the text has ${source.tokens} tokens and one sequence takes ${sequence + 1}; give more text or a smaller sequence`,
    );
  }
  const start = endOfText === undefined ? 1 : 0;
  const windows = windowsOf(source, { start, sequence, order, size });
  const rows = windows.reduce((sum, window) => sum + window.rows, 0);
  let last: { readonly epoch: number; readonly window: Window; readonly packing: Packing } | undefined;
  const packingOf = (window: Window, epoch: number): Packing => {
    // A text in order is the same in every epoch.
    if (last?.window === window && (last.epoch === epoch || order === "given")) return last.packing;
    const ends = endsOf(source, window);
    const packing =
      order === "given"
        ? layInOrder(ends, window.from, sequence)
        : packDocuments(ends, window.from, { sequence, seed, epoch });
    last = { epoch, window, packing };
    return packing;
  };
  /** The window and the row in it that an epoch takes as its row `index`. */
  const placeOf = (index: number, epoch: number): { readonly window: Window; readonly row: number } => {
    let before = 0;
    for (let i = 0; ; i++) {
      const window = windows[order === "given" ? i : permute(i, windows.length, seed, epoch)];
      if (index - before >= window.rows) before += window.rows;
      else
        return { window, row: order === "given" ? index - before : permute(index - before, window.rows, seed, epoch) };
    }
  };
  /** A piece's tokens, and the one before them. */
  const read = async (offset: number, length: number) =>
    offset > 0
      ? source.read(offset - 1, length + 1)
      : [endOfText as number, ...Array.from(await source.read(0, length))];
  return {
    rows,
    load: async (index) => {
      const ids = new Int32Array(batch * sequence);
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

/** Tokens from a document's end to another that are packed and shuffled together; an epoch takes window after window. */
interface Window {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
}

/** Tokens of a window, and what the document that goes on there has more. A text that is shorter is one window. */
const WINDOW = 2 ** 25;

function windowsOf(
  source: TokenSource,
  { start, sequence, order, size }: { start: number; sequence: number; order: TextOrder; size: number },
): readonly Window[] {
  const { tokens } = source;
  const windows: Window[] = [];
  // In order, windows end with rows, so that no token is left out.
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

/** Where the document ends that has the token before `position`. */
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

/** The ends of a window's documents; its own end is the last. */
function endsOf({ tokens, documentEnds, endsBetween }: TokenSource, { from, to }: Window): ArrayLike<number> {
  if (endsBetween === undefined && to === tokens && from <= 1) return documentEnds ?? [tokens];
  const ends = endsBetween?.(from, to) ?? Array.from(documentEnds ?? [tokens]).filter((end) => end > from && end <= to);
  if (ends.length > 0 && ends[ends.length - 1] === to) return ends;
  return [...Array.from(ends), to];
}

/**
 * Where a random permutation of 0 … size−1 takes `index`, without storing it: a Feistel network over the next even
 * number of bits, walked until it lands inside (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
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
