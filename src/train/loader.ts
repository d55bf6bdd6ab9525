/**
 * @file Batches out of a stream of tokens. Batch number n is a pure function of the seed and n: nothing is kept between
 * batches, so a run that resumes goes on exactly where it stopped.
 *
 * The stream is cut into windows of T tokens. Each epoch takes every window once, in a new order and with the cuts moved.
 */
import { QuernError } from "../errors.js";
import { randomStream } from "../model/index.js";

/** A stream of token ids that is read by ranges. */
export interface TokenSource {
  /** How many there are. */
  readonly tokens: number;
  read(offset: number, length: number): ArrayLike<number> | Promise<ArrayLike<number>>;
}

export interface Batch {
  /** (B,T) */
  readonly ids: Int32Array;
  /** (B,T), each the token after the one in `ids`. */
  readonly targets: Int32Array;
}

export interface Loader {
  /** Windows of an epoch. */
  readonly windows: number;
  /** Batch number `index`, from 0. */
  load(index: number): Promise<Batch>;
}

/** Batches of B windows of T tokens. Throws a `QuernError` where the stream is shorter than one window. */
export function createLoader(
  source: TokenSource,
  { batch, sequence, seed }: { readonly batch: number; readonly sequence: number; readonly seed: number },
): Loader {
  if (source.tokens < sequence + 1) {
    throw new QuernError(
      `the text has ${source.tokens} tokens and one sequence takes ${sequence + 1}; give more text or a smaller sequence`,
    );
  }
  const windows = Math.max(1, Math.floor((source.tokens - sequence) / sequence));
  const shifts = Math.min(sequence, source.tokens - windows * sequence);
  const random = randomStream(seed, "loader");
  return {
    windows,
    load: async (index) => {
      const ids = new Int32Array(batch * sequence);
      const targets = new Int32Array(batch * sequence);
      for (let row = 0; row < batch; row++) {
        const drawn = index * batch + row;
        const epoch = Math.floor(drawn / windows);
        const shift = Math.floor(random.uniform(epoch) * shifts);
        const offset = permute(drawn % windows, windows, seed, epoch) * sequence + shift;
        const tokens = await source.read(offset, sequence + 1);
        for (let t = 0; t < sequence; t++) {
          ids[row * sequence + t] = tokens[t];
          targets[row * sequence + t] = tokens[t + 1];
        }
      }
      return { ids, targets };
    },
  };
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
