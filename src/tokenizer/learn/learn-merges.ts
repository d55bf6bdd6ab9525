/**
 * @file Learns merges from counted pretokens (Sennrich et al. 2016): the most frequent adjacent pair becomes a token, repeatedly.
 * `MergedText` applies merges to the text; `PairQueue` updates the pair counts from the neighbours of each merge. The loops of
 * both are in kernel.c.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { OnProgress } from "../../progress.js";
import type { TokenTable } from "../token-table.js";
import { MergedText } from "./merged-text.js";
import { PairQueue, type TieRule } from "./pair-queue.js";
import type { PretokenCounts } from "./pretoken-counts.js";

export interface LearnOptions {
  /** Learning stops when the vocabulary has this many tokens. */
  readonly vocabSize: number;
  /** Learning stops when the most frequent pair is rarer than this. */
  readonly minFrequency: number;
  readonly tie: TieRule;
  /** Occurrences that one pass over the text lists; a smaller number takes less memory and more passes. Default 2^25. */
  readonly occurrencesPerPass?: number;
  /** Pairs rarer than this are ignored at first; default an estimate of the count below which pairs are never merged. */
  readonly floor?: number;
  /** Pairs that one pass over the text counts; default 2^22. */
  readonly pairsPerPass?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** M merges in the order in which they were learned: token ids, each (M). */
export interface LearnedMerges {
  readonly left: number[];
  readonly right: number[];
  readonly merged: number[];
}

const OCCURRENCES_PER_PASS = 1 << 25;
const PAIRS_PER_PASS = 1 << 22;
/** The first floor is the text's bytes per token of the vocabulary, divided by this. */
const FLOOR_DIVISOR = 256;
/** If too few pairs reach the floor, it is divided by this. */
const FLOOR_STEP = 16;
/** Milliseconds between two yields to the event loop. */
const YIELD_MS = 60;

/**
 * Learns merges and adds their tokens to `tokens`, which already contains the alphabet (and special tokens). Empties `words` to
 * free its memory, which may be hundreds of megabytes.
 * @param byteIds the id of each byte's token
 * @throws the signal's reason when it aborts
 */
export async function learnMerges(
  words: PretokenCounts,
  tokens: TokenTable,
  byteIds: Int32Array,
  options: LearnOptions,
): Promise<LearnedMerges> {
  const { vocabSize, minFrequency, tie, signal, onProgress } = options;
  const { occurrencesPerPass = OCCURRENCES_PER_PASS, pairsPerPass = PAIRS_PER_PASS } = options;
  const lengths = new Uint32Array(vocabSize);
  lengths.set(tokens.lengths.subarray(0, tokens.size));
  const text = new MergedText(words, byteIds, lengths, occurrencesPerPass);
  const slots = words.starts[words.size] + words.size;
  const lowest = Math.max(1, Math.ceil(minFrequency));
  let floor = Math.max(lowest, options.floor ?? Math.floor(bytesOf(words) / vocabSize / FLOOR_DIVISOR));
  // MergedText has copied the pretokens into its slots.
  words.bytes = new Uint8Array(0);
  words.starts = new Float64Array(0);
  words.counts = new Float64Array(0);
  collectGarbage();
  const merges: LearnedMerges = { left: [], right: [], merged: [] };
  const first = tokens.size;
  const report = (): void =>
    onProgress?.({ task: "learn merges", done: tokens.size - first, total: vocabSize - first, unit: "merge" });
  report();
  let lastYield = performance.now();
  for (;;) {
    const pairs = text.count(floor, Math.ceil(Math.min(slots, tokens.size ** 2) / pairsPerPass));
    const queue = new PairQueue(pairs, floor, tokens, tie, vocabSize * 2);
    while (tokens.size < vocabSize) {
      if (performance.now() - lastYield > YIELD_MS) {
        report();
        await new Promise<void>((resolve) => setTimeout(resolve, 0));
        signal?.throwIfAborted();
        lastYield = performance.now();
      }
      const pair = queue.take();
      if (pair < 0) break;
      const left = queue.leftOf(pair);
      const right = queue.rightOf(pair);
      const merged = tokenOf(tokens, left, right);
      text.merge(pair, left, right, merged);
      queue.update(left, right, merged, text.neighbours);
      text.list(merged);
      merges.left.push(left);
      merges.right.push(right);
      merges.merged.push(merged);
    }
    if (tokens.size >= vocabSize || floor === lowest) break;
    floor = Math.max(lowest, Math.floor(floor / FLOOR_STEP));
  }
  report();
  return merges;
}

/** Collects garbage now: learning allocates so little that a gigabyte of counted pretokens would otherwise stay until its end. */
function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
}

/** UTF-8 bytes of the counted text. */
function bytesOf({ starts, counts, size }: PretokenCounts): number {
  let bytes = 0;
  for (let word = 0; word < size; word++) bytes += (starts[word + 1] - starts[word]) * counts[word];
  return bytes;
}

/** Returns the token that joins two others: a new one, unless a special token has exactly this text. */
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
