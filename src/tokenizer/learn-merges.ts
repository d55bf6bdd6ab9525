/**
 * @file Learning merges from counted pretokens (Sennrich et al. 2016): again and again the commonest pair of neighbours
 * becomes a token. Counts are kept up to date as merges are made; no pretoken is looked at unless the pair is in it.
 *
 * Layout: the pretokens lie in one array, a slot a byte, each behind a border that holds its count. A token of n bytes at slot p has its id
 * in p and, if n > 1, the complement of its id in p + n − 1. So both neighbours of a token are found without links, and an
 * occurrence of a pair is one number, its slot. Lists of occurrences are not corrected when a merge destroys some; an
 * occurrence is checked when its list is used.
 */
import type { OnProgress } from "../progress.js";
import { MERGED, OccurrenceLists } from "./occurrence-lists.js";
import { copied, PairTable, UNLISTED } from "./pair-table.js";
import type { PretokenCounts } from "./pretoken-counts.js";
import type { TokenTable } from "./token-table.js";

/** Which of several pairs of equal count merges first. */
export type TieRule =
  /** The pair of smallest ids, left before right: the rule of Hugging Face's trainer. */
  | "id"
  /** The pair of lexicographically greatest byte strings, left before right. */
  | "bytes";

export interface LearnOptions {
  /** Stop when the vocabulary has so many tokens. */
  readonly vocabSize: number;
  /** Stop when the commonest pair is rarer than this. */
  readonly minFrequency: number;
  readonly tie: TieRule;
  /** Occurrences of pairs of bytes that are gathered in one go over the text; fewer take less memory and more passes. */
  readonly gathered?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Merges in the order in which they were learned, by id. */
export interface LearnedMerges {
  readonly left: number[];
  readonly right: number[];
  readonly merged: number[];
}

/** Before each pretoken, and behind the last: BORDER + its count, at most LAST_BORDER. No id or complement is so small. */
const BORDER = -0x80000000;
const LAST_BORDER = -0x40000000;
/** In a token of three bytes or more, between its two ends. */
const INSIDE = LAST_BORDER + 1;
/** A pretoken of more bytes has its count in a list: the walk back to its border would be too long. */
const LONGEST_WALK = 200;
/** Occurrences of pairs of bytes that are gathered in one go over the text, unless the caller says otherwise. */
const GATHERED = 1 << 25;
/** Milliseconds after which other work of the process has a turn. */
const TURN = 60;

/**
 * Learns merges and adds their tokens to `tokens`, which holds the alphabet (and special tokens) already. The pretokens and
 * their counts are given up, since they may be hundreds of megabytes.
 * @param byteIds the id of each byte's token
 * @throws the signal's reason when it aborts
 */
export async function learnMerges(
  words: PretokenCounts,
  tokens: TokenTable,
  byteIds: Int32Array,
  options: LearnOptions,
): Promise<LearnedMerges> {
  const state = new MergeState(words, tokens, byteIds, options.tie, options.gathered ?? GATHERED);
  const merges: LearnedMerges = { left: [], right: [], merged: [] };
  const first = tokens.size;
  const report = (): void =>
    options.onProgress?.({
      task: "learn merges",
      done: tokens.size - first,
      total: options.vocabSize - first,
      unit: "merge",
    });
  report();
  let turn = performance.now();
  while (tokens.size < options.vocabSize) {
    if (performance.now() - turn > TURN) {
      report();
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
      options.signal?.throwIfAborted();
      turn = performance.now();
    }
    const pair = state.commonest(options.minFrequency);
    if (pair < 0) break;
    merges.left.push(state.pairs.keys[pair * 2]);
    merges.right.push(state.pairs.keys[pair * 2 + 1]);
    merges.merged.push(state.merge(pair));
  }
  report();
  return merges;
}

class MergeState {
  readonly pairs = new PairTable();
  readonly #tokens: TokenTable;
  readonly #tie: TieRule;
  readonly #gathered: number;
  /** Pretokens one after the other, a slot a byte, each behind a border; one more border ends the last. */
  readonly #slots: Int32Array<ArrayBuffer>;
  /** Borders of the pretokens that are too long, or too common, to be counted by their border, ascending, and their counts. */
  readonly #listedBorders: number[] = [];
  readonly #listedCounts: number[] = [];

  readonly #occurrences: OccurrenceLists;
  /** By pair of bytes: how often it occurs at the start, each pretoken once; their tokens' ids are these and the next 255. */
  #byteOccurrences = new Float64Array(0);
  readonly #firstByte: number;

  /** Binary heap of pairs, commonest first. A count that has fallen since is mended when its pair comes up. */
  #heapPairs = new Int32Array(1 << 16);
  #heapCounts = new Float64Array(1 << 16);
  #heapSize = 0;

