/**
 * @file Which pairs merge next: the counts of all pairs, and a heap of them, commonest first, in kernel.c.
 *
 * Pairs that are rarer than `floor` when their newer token is made are left out, for counts only fall afterwards. That is so
 * because a token's text has one history. Take any place of a text T that in the end is one token: until then no merge reached
 * over its borders, so that what was merged inside, from left to right, is what would have been merged in T alone. All tokens
 * T thus come from the same last pair in the same step, and all places of a pair from the step that makes its newer token.
 */
import { QuernError } from "../../errors.js";
import { instantiateKernel, kernelMemory } from "../../kernel.js";
import type { TokenTable } from "../token-table.js";
import type { FoundPairs, MergeNeighbours } from "./merged-text.js";

/** Which of several pairs of equal count merges first. */
export type TieRule =
  /** The pair of smallest ids, left before right: the rule of Hugging Face's trainer. */
  | "id"
  /** The pair of lexicographically greatest byte strings, left before right. */
  | "bytes";

interface QueueKernel {
  reserve(bytes: number): number;
  open_queue(floor: number, byBytes: number): void;
  set_pair(left: number, right: number, count: number): number;
  take(): number;
  left_of(pair: number): number;
  right_of(pair: number): number;
  count_merge(left: number, right: number, token: number, ids: number, times: number, ...rest: Written): void;
}
type Written = readonly [numbers: number, size: number];

export class PairQueue {
  readonly #kernel: QueueKernel;
  /** Copies of what a merge tells, where the kernel reads it. */
  readonly #ids: Int32Array;
  readonly #times: Float64Array;
  readonly #numbers: Int32Array;

  /**
   * @param pairs all that occur at least `floor` times, to be numbered in this order
   * @param floor at least 1
   * @param neighbours that a merge can have
   */
  constructor({ keys, counts }: FoundPairs, floor: number, tokens: TokenTable, tie: TieRule, neighbours: number) {
    const memory = kernelMemory();
    const kernel = instantiateKernel<QueueKernel>(new URL("kernel.wasm", import.meta.url), memory, {
      full: () => {
        throw new QuernError("there are too many pairs of tokens to count: ask for a smaller vocabulary");
      },
      compare: (a: number, b: number) => compareBytes(tokens, a, b),
      list_count: () => {},
      listed_count: () => 0,
    });
    const [ids, times, numbers] = [4, 8, 4].map((width) => kernel.reserve(neighbours * width) >>> 0);
    this.#kernel = kernel;
    this.#ids = new Int32Array(memory.buffer, ids, neighbours);
    this.#times = new Float64Array(memory.buffer, times, neighbours);
    this.#numbers = new Int32Array(memory.buffer, numbers, neighbours);
    kernel.open_queue(floor, tie === "bytes" ? 1 : 0);
    for (let i = 0; i < counts.length; i++) kernel.set_pair(keys[i * 2], keys[i * 2 + 1], counts[i]);
  }

  /** Takes out the pair to merge next; −1 if none is left that occurs at least `floor` times. */
  take(): number {
    return this.#kernel.take();
  }

  leftOf(pair: number): number {
    return this.#kernel.left_of(pair);
  }

  rightOf(pair: number): number {
    return this.#kernel.right_of(pair);
  }

  /**
   * Takes from pairs and gives to new ones what a merge of `left` and `right` to `token` did, as its neighbours tell; writes the
   * numbers of the new pairs into `numbers`, or −1 for those that are too rare.
   */
  count(left: number, right: number, token: number, { size, ids, times, numbers }: MergeNeighbours): void {
    for (let i = 0; i < size; i++) {
      this.#ids[i] = ids[i];
      this.#times[i] = times[i];
    }
    const at = [this.#ids.byteOffset, this.#times.byteOffset, this.#numbers.byteOffset] as const;
    this.#kernel.count_merge(left, right, token, at[0], at[1], at[2], size);
    for (let i = 0; i < size; i++) numbers[i] = this.#numbers[i];
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
