/**
 * @file BLEU of a corpus (Papineni et al. 2002) with sacreBLEU's defaults: tokens of mteval-v13a, orders 1 to 4, and NIST
 * smoothing of orders without a match. Tokens of mteval-v14 are the other choice.
 */
import { splitWords, stripEnd } from "./python-text.js";
import { countNgrams, type Segment, type SegmentScores } from "./segments.js";

const ORDERS = 4;

/** BLEU of the tokens of mteval-v13a. */
export const BLEU: SegmentScores = bleuOf(bleuTokens);

/** BLEU of the tokens of mteval-v14, which part the punctuation and symbols of all scripts. */
export const INTERNATIONAL_BLEU: SegmentScores = bleuOf(internationalTokens);

/** Per segment: tokens of the hypothesis, tokens of the closest reference, matches per order, n-grams per order. */
function bleuOf(tokensOf: (text: string) => string[]): SegmentScores {
  return { width: 2 + 2 * ORDERS, statistics: (segment, row) => count(segment, row, tokensOf), score };
}

function count({ hypothesis, references }: Segment, row: Float64Array, tokensOf: (text: string) => string[]): void {
  const tokens = tokensOf(hypothesis);
  const lengths: number[] = [];
  const known = new Map<string, number>();
  for (const reference of references) {
    const words = tokensOf(reference);
    lengths.push(words.length);
    for (let n = 1; n <= ORDERS; n++) {
      for (const [ngram, count] of countNgrams(words, n)) known.set(ngram, Math.max(known.get(ngram) ?? 0, count));
    }
  }
  row[0] = tokens.length;
  row[1] = closest(tokens.length, lengths);
  for (let n = 1; n <= ORDERS; n++) {
    for (const [ngram, count] of countNgrams(tokens, n)) {
      row[1 + n] = row[1 + n]! + Math.min(count, known.get(ngram) ?? 0);
      row[1 + ORDERS + n] = row[1 + ORDERS + n]! + count;
    }
  }
}

/** Returns BLEU, 0 to 100. */
function score(total: Float64Array): number {
  const [hypothesis, reference] = [total[0]!, total[1]!];
  const matches = total.subarray(2, 2 + ORDERS);
  if (matches.every((count) => count === 0)) return 0;
  let smoothing = 1;
  let logs = 0;
  for (let n = 0; n < ORDERS; n++) {
    const ngrams = total[2 + ORDERS + n]!;
    // Too short for an n-gram of this order: the score is zero.
    if (ngrams === 0) return 0;
    if (matches[n] === 0) smoothing *= 2;
    logs += Math.log(matches[n] === 0 ? 100 / (smoothing * ngrams) : (100 * matches[n]!) / ngrams);
  }
  const brevity = hypothesis < reference ? Math.exp(1 - reference / hypothesis) : 1;
  return brevity * Math.exp(logs / ORDERS);
}

/** Returns the tokens of mteval-v13a: punctuation apart, but not within numbers. */
export function bleuTokens(text: string): string[] {
  let line = stripEnd(text).replaceAll("<skipped>", "").replaceAll("-\n", "").replaceAll("\n", " ");
  line = line.replaceAll("&quot;", '"').replaceAll("&amp;", "&").replaceAll("&lt;", "<").replaceAll("&gt;", ">");
  const split = ` ${line} `
    .replace(/([{-~[-` -&(-+:-@/])/g, " $1 ")
    .replace(/([^0-9])([.,])/gu, "$1 $2 ")
    .replace(/([.,])([^0-9])/gu, " $1 $2")
    .replace(/([0-9])(-)/g, "$1 $2 ");
  return splitWords(split);
}

/** Returns the tokens of mteval-v14: symbols apart, and punctuation but where digits are on both sides. */
export function internationalTokens(text: string): string[] {
  const split = stripEnd(text)
    .replace(/(\P{N})(\p{P})/gu, "$1 $2 ")
    .replace(/(\p{P})(\P{N})/gu, " $1 $2")
    .replace(/(\p{S})/gu, " $1 ");
  return splitWords(split);
}

/** Returns the reference length closest to the hypothesis; of two as close the shorter. */
function closest(length: number, references: readonly number[]): number {
  let best = references[0]!;
  for (const reference of references) {
    const nearer = Math.abs(length - reference) - Math.abs(length - best);
    if (nearer < 0 || (nearer === 0 && reference < best)) best = reference;
  }
  return best;
}
