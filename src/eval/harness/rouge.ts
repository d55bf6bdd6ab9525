/**
 * @file ROUGE (Lin 2004) as Google's rouge_score computes it, without a stemmer: precision, recall and F1 of shared n-grams, or
 * of longest common subsequences; and their confidence intervals by resampling documents.
 */
import { QuernError } from "../../errors.js";
import { quantile } from "../statistics/index.js";
import type { NumpyRandom } from "./numpy-random.js";
import { countNgrams } from "./segments.js";

/** 0 to 1. */
export interface RougeScore {
  readonly precision: number;
  readonly recall: number;
  readonly fmeasure: number;
}

/** `rougeLsum` compares texts of one sentence per line. */
export type RougeType = "rouge1" | "rouge2" | "rougeL" | "rougeLsum";

/** Returns runs of ASCII letters and digits in lower case; other scripts have no tokens. */
export function rougeTokens(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9]+/g) ?? [];
}

/** Returns one kind of ROUGE of a text against its reference. */
export function rougeScore(type: RougeType, reference: string, text: string): RougeScore {
  switch (type) {
    case "rouge1":
    case "rouge2":
      return ngramScore(rougeTokens(reference), rougeTokens(text), type === "rouge1" ? 1 : 2);
    case "rougeL": {
      const [a, b] = [rougeTokens(reference), rougeTokens(text)];
      return scoreOf(commonSubsequence(a, b).length, a.length, b.length);
    }
    case "rougeLsum":
      return summaryScore(sentencesOf(reference), sentencesOf(text));
    default:
      return type satisfies never;
  }
}

/** @param total number of units in the reference; @param found number in the text */
function scoreOf(shared: number, total: number, found: number): RougeScore {
  const precision = shared / Math.max(found, 1);
  const recall = shared / Math.max(total, 1);
  return { precision, recall, fmeasure: shared === 0 ? 0 : (2 * precision * recall) / (precision + recall) };
}

function ngramScore(reference: readonly string[], text: readonly string[], n: number): RougeScore {
  const [known, found] = [countNgrams(reference, n), countNgrams(text, n)];
  let shared = 0;
  for (const [ngram, count] of known) shared += Math.min(count, found.get(ngram) ?? 0);
  return scoreOf(shared, Math.max(0, reference.length - n + 1), Math.max(0, text.length - n + 1));
}

const sentencesOf = (text: string): string[][] =>
  text
    .split("\n")
    .filter((sentence) => sentence !== "")
    .map(rougeTokens);

/**
 * Per sentence of the reference: the tokens that are in a longest common subsequence with any sentence of the text. A token
 * counts at most as often as both texts have it.
 */
function summaryScore(reference: readonly string[][], text: readonly string[][]): RougeScore {
  const inReference = countNgrams(reference.flat(), 1);
  const inText = countNgrams(text.flat(), 1);
  let hits = 0;
  for (const sentence of reference) {
    const covered = new Set(text.flatMap((other) => commonSubsequence(sentence, other)));
    for (const position of [...covered].sort((a, b) => a - b)) {
      const token = sentence[position]!;
      const [left, leftInText] = [inReference.get(token) ?? 0, inText.get(token) ?? 0];
      if (left === 0 || leftInText === 0) continue;
      hits++;
      inReference.set(token, left - 1);
      inText.set(token, leftInText - 1);
    }
  }
  return scoreOf(hits, reference.flat().length, text.flat().length);
}

/** Returns the positions in `a` of one longest common subsequence; of several the one that rouge_score finds. */
function commonSubsequence(a: readonly string[], b: readonly string[]): number[] {
  const width = b.length + 1;
  const lengths = new Uint32Array((a.length + 1) * width);
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      lengths[i * width + j] =
        a[i - 1] === b[j - 1]
          ? lengths[(i - 1) * width + j - 1]! + 1
          : Math.max(lengths[(i - 1) * width + j]!, lengths[i * width + j - 1]!);
    }
  }
  const positions: number[] = [];
  let [i, j] = [a.length, b.length];
  while (i > 0 && j > 0) {
    if (a[i - 1] === b[j - 1]) {
      positions.push(--i);
      j--;
    } else if (lengths[i * width + j - 1]! > lengths[(i - 1) * width + j]!) j--;
    else i--;
  }
  return positions.reverse();
}

/** The bounds of a mean, and the median of its resampled values. */
export interface RougeInterval {
  readonly low: RougeScore;
  readonly mid: RougeScore;
  readonly high: RougeScore;
}

/**
 * Returns the mean of scores with its interval, by resampling the documents with replacement, as rouge_score's
 * `BootstrapAggregator`.
 * @param random NumPy's global generator there, which lm-eval seeds with 1234
 * @throws QuernError without scores
 */
export function rougeInterval(
  scores: readonly RougeScore[],
  random: NumpyRandom,
  { confidence = 0.95, rounds = 1000 }: { readonly confidence?: number; readonly rounds?: number } = {},
): RougeInterval {
  if (scores.length === 0) throw new QuernError("there are no ROUGE scores to aggregate");
  const kinds = ["precision", "recall", "fmeasure"] as const;
  const means = kinds.map(() => new Float64Array(rounds));
  for (let round = 0; round < rounds; round++) {
    const drawn = Array.from(scores, () => scores[random.below(scores.length)]!);
    for (const [k, kind] of kinds.entries()) {
      means[k]![round] = drawn.reduce((sum, score) => sum + score[kind], 0) / scores.length;
    }
  }
  for (const values of means) values.sort();
  const at = (share: number): RougeScore => {
    const [precision, recall, fmeasure] = means.map((values) => quantile(values, share));
    return { precision: precision!, recall: recall!, fmeasure: fmeasure! };
  };
  const tail = (1 - confidence) / 2;
  return { low: at(tail), mid: at(0.5), high: at(1 - tail) };
}
