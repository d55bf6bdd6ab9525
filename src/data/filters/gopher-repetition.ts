/**
 * @file Gopher's repetition rules (Rae et al. 2021, arXiv:2112.11446, table A1), which drop texts that mostly repeat earlier parts
 * of themselves. Rule order and reason names follow datatrove.
 */

import { codePointCount, strip } from "../text/characters.js";
import type { Words } from "../text/passage.js";
import { HASH_BASE } from "../text/word-splitter.js";
import { mixBits, type WordTable } from "../text/word-table.js";
import { type Candidate, drop, KEEP, type Step, type StepResult } from "./filter.js";
import { type PerLanguage, thresholdsFor } from "./per-language.js";
import { perLanguage, stepOptions } from "./step-options.js";

/** For each n, the maximum share of the text's characters in runs of n words. */
export type RunShares = readonly (readonly [n: number, share: number])[];

export interface GopherRepetitionOptions {
  /** Maximum share of repeated lines and of repeated paragraphs; then of the characters in them. */
  readonly maxRepeatedLines?: number;
  readonly maxRepeatedParagraphs?: number;
  readonly maxRepeatedLineCharacters?: number;
  readonly maxRepeatedParagraphCharacters?: number;
  /** Maximum share of characters in the most common run of n words. */
  readonly commonestRuns?: RunShares;
  /** Maximum share of characters in repeated runs of n words. */
  readonly repeatedRuns?: RunShares;
}

/** The paper's thresholds; 0 turns a rule off. */
export const GOPHER_REPETITION: Required<GopherRepetitionOptions> = {
  maxRepeatedLines: 0.3,
  maxRepeatedParagraphs: 0.3,
  maxRepeatedLineCharacters: 0.2,
  maxRepeatedParagraphCharacters: 0.2,
  commonestRuns: [
    [2, 0.2],
    [3, 0.18],
    [4, 0.16],
  ],
  repeatedRuns: [
    [5, 0.15],
    [6, 0.14],
    [7, 0.13],
    [8, 0.12],
    [9, 0.11],
    [10, 0.1],
  ],
};

export function gopherRepetition(given: PerLanguage<GopherRepetitionOptions> = {}): Step {
  const options = stepOptions("gopher-repetition", given, GOPHER_REPETITION, perLanguage);
  const limitsOf = thresholdsFor(GOPHER_REPETITION, options, (table) => ({
    // FineWeb-2 turns these off: extraction leaves few paragraphs, and FineWeb has its own rule for repeated
    // characters.
    maxRepeatedParagraphs: 0,
    maxRepeatedLineCharacters: 0,
    maxRepeatedParagraphCharacters: 0,
    maxRepeatedLines: table.dup_line_frac,
    commonestRuns: table.top_n_grams,
    repeatedRuns: table.dup_n_grams,
  }));
  return {
    name: "gopher-repetition",
    settings: { ...GOPHER_REPETITION, ...options },
    judge: (document) => apply(document, limitsOf(document.language)),
  };
}

function apply({ passage }: Candidate, limits: Required<GopherRepetitionOptions>): StepResult {
  const { text, points } = passage;
  if (text === "") return drop("empty");

  const paragraphs = repeated(strip(text).split(/\n{2,}/));
  if (limits.maxRepeatedParagraphs && paragraphs.pieces / paragraphs.of > limits.maxRepeatedParagraphs) {
    return drop("dup_para_frac");
  }
  if (limits.maxRepeatedParagraphCharacters && paragraphs.points / points > limits.maxRepeatedParagraphCharacters) {
    return drop("dup_para_char_frac");
  }
  const lines = repeated(text.split(/\n+/));
  if (limits.maxRepeatedLines && lines.pieces / lines.of > limits.maxRepeatedLines) return drop("dup_line_frac");
  if (limits.maxRepeatedLineCharacters && lines.points / points > limits.maxRepeatedLineCharacters) {
    return drop("dup_line_char_frac");
  }

  const runs = new Runs(passage.words);
  for (const [n, share] of limits.commonestRuns) {
    if (runs.mayExceed(n, share * points) && runs.commonest(n) / points > share) return drop(`top_${n}_gram`);
  }
  for (const [n, share] of limits.repeatedRuns) {
    if (runs.repeated(n) / points > share) return drop(`duplicated_${n}_n_grams`);
  }
  return KEEP;
}

/** Counts pieces equal to an earlier one, and their characters. */
export function repeated(pieces: readonly string[]): { readonly pieces: number; readonly points: number; of: number } {
  const seen = new Set<string>();
  let count = 0;
  let points = 0;
  for (const piece of pieces) {
    const before = seen.size;
    seen.add(piece);
    if (seen.size > before) continue;
    count += 1;
    points += codePointCount(piece);
  }
  return { pieces: count, points, of: pieces.length };
}

/** Hash table that all documents reuse; it only grows. (slots, 2): start of a run plus one, and its hash. */
let slots = new Int32Array(1 << 13);
let counts = new Int32Array(1 << 11);

/** Clears the table for `entries` runs; returns the mask of its size. */
function clear(entries: number): number {
  let size = 1 << 6;
  while (size < entries * 2) size *= 2;
  if (slots.length < 2 * size) {
    slots = new Int32Array(2 * size);
    counts = new Int32Array(size >> 1);
  } else {
    slots.fill(0, 0, 2 * size);
  }
  return 2 * size - 1;
}

