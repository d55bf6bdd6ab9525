/**
 * @file Learning merges from counted pretokens (Sennrich et al. 2016): again and again the commonest pair of neighbours
 * becomes a token. One part makes the merges in the text, another counts the pairs from the neighbours that it tells; the
 * loops of both are in kernel.c.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { OnProgress } from "../../progress.js";
import type { TokenTable } from "../token-table.js";
import { MergedText } from "./merged-text.js";
import { PairQueue, type TieRule } from "./pair-queue.js";
import type { PretokenCounts } from "./pretoken-counts.js";

export interface LearnOptions {
  /** Stop when the vocabulary has so many tokens. */
  readonly vocabSize: number;
  /** Stop when the commonest pair is rarer than this. */
  readonly minFrequency: number;
  readonly tie: TieRule;
  /** Places of counted pairs that are listed in one go over the text; fewer take less memory and more goes. */
  readonly gathered?: number;
  /** How often a pair must occur to be looked at at first; by default a guess at what will be too rare to merge. */
  readonly floor?: number;
  /** Pairs that are counted in one go over the text. */
  readonly counted?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Merges in the order in which they were learned, by id. */
export interface LearnedMerges {
  readonly left: number[];
  readonly right: number[];
  readonly merged: number[];
}

/** Places of counted pairs that are listed in one go over the text, unless the caller says otherwise. */
const GATHERED = 1 << 25;
/** Pairs that are counted in one go over the text, unless the caller says otherwise. */
const COUNTED = 1 << 22;
/** A pair is guessed to be too rare where a token has this many times as many bytes of the text to itself. */
const RARE = 256;
/** Should the guess be wrong, pairs of so many times fewer occurrences are looked at next. */
const LOWERED = 16;
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
  const { vocabSize, minFrequency, tie, gathered = GATHERED, counted = COUNTED, signal, onProgress } = options;
  const lengths = new Uint32Array(vocabSize);
  lengths.set(tokens.lengths.subarray(0, tokens.size));
  const text = new MergedText(words, byteIds, lengths, gathered);
  const slots = words.starts[words.size] + words.size;
  const lowest = Math.max(1, Math.ceil(minFrequency));
  let floor = Math.max(lowest, options.floor ?? Math.floor(bytesOf(words) / vocabSize / RARE));
  // The slots say it all from here on.
  words.bytes = new Uint8Array(0);
  words.starts = new Float64Array(0);
  words.counts = new Float64Array(0);
  collectGarbage();
  const merges: LearnedMerges = { left: [], right: [], merged: [] };
  const first = tokens.size;
  const report = (): void =>
    onProgress?.({ task: "learn merges", done: tokens.size - first, total: vocabSize - first, unit: "merge" });
  report();
  let turn = performance.now();
  for (;;) {
    const pairs = text.count(floor, Math.ceil(Math.min(slots, tokens.size ** 2) / counted));
    const queue = new PairQueue(pairs, floor, tokens, tie, vocabSize * 2);
    while (tokens.size < vocabSize) {
      if (performance.now() - turn > TURN) {
        report();
        await new Promise<void>((resolve) => setTimeout(resolve, 0));
        signal?.throwIfAborted();
        turn = performance.now();
      }
      const pair = queue.take();
      if (pair < 0) break;
      const left = queue.leftOf(pair);
      const right = queue.rightOf(pair);
      const merged = tokenOf(tokens, left, right);
      text.merge(pair, left, right, merged);
      queue.count(left, right, merged, text.neighbours);
      text.list(merged);
      merges.left.push(left);
      merges.right.push(right);
      merges.merged.push(merged);
    }
    if (tokens.size >= vocabSize || floor === lowest) break;
    floor = Math.max(lowest, Math.floor(floor / LOWERED));
  }
  report();
  return merges;
}

/** At once: learning makes so little garbage that a gigabyte of counted pretokens would stay until its end. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

/** Bytes of the text that was counted. */
function bytesOf({ starts, counts, size }: PretokenCounts): number {
  let bytes = 0;
  for (let word = 0; word < size; word++) bytes += (starts[word + 1] - starts[word]) * counts[word];
  return bytes;
}

/** The token of two joined: a new one, unless a special token has this very text. */
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