  /**
   * By token, what the merge at hand does to its pair as the neighbour before or after: the merge's stamp, the pair that
   * loses and the pair that gains.
   */
  #before = new Int32Array(3 * 512);
  #after = new Int32Array(3 * 512);
  #stamp = 0;
  /** What the merge at hand makes: pair and slot of each occurrence, and how many each pair has. */
  #newPairs = new Int32Array(1 << 12);
  #newSlots = new Uint32Array(1 << 12);
  #newCount = 0;

  constructor(words: PretokenCounts, tokens: TokenTable, byteIds: Int32Array, tie: TieRule, gathered: number) {
    this.#gathered = gathered;
    this.#tokens = tokens;
    this.#tie = tie;
    this.#slots = layOut(words, byteIds);
    for (let word = 0; word < words.size; word++) {
      const { starts, counts } = words;
      if (starts[word + 1] - starts[word] <= LONGEST_WALK && counts[word] < LAST_BORDER - BORDER) continue;
      this.#listedBorders.push(starts[word] + word);
      this.#listedCounts.push(counts[word]);
    }
    this.#firstByte = byteIds.reduce((least, id) => Math.min(least, id));
    this.#occurrences = new OccurrenceLists(
      this.pairs,
      (pair, slot) => {
        const left = this.pairs.keys[pair * 2];
        return this.#slots[slot] === left && this.#slots[slot + tokens.lengths[left]] === this.pairs.keys[pair * 2 + 1];
      },
      gathered >> 3,
    );
    this.#countBytePairs(words, byteIds);
    // The slots say it all from here on.
    words.bytes = new Uint8Array(0);
    words.starts = new Float64Array(0);
    words.counts = new Float64Array(0);
  }

  /** The pair to merge next, or −1 if none is left that occurs often enough. */
  commonest(minFrequency: number): number {
    const { counts, lists } = this.pairs;
    while (this.#heapSize > 0) {
      const pair = this.#heapPairs[0];
      const count = counts[pair];
      if (count < 1 || lists[pair] === MERGED) this.#replaceTop(-1, 0);
      else if (count !== this.#heapCounts[0]) this.#replaceTop(pair, count);
      else return count < minFrequency ? -1 : pair;
    }
    return -1;
  }

  /** Makes a pair one token wherever it occurs, and returns the token's id. */
  merge(pair: number): number {
    const { pairs } = this;
    const slots = this.#slots;
    const left = pairs.keys[pair * 2];
    const right = pairs.keys[pair * 2 + 1];
    const merged = this.#tokenOf(left, right);
    const { lengths } = this.#tokens;
    const leftLength = lengths[left];
    const rightLength = lengths[right];
    if (pairs.lists[pair] === UNLISTED) this.#gatherBytePairs(pair);
    const at = this.#occurrences.take(pair);
    this.#newCount = 0;
    this.#stamp++;
    for (let k = 0; k < at.length; k++) {
      const start = at[k];
      const middle = start + leftLength;
      if (slots[start] !== left || slots[middle] !== right) continue;
      const end = middle + rightLength;
      const times = this.#countAt(start, lengths);
      slots[middle - 1] = INSIDE;
      slots[middle] = INSIDE;
      slots[end - 1] = ~merged;
      slots[start] = merged;
      const mark = slots[start - 1];
      if (mark > LAST_BORDER) {
        const before = mark >= 0 ? mark : ~mark;
        const memo = this.#neighbour(this.#before, before);
        if (memo[before * 3] !== this.#stamp) {
          memo[before * 3] = this.#stamp;
          memo[before * 3 + 1] = pairs.number(before, left);
          memo[before * 3 + 2] = pairs.number(before, merged);
        }
        pairs.counts[memo[before * 3 + 1]] -= times;
        this.#gain(memo[before * 3 + 2], start - lengths[before], times);
      }
      const after = slots[end];
      if (after > LAST_BORDER) {
        const memo = this.#neighbour(this.#after, after);
        if (memo[after * 3] !== this.#stamp) {
          memo[after * 3] = this.#stamp;
          memo[after * 3 + 1] = pairs.number(right, after);
          memo[after * 3 + 2] = pairs.number(merged, after);
        }
        pairs.counts[memo[after * 3 + 1]] -= times;
        this.#gain(memo[after * 3 + 2], start, times);
      }
    }
    this.#occurrences.add(this.#newPairs, this.#newSlots, this.#newCount, this.#pushCounted);
    return merged;
  }

  /** The memo, with room for a token. */
  #neighbour(memo: Int32Array<ArrayBuffer>, id: number): Int32Array<ArrayBuffer> {
    if (id * 3 + 2 < memo.length) return memo;
    const grown = copied(memo, new Int32Array(Math.max(memo.length * 2, (id + 1) * 3)));
    if (memo === this.#before) this.#before = grown;
    else this.#after = grown;
    return grown;
  }

  /** The token of two joined: a new one, unless a special token has this very text. */
  #tokenOf(left: number, right: number): number {
    const tokens = this.#tokens;
    const leftLength = tokens.lengths[left];
    const joined = new Uint8Array(leftLength + tokens.lengths[right]);
    joined.set(tokens.get(left));
    joined.set(tokens.get(right), leftLength);
    const known = tokens.find(joined, 0, joined.length);
    if (known >= 0) return known;
    const id = tokens.size;
    tokens.add(id, joined, 0, joined.length, true);
    return id;
  }

