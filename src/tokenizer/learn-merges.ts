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
/** A pretoken that is longer keeps its count in a list: the walk back to its border would be too long. */
const LONGEST_WALK = 200;
/** For a pair that has merged, in place of its list. */
const MERGED = -2;
/** Slots of a block of the index from slot to pretoken. */
const BLOCK = 64;
/** Milliseconds after which other work of the process has a turn. */
const TURN = 60;

/**
 * Learns merges and adds their tokens to `tokens`, which holds the alphabet (and special tokens) already.
 * @param byteIds the id of each byte's token
 * @throws the signal's reason when it aborts
 */
export async function learnMerges(
  words: PretokenCounts,
  tokens: TokenTable,
  byteIds: Int32Array,
  options: LearnOptions,
): Promise<LearnedMerges> {
  const state = new MergeState(words, tokens, byteIds, options.tie);
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

/** Pairs by number: their tokens, counts, and lists of occurrences. */
class Pairs {
  size = 0;
  /** Left and right token of each pair, one after the other. */
  keys = new Int32Array(1 << 17);
  counts = new Float64Array(1 << 16);
  /** Last segment of the list of occurrences, −1 for none. */
  lists = new Int32Array(1 << 16);
  /** Pair + 1, or 0. */
  #slots = new Int32Array(1 << 18);

  /** The number of a pair, new or known. */
  number(left: number, right: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = pairHash(left, right) & mask;
    for (;;) {
      const pair = slots[slot] - 1;
      if (pair < 0) break;
      if (this.keys[pair * 2] === left && this.keys[pair * 2 + 1] === right) return pair;
      slot = (slot + 1) & mask;
    }
    const pair = this.size++;
    slots[slot] = pair + 1;
    if (pair >= this.counts.length) {
      const room = this.counts.length * 2;
      this.keys = copied(this.keys, new Int32Array(room * 2));
      this.counts = copied(this.counts, new Float64Array(room));
      this.lists = copied(this.lists, new Int32Array(room));
    }
    this.keys[pair * 2] = left;
    this.keys[pair * 2 + 1] = right;
    this.lists[pair] = -1;
    if (this.size * 2 > slots.length) this.#rehash();
    return pair;
  }

  #rehash(): void {
    const slots = new Int32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let pair = 0; pair < this.size; pair++) {
      let slot = pairHash(this.keys[pair * 2], this.keys[pair * 2 + 1]) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = pair + 1;
    }
    this.#slots = slots;
  }
}

class MergeState {
  readonly pairs = new Pairs();
  readonly #tokens: TokenTable;
  readonly #tie: TieRule;
  /** Pretokens one after the other, a slot a byte, each behind a border; one more border ends the last. */
  readonly #slots: Int32Array<ArrayBuffer>;
  readonly #words: PretokenCounts;
  /** The pretoken at the first slot of every block, from which that of any slot is a few steps away. */
  readonly #blocks: Int32Array<ArrayBuffer>;

  /** Occurrences of pairs, in segments: its start and end, and the segment before it in its pair's list, or −1. */
  #occurrences = new Uint32Array(0);
  #occurrencesUsed = 0;
  #segmentStarts = new Float64Array(1 << 16);
  #segmentEnds = new Float64Array(1 << 16);
  #segmentBefore = new Int32Array(1 << 16);
  #segments = 0;

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
  #newByPair = new Float64Array(1 << 16);

  constructor(words: PretokenCounts, tokens: TokenTable, byteIds: Int32Array, tie: TieRule) {
    this.#words = words;
    this.#tokens = tokens;
    this.#tie = tie;
    this.#slots = layOut(words, byteIds);
    this.#blocks = new Int32Array(Math.ceil(this.#slots.length / BLOCK) + 1);
    for (let block = 0, word = 0; block < this.#blocks.length; block++) {
      while (word + 1 < words.size && words.starts[word + 1] + word + 1 <= block * BLOCK) word++;
      this.#blocks[block] = word;
    }
    this.#countBytePairs(byteIds);
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
    const at = this.#takeOccurrences(pair);
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
    this.#fileNew();
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
    // A long pretoken, or a count that a border cannot hold.
    const { starts, counts } = this.#words;
    let word = this.#blocks[Math.floor(slot / BLOCK)];
    while (starts[word + 1] + word + 1 <= slot) word++;
    return counts[word];
  }

