/** @file Which pair merges next: the counts of all pairs, and a heap of them, commonest first. */
import type { MergeNeighbours } from "./merged-text.js";
import { copied, PairTable } from "./pair-table.js";
import type { TokenTable } from "./token-table.js";

/** Which of several pairs of equal count merges first. */
export type TieRule =
  /** The pair of smallest ids, left before right: the rule of Hugging Face's trainer. */
  | "id"
  /** The pair of lexicographically greatest byte strings, left before right. */
  | "bytes";

export class PairQueue {
  readonly pairs = new PairTable();
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

  constructor(tokens: TokenTable, tie: TieRule) {
    this.#tokens = tokens;
    this.#tie = tie;
  }

  /** Takes up a pair that has none of its tokens from a merge. */
  add(left: number, right: number, count: number): void {
    const pair = this.pairs.number(left, right);
    this.pairs.counts[pair] = count;
    this.#pushCounted(pair);
  }

  /** The pair to merge next, or −1 if none is left that occurs often enough; it is marked as merged. */
  take(minFrequency: number): number {
    while (this.#heapSize > 0 || this.#refill()) {
      const { counts, merged } = this.pairs;
      const pair = this.#heapPairs[0];
      const count = counts[pair];
      if (count < this.#least || merged[pair] === 1) this.#replaceTop(-1, 0);
      else if (count !== this.#heapCounts[0]) this.#replaceTop(pair, count);
      else if (count < minFrequency) return -1;
      else {
        merged[pair] = 1;
        return pair;
      }
    }
    return -1;
  }

  /**
   * Takes from pairs and gives to others what a merge of `left` and `right` to `token` did, as its neighbours tell; writes the
   * numbers of the pairs that gain into `numbers`.
   */
  count(left: number, right: number, token: number, { size, ids, times, numbers }: MergeNeighbours): void {
    const { pairs } = this;
    const known = pairs.size;
    for (let i = 0; i < size; i++) {
      const id = ids[i];
      const loses = id >= 0 ? pairs.number(id, left) : pairs.number(right, ~id);
      const gains = id >= 0 ? pairs.number(id, token) : pairs.number(token, ~id);
      pairs.counts[loses] -= times[i];
      pairs.counts[gains] += times[i];
      numbers[i] = gains;
      // As in Hugging Face's trainer, a pair that has merged and occurs again may merge again.
      pairs.merged[gains] = 0;
    }
    // A token that was there already gives more to pairs that were there too.
    for (let i = 0; i < size; i++) if (numbers[i] < known) this.#pushCounted(numbers[i]);
    for (let pair = known; pair < pairs.size; pair++) this.#pushCounted(pair);
  }

  #pushCounted(pair: number): void {
    if (this.pairs.counts[pair] >= this.#least) this.#push(pair, this.pairs.counts[pair]);
  }

  /** Fills the empty heap with the commonest pairs that have not merged; false if there are none. */
  #refill(): boolean {
    const { counts, merged, size } = this.pairs;
    let most = 0;
    for (let pair = 0; pair < size; pair++) if (merged[pair] === 0 && counts[pair] > most) most = counts[pair];
    if (most < 1) return false;
    this.#least = Math.max(1, most / 4);
    for (let pair = 0; pair < size; pair++) if (merged[pair] === 0) this.#pushCounted(pair);
    return true;
  }

  /** True if pair a, of count m, merges before pair b, of count n. */
  #precedes(a: number, m: number, b: number, n: number): boolean {
    if (m !== n) return m > n;
    const { keys } = this.pairs;
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
