/** @file Which pair merges next: the counts of all pairs, and a heap of them, commonest first. */
import type { MergeNeighbours } from "./merged-text.js";
import { copied, type PairTable } from "./pair-table.js";
import type { TokenTable } from "./token-table.js";

/** Which of several pairs of equal count merges first. */
export type TieRule =
  /** The pair of smallest ids, left before right: the rule of Hugging Face's trainer. */
  | "id"
  /** The pair of lexicographically greatest byte strings, left before right. */
  | "bytes";

/**
 * Pairs that are rarer than `floor` when their newer token is made are left out, for counts only fall afterwards. That is so
 * because a token's text has one history. Take any place of a text T that in the end is one token: until then no merge reached
 * over its borders, so that what was merged inside, from left to right, is what would have been merged in T alone. All tokens
 * T thus come from the same last pair in the same step, and all places of a pair from the step that makes its newer token.
 */
export class PairQueue {
  readonly #pairs: PairTable;
  readonly #floor: number;
  readonly #tokens: TokenTable;
  readonly #tie: TieRule;
  /**
   * Binary heap of pairs, commonest first, of those alone that occur at least #least times: millions of rare pairs need not
   * be in it. A count that has fallen since is mended when its pair comes up.
   */
  #heapPairs = new Int32Array(1 << 16);
  #heapCounts = new Float64Array(1 << 16);
  #heapSize = 0;
  #least = Number.POSITIVE_INFINITY;

  /**
   * @param pairs all that occur at least `floor` times
   * @param floor at least 1
   */
  constructor(pairs: PairTable, floor: number, tokens: TokenTable, tie: TieRule) {
    this.#pairs = pairs;
    this.#floor = floor;
    this.#tokens = tokens;
    this.#tie = tie;
  }

  /** Takes out the pair to merge next; −1 if none is left that occurs at least `floor` times. */
  take(): number {
    while (this.#heapSize > 0 || this.#refill()) {
      const { counts } = this.#pairs;
      const pair = this.#heapPairs[0];
      const count = counts[pair];
      if (count < this.#least) this.#replaceTop(-1, 0);
      else if (count !== this.#heapCounts[0]) this.#replaceTop(pair, count);
      else {
        counts[pair] = 0;
        return pair;
      }
    }
    return -1;
  }

  /**
   * Takes from pairs and gives to new ones what a merge of `left` and `right` to `token` did, as its neighbours tell; writes the
   * numbers of the new pairs into `numbers`, or −1 for those that are too rare.
   */
  count(left: number, right: number, token: number, { size, ids, times, numbers }: MergeNeighbours): void {
    const pairs = this.#pairs;
    const known = pairs.size;
    // Gains before losses: what is between two neighbouring places is gained by the first and lost to the second.
    for (let i = 0; i < size; i++) {
      const id = ids[i];
      numbers[i] = times[i] < this.#floor ? -1 : id >= 0 ? pairs.number(id, token) : pairs.number(token, ~id);
      if (numbers[i] >= 0) pairs.counts[numbers[i]] = times[i];
    }
    for (let i = 0; i < size; i++) {
      const id = ids[i];
      const loser = id >= 0 ? pairs.find(id, left) : pairs.find(right, ~id);
      if (loser >= 0) pairs.counts[loser] -= times[i];
    }
    for (let pair = known; pair < pairs.size; pair++) this.#pushCounted(pair);
  }

  #pushCounted(pair: number): void {
    if (this.#pairs.counts[pair] >= this.#least) this.#push(pair, this.#pairs.counts[pair]);
  }

  /** Fills the empty heap with the commonest pairs; false if all are too rare. */
  #refill(): boolean {
    const { counts, size } = this.#pairs;
    let most = 0;
    for (let pair = 0; pair < size; pair++) if (counts[pair] > most) most = counts[pair];
    if (most < this.#floor) return false;
    this.#least = Math.max(this.#floor, most / 4);
    for (let pair = 0; pair < size; pair++) this.#pushCounted(pair);
    return true;
  }

  /** True if pair a, of count m, merges before pair b, of count n. */
  #precedes(a: number, m: number, b: number, n: number): boolean {
    if (m !== n) return m > n;
    const { keys } = this.#pairs;
    const left = keys[a * 2];
    const right = keys[a * 2 + 1];
    const otherLeft = keys[b * 2];
    const otherRight = keys[b * 2 + 1];
    if (this.#tie === "id") return left !== otherLeft ? left < otherLeft : right < otherRight;
    const order = this.#compareBytes(left, otherLeft);
    return order !== 0 ? order > 0 : this.#compareBytes(right, otherRight) > 0;
  }

  #compareBytes(a: number, b: number): number {
    if (a === b) return 0;
    const { bytes, starts, lengths } = this.#tokens;
    const shorter = Math.min(lengths[a], lengths[b]);
    for (let i = 0; i < shorter; i++) {
      const difference = bytes[starts[a] + i] - bytes[starts[b] + i];
      if (difference !== 0) return difference;
    }
    return lengths[a] - lengths[b];
  }

  #push(pair: number, count: number): void {
    if (this.#heapSize === this.#heapPairs.length) {
      this.#heapPairs = copied(this.#heapPairs, new Int32Array(this.#heapSize * 2));
      this.#heapCounts = copied(this.#heapCounts, new Float64Array(this.#heapSize * 2));
    }
    const heapPairs = this.#heapPairs;
    const heapCounts = this.#heapCounts;
    let at = this.#heapSize++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#precedes(pair, count, heapPairs[parent], heapCounts[parent])) break;
      heapPairs[at] = heapPairs[parent];
      heapCounts[at] = heapCounts[parent];
      at = parent;
    }
    heapPairs[at] = pair;
    heapCounts[at] = count;
  }

  /** Puts a pair in the place of the first and lets it sink; a negative one removes the first. */
  #replaceTop(pair: number, count: number): void {
    const heapPairs = this.#heapPairs;
    const heapCounts = this.#heapCounts;
    if (pair < 0) {
      this.#heapSize--;
      pair = heapPairs[this.#heapSize];
      count = heapCounts[this.#heapSize];
    }
    const size = this.#heapSize;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= size) break;
      if (
        child + 1 < size &&
        this.#precedes(heapPairs[child + 1], heapCounts[child + 1], heapPairs[child], heapCounts[child])
      ) {
        child++;
      }
      if (!this.#precedes(heapPairs[child], heapCounts[child], pair, count)) break;
      heapPairs[at] = heapPairs[child];
      heapCounts[at] = heapCounts[child];
      at = child;
    }
    heapPairs[at] = pair;
    heapCounts[at] = count;
  }
}
