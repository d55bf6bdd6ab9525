/**
 * @file Learning merges from counted pretokens (Sennrich et al. 2016): again and again the commonest pair of neighbours
 * becomes a token. One part makes the merges in the text, another counts the pairs from the neighbours that it tells.
 */
import type { OnProgress } from "../progress.js";
import { type Alphabet, layOut, MergedText } from "./merged-text.js";
import { PairQueue, type TieRule } from "./pair-queue.js";
import type { PretokenCounts } from "./pretoken-counts.js";
import type { TokenTable } from "./token-table.js";

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
  const { vocabSize, minFrequency, tie, gathered = GATHERED, signal, onProgress } = options;
  const queue = new PairQueue(tokens, tie);
  countBytePairs(words, byteIds, queue);
  const { pairs } = queue;
  const text = layOut(words, byteIds);
  // The slots say it all from here on.
  words.bytes = new Uint8Array(0);
  words.starts = new Float64Array(0);
  words.counts = new Float64Array(0);
  const alphabet: Alphabet = {
    lengths: tokens.lengths.slice(0, tokens.size),
    firstByte: byteIds.reduce((least, id) => Math.min(least, id)),
    bytePairs: pairs.keys.slice(0, pairs.size * 2),
    gathered,
  };
  const merges: LearnedMerges = { left: [], right: [], merged: [] };
  const first = tokens.size;
  const report = (): void =>
    onProgress?.({ task: "learn merges", done: tokens.size - first, total: vocabSize - first, unit: "merge" });
  report();
  let turn = performance.now();
  const merging = new MergedText(text, alphabet, pairs, vocabSize);
  while (tokens.size < vocabSize) {
    if (performance.now() - turn > TURN) {
      report();
      await new Promise<void>((resolve) => setTimeout(resolve, 0));
      signal?.throwIfAborted();
      turn = performance.now();
    }
    const pair = queue.take(minFrequency);
    if (pair < 0) break;
    const left = pairs.keys[pair * 2];
    const right = pairs.keys[pair * 2 + 1];
    const merged = tokenOf(tokens, left, right);
    merging.merge(pair, left, right, merged);
    queue.count(left, right, merged, merging.neighbours);
    merging.list();
    merges.left.push(left);
    merges.right.push(right);
    merges.merged.push(merged);
  }
  report();
  return merges;
}

/** The token of two joined: a new one, unless one has this very text already. */
function tokenOf(tokens: TokenTable, left: number, right: number): number {
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

function countBytePairs(words: PretokenCounts, byteIds: Int32Array, queue: PairQueue): void {
  const { bytes, starts, counts, size } = words;
  const times = new Float64Array(65536);
  for (let word = 0; word < size; word++) {
    const end = starts[word + 1];
    for (let i = starts[word] + 1; i < end; i++) times[(bytes[i - 1] << 8) | bytes[i]] += counts[word];
  }
  for (let key = 0; key < 65536; key++) {
    if (times[key] > 0) queue.add(byteIds[key >> 8], byteIds[key & 255], times[key]);
  }
}
