/**
 * @file The queue of pairs to merge: the counts of all pairs, and a heap with the most frequent first, in kernel.c.
 *
 * Pairs that are rarer than `floor` when their newer token is created are left out, because their counts can only fall
 * afterwards. Proof: take an occurrence of text T that ends up as one token. Until then no merge crossed its borders, so the
 * merges inside it are those of T alone. Every token T is thus created from the same last pair in the same step. All
 * occurrences of a pair appear in the step that creates its newer token.
 */
import { QuernError } from "../../errors.js";
import { instantiateKernel, kernelMemory } from "../../kernel.js";
import type { TokenTable } from "../token-table.js";
import type { MergeNeighbours, PairCounts } from "./merged-text.js";

/** Which of several pairs with equal counts merges first. */
export type TieRule =
  /** The pair with the smallest ids, left compared before right: the rule of Hugging Face's trainer. */
  | "id"
  /** The pair with the lexicographically greatest byte strings, left compared before right. */
  | "bytes";

interface QueueKernel {
  reserve(bytes: number): number;
  begin_queue(floor: number, byBytes: number): void;
  set_pair(left: number, right: number, count: number): number;
  take_pair(): number;
  left_of(pair: number): number;
  right_of(pair: number): number;
  update_counts(left: number, right: number, token: number, ids: number, gained: number, ...rest: Written): void;
}
type Written = readonly [pairs: number, size: number];

export class PairQueue {
  readonly #kernel: QueueKernel;
  /** Copies of a merge's neighbours in the kernel's memory. */
  readonly #ids: Int32Array;
  readonly #counts: Float64Array;
  readonly #pairs: Int32Array;

  /**
   * @param pairs all pairs that occur at least `floor` times; the order determines their indices
   * @param floor at least 1
   * @param neighbours maximum number of neighbours of a merge
   */
  constructor({ keys, counts }: PairCounts, floor: number, tokens: TokenTable, tie: TieRule, neighbours: number) {
    const memory = kernelMemory();
    const kernel = instantiateKernel<QueueKernel>(new URL("kernel.wasm", import.meta.url), memory, {
      full: () => {
        throw new QuernError(
          "the text has too many pairs of tokens to count in 4 GB of memory; choose a smaller vocabulary",
        );
      },
      compare: (a: number, b: number) => compareBytes(tokens, a, b),
      store_count: () => {},
      stored_count: () => 0,
    });
    const [ids, gained, pairs] = [4, 8, 4].map((width) => kernel.reserve(neighbours * width) >>> 0);
    this.#kernel = kernel;
    this.#ids = new Int32Array(memory.buffer, ids, neighbours);
    this.#counts = new Float64Array(memory.buffer, gained, neighbours);
    this.#pairs = new Int32Array(memory.buffer, pairs, neighbours);
    kernel.begin_queue(floor, tie === "bytes" ? 1 : 0);
    for (let i = 0; i < counts.length; i++) kernel.set_pair(keys[i * 2], keys[i * 2 + 1], counts[i]);
  }

  /** Removes and returns the pair to merge next, or −1 if none occurs at least `floor` times. */
  take(): number {
    return this.#kernel.take_pair();
  }

  leftOf(pair: number): number {
    return this.#kernel.left_of(pair);
  }

  rightOf(pair: number): number {
    return this.#kernel.right_of(pair);
  }

  /**
   * Updates the counts after `left` and `right` were merged into `token`. Writes the index of each new pair to
   * `neighbours.pairs`, or −1 if it is too rare.
   */
  update(left: number, right: number, token: number, { size, ids, counts, pairs }: MergeNeighbours): void {
    for (let i = 0; i < size; i++) {
      this.#ids[i] = ids[i];
      this.#counts[i] = counts[i];
    }
    const at = [this.#ids.byteOffset, this.#counts.byteOffset, this.#pairs.byteOffset] as const;
    this.#kernel.update_counts(left, right, token, at[0], at[1], at[2], size);
    for (let i = 0; i < size; i++) pairs[i] = this.#pairs[i];
  }
}

function compareBytes({ bytes, starts, lengths }: TokenTable, a: number, b: number): number {
  const shorter = Math.min(lengths[a], lengths[b]);
  for (let i = 0; i < shorter; i++) {
    const difference = bytes[starts[a] + i] - bytes[starts[b] + i];
    if (difference !== 0) return difference;
  }
  return lengths[a] - lengths[b];
}