  /** The count of the pretoken in which a token starts at a slot. */
  #countAt(slot: number, lengths: Uint32Array): number {
    const slots = this.#slots;
    for (let at = slot, steps = 0; steps < LONGEST_WALK; steps++) {
      const mark = slots[at - 1];
      if (mark < LAST_BORDER) return mark - BORDER;
      if (mark === LAST_BORDER) break;
      at -= mark >= 0 ? 1 : lengths[~mark];
    }
    // A long pretoken, or a count that a border cannot hold: the last of the list that begins before the slot.
    const borders = this.#listedBorders;
    let low = 0;
    let high = borders.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (borders[middle] < slot) low = middle;
      else high = middle - 1;
    }
    return this.#listedCounts[low];
  }

  #countBytePairs(words: PretokenCounts, byteIds: Int32Array): void {
    const { bytes, starts, counts, size } = words;
    const times = new Float64Array(65536);
    const occurrences = new Float64Array(65536);
    for (let word = 0; word < size; word++) {
      const end = starts[word + 1];
      for (let i = starts[word] + 1; i < end; i++) {
        const key = (bytes[i - 1] << 8) | bytes[i];
        times[key] += counts[word];
        occurrences[key]++;
      }
    }
    this.#byteOccurrences = new Float64Array(65536);
    for (let key = 0; key < 65536; key++) {
      if (times[key] === 0) continue;
      const pair = this.pairs.number(byteIds[key >> 8], byteIds[key & 255]);
      this.pairs.counts[pair] = times[key];
      this.#byteOccurrences[pair] = occurrences[key];
      this.#push(pair, times[key]);
    }
  }

  /**
   * Lists the occurrences of a pair of bytes and of the commonest others, as many as there is room for: so a huge text is
   * read a few times, and its occurrences are never all in memory.
   */
  #gatherBytePairs(pair: number): void {
    const { pairs } = this;
    const { lengths } = this.#tokens;
    const slots = this.#slots;
    const candidates: number[] = [];
    for (let other = 0; other < 65536 && other < pairs.size; other++) {
      const open = pairs.lists[other] === UNLISTED && pairs.counts[other] > 0 && this.#byteOccurrences[other] > 0;
      if (open && other !== pair) candidates.push(other);
    }
    candidates.sort((a, b) => pairs.counts[b] - pairs.counts[a]);
    const chosen = [pair];
    let room = this.#gathered - this.#byteOccurrences[pair];
    for (const other of candidates) {
      room -= this.#byteOccurrences[other];
      if (room < 0) break;
      chosen.push(other);
    }
    // From the two bytes to the pair.
    const wanted = new Int32Array(65536).fill(-1);
    for (const other of chosen) {
      wanted[((pairs.keys[other * 2] - this.#firstByte) << 8) | (pairs.keys[other * 2 + 1] - this.#firstByte)] = other;
    }
    const first = this.#firstByte;
    this.#occurrences.gather(chosen, this.#byteOccurrences, (found) => {
      for (let at = 0; at + 1 < slots.length; ) {
        const left = slots[at];
        if (left < 0) {
          at++;
          continue;
        }
        const start = at;
        at += lengths[left];
        const right = slots[at];
        if ((left - first) >>> 0 >= 256 || (right - first) >>> 0 >= 256) continue;
        const there = wanted[((left - first) << 8) | (right - first)];
        if (there >= 0) found(there, start);
      }
    });
  }

  #gain(pair: number, slot: number, times: number): void {
    this.pairs.counts[pair] += times;
    if (this.#newCount === this.#newPairs.length) {
      this.#newPairs = copied(this.#newPairs, new Int32Array(this.#newCount * 2));
      this.#newSlots = copied(this.#newSlots, new Uint32Array(this.#newCount * 2));
    }
    this.#newPairs[this.#newCount] = pair;
    this.#newSlots[this.#newCount++] = slot;
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

  readonly #pushCounted = (pair: number): void => {
    if (this.pairs.counts[pair] > 0) this.#push(pair, this.pairs.counts[pair]);
  };

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

function layOut(words: PretokenCounts, byteIds: Int32Array): Int32Array<ArrayBuffer> {
  const { bytes, starts, size } = words;
  const slots = new Int32Array(starts[size] + size + 1);
  let at = 0;
  for (let word = 0; word < size; word++) {
    slots[at++] = BORDER + Math.min(words.counts[word], LAST_BORDER - BORDER);
    for (let i = starts[word]; i < starts[word + 1]; i++) slots[at++] = byteIds[bytes[i]];
  }
  slots[at] = BORDER;
  return slots;
}