/** Runs of n words of one text. */
class Runs {
  readonly #ids: Int32Array;
  readonly #table: WordTable;
  /** For each word boundary: hash of all units before it, their number, and the code points. */
  readonly #hashes: Int32Array;
  readonly #units: Int32Array;
  readonly #points: Int32Array;
  /** Occurrences of the most common run of `#countedRun` words; 0 words before any was counted. */
  #countedRun = 0;
  #mostRuns = 0;

  constructor({ ids, table }: Words) {
    const count = ids.length;
    const { records } = table;
    this.#ids = ids;
    this.#table = table;
    this.#hashes = new Int32Array(count + 1);
    this.#units = new Int32Array(count + 1);
    this.#points = new Int32Array(count + 1);
    let hash = 0;
    let units = 0;
    let points = 0;
    for (let i = 0; i < count; i++) {
      const record = ids[i] * 4;
      const length = records[record + 2];
      hash = (Math.imul(hash, power(length)) + records[record]) | 0;
      units += length;
      points += records[record + 3] >> 4;
      this.#hashes[i + 1] = hash;
      this.#units[i + 1] = units;
      this.#points[i + 1] = points;
    }
  }

  /**
   * Whether the most common run of n words could have that many code points. It cannot occur more often than the most
   * common shorter run counted before, and is no longer than the longest run of n words.
   */
  mayExceed(n: number, points: number): boolean {
    if (this.#countedRun === 0 || this.#countedRun > n) return true;
    const sums = this.#points;
    let longest = 0;
    for (let i = n; i < sums.length; i++) {
      const length = sums[i] - sums[i - n];
      if (length > longest) longest = length;
    }
    // The margin of 1 keeps rounding errors from deciding.
    return (longest + n - 1) * this.#mostRuns >= points - 1;
  }

  /** Code points of all occurrences of the most common run (the first on ties), including spaces between words. */
  commonest(n: number): number {
    const ids = this.#ids;
    const last = ids.length - n;
    if (last < 0) return 0;
    const mask = clear(last + 1);
    let best = 0;
    let most = 0;
    for (let i = 0; i <= last; i++) {
      let hash = ids[i];
      for (let j = 1; j < n; j++) hash = (Math.imul(hash, 0x9e3779b1) ^ ids[i + j]) | 0;
      let slot = (mixBits(hash) << 1) & mask;
      for (; ; slot = (slot + 2) & mask) {
        const first = slots[slot] - 1;
        if (first < 0) {
          slots[slot] = i + 1;
          slots[slot + 1] = hash;
          counts[i] = 1;
          if (most === 0) most = 1;
          break;
        }
        if (slots[slot + 1] !== hash) continue;
        let j = 0;
        while (j < n && ids[first + j] === ids[i + j]) j += 1;
        if (j < n) continue;
        counts[first] += 1;
        if (counts[first] > most || (counts[first] === most && first < best)) {
          most = counts[first];
          best = first;
        }
        break;
      }
    }
    this.#countedRun = n;
    this.#mostRuns = most;
    return (this.#points[best + n] - this.#points[best] + n - 1) * most;
  }

  /**
   * Code points of repeated runs. After a repeated run the search continues after it; after a new one, at the next word. Runs are
   * equal if their letters are, regardless of spaces.
   */
  repeated(n: number): number {
    const last = this.#ids.length - n;
    if (last < 0) return 0;
    const mask = clear(last + 1);
    const units = this.#units;
    const hashes = this.#hashes;
    let points = 0;
    for (let i = 0; i <= last; ) {
      const length = units[i + n] - units[i];
      const hash = (hashes[i + n] - Math.imul(hashes[i], power(length))) | 0;
      let slot = (mixBits(hash) << 1) & mask;
      let found = false;
      for (; ; slot = (slot + 2) & mask) {
        const first = slots[slot] - 1;
        if (first < 0) break;
        if (slots[slot + 1] === hash && this.#equal(first, i, n, length)) {
          found = true;
          break;
        }
      }
      if (found) {
        points += this.#points[i + n] - this.#points[i];
        i += n;
      } else {
        slots[slot] = i + 1;
        slots[slot + 1] = hash;
        i += 1;
      }
    }
    return points;
  }

  /** Compares the letters of two runs of n words; the second has `length` units. */
  #equal(a: number, b: number, n: number, length: number): boolean {
    const ids = this.#ids;
    let same = 0;
    while (same < n && ids[a + same] === ids[b + same]) same += 1;
    if (same === n) return true;
    if (this.#units[a + n] - this.#units[a] !== length) return false;
    const { units, records } = this.#table;
    let wordA = a;
    let wordB = b;
    let atA = 0;
    let atB = 0;
    for (let i = 0; i < length; i++) {
      while (atA === this.#units[wordA + 1] - this.#units[wordA]) {
        wordA += 1;
        atA = 0;
      }
      while (atB === this.#units[wordB + 1] - this.#units[wordB]) {
        wordB += 1;
        atB = 0;
      }
      if (units[records[ids[wordA] * 4 + 1] + atA] !== units[records[ids[wordB] * 4 + 1] + atB]) return false;
      atA += 1;
      atB += 1;
    }
    return true;
  }
}

const POWERS = new Int32Array(1 << 10);
POWERS[0] = 1;
for (let i = 1; i < POWERS.length; i++) POWERS[i] = Math.imul(POWERS[i - 1], HASH_BASE);

/** HASH_BASE to the power of `exponent`, modulo 2^32. */
function power(exponent: number): number {
  if (exponent < POWERS.length) return POWERS[exponent];
  let result = 1;
  let base = HASH_BASE;
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = Math.imul(result, base);
    base = Math.imul(base, base);
  }
  return result;
}