  #countBytePairs(byteIds: Int32Array): void {
    const { bytes, starts, counts, size } = this.#words;
    const times = new Float64Array(65536);
    const occurrences = new Float64Array(65537);
    for (let word = 0; word < size; word++) {
      const end = starts[word + 1];
      for (let i = starts[word] + 1; i < end; i++) {
        const key = (bytes[i - 1] << 8) | bytes[i];
        times[key] += counts[word];
        occurrences[key + 1]++;
      }
    }
    for (let key = 0; key < 65536; key++) occurrences[key + 1] += occurrences[key];
    this.#occurrencesUsed = occurrences[65536];
    this.#occurrences = new Uint32Array(Math.max(1 << 12, Math.ceil(this.#occurrencesUsed * 1.25)));
    for (let key = 0; key < 65536; key++) {
      if (times[key] === 0) continue;
      const pair = this.pairs.number(byteIds[key >> 8], byteIds[key & 255]);
      this.pairs.counts[pair] = times[key];
      this.#addSegment(pair, occurrences[key], occurrences[key + 1]);
      this.#push(pair, times[key]);
    }
    for (let word = 0; word < size; word++) {
      const end = starts[word + 1];
      for (let i = starts[word] + 1; i < end; i++) {
        // Byte i of the arena lies behind word + 1 borders.
        this.#occurrences[occurrences[(bytes[i - 1] << 8) | bytes[i]]++] = i + word;
      }
    }
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

  /** Files the occurrences that a merge has made under their pairs, and puts the pairs on the heap. */
  #fileNew(): void {
    const count = this.#newCount;
    if (this.#occurrencesUsed + count > this.#occurrences.length) {
      const room = Math.max(Math.ceil(this.#occurrences.length * 1.3), this.#occurrencesUsed + count);
      this.#occurrences = copied(this.#occurrences, new Uint32Array(room));
    }
    if (this.#newByPair.length < this.pairs.counts.length) {
      this.#newByPair = new Float64Array(this.pairs.counts.length);
    }
    // A counting sort: how many each pair has, then −1 − the place of its next, then 0 again.
    const places = this.#newByPair;
    const newPairs = this.#newPairs;
    for (let k = 0; k < count; k++) places[newPairs[k]]++;
    for (let k = 0; k < count; k++) {
      const pair = newPairs[k];
      if (places[pair] > 0) {
        const start = this.#occurrencesUsed;
        this.#occurrencesUsed += places[pair];
        this.#addSegment(pair, start, this.#occurrencesUsed);
        if (this.pairs.counts[pair] > 0) this.#push(pair, this.pairs.counts[pair]);
        places[pair] = -1 - start;
      }
      this.#occurrences[-1 - places[pair]--] = this.#newSlots[k];
    }
    for (let k = 0; k < count; k++) places[newPairs[k]] = 0;
  }

  #addSegment(pair: number, start: number, end: number): void {
    const segment = this.#segments++;
    if (segment === this.#segmentStarts.length) {
      this.#segmentStarts = copied(this.#segmentStarts, new Float64Array(segment * 2));
      this.#segmentEnds = copied(this.#segmentEnds, new Float64Array(segment * 2));
      this.#segmentBefore = copied(this.#segmentBefore, new Int32Array(segment * 2));
    }
    this.#segmentStarts[segment] = start;
    this.#segmentEnds[segment] = end;
    this.#segmentBefore[segment] = this.pairs.lists[pair];
    this.pairs.lists[pair] = segment;
  }

  /** The slots where a pair may occur, ascending. The pair is marked as merged. */
  #takeOccurrences(pair: number): Uint32Array {
    const segment = this.pairs.lists[pair];
    this.pairs.lists[pair] = MERGED;
    const last = this.#occurrences.subarray(this.#segmentStarts[segment], this.#segmentEnds[segment]);
    if (this.#segmentBefore[segment] < 0) return last;
    const all: number[] = [];
    for (let s = segment; s >= 0; s = this.#segmentBefore[s]) {
      for (let i = this.#segmentStarts[s]; i < this.#segmentEnds[s]; i++) all.push(this.#occurrences[i]);
    }
    return Uint32Array.from(all).sort();
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

function copied<T extends Int32Array | Uint32Array | Float64Array>(old: T, fresh: T): T {
  fresh.set(old);
  return fresh;
}

function pairHash(left: number, right: number): number {
  let hash = Math.imul(left, 0x9e3779b1 | 0) ^ Math.imul(right, 0x85ebca6b | 0);
  hash = Math.imul(hash ^ (hash >>> 16), 0x7feb352d);
  return hash ^ (hash >>> 15);
}
