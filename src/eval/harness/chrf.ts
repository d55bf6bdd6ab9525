/**
 * @file chrF and chrF++ (Popović 2015, 2017) as sacreBLEU computes them: F2 of character n-grams up to 6, for chrF++ also of
 * words up to 2, averaged over the orders that both texts have.
 */
import { splitWords } from "./python-text.js";
import { countNgrams, type SegmentScores } from "./segments.js";

const CHARACTER_ORDERS = 6;
const BETA_SQUARED = 4;
const PUNCTUATION = new Set("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~");

/** Per segment and order: n-grams of the hypothesis, of the reference, and in both. */
function chrfScores(wordOrders: number): SegmentScores {
  const orders = CHARACTER_ORDERS + wordOrders;
  return {
    width: 3 * orders,
    statistics({ hypothesis, references }, row) {
      const counts = ngramCounts(hypothesis, wordOrders);
      let best = -1;
      const stats = new Float64Array(3 * orders);
      for (const reference of references) {
        ngramCounts(reference, wordOrders).forEach((expected, order) => {
          let written = 0;
          let matched = 0;
          for (const [ngram, count] of counts[order]!) {
            written += count;
            matched += Math.min(count, expected.get(ngram) ?? 0);
          }
          let wanted = 0;
          for (const count of expected.values()) wanted += count;
          stats.set([expected.size > 0 ? written : 0, wanted, matched], 3 * order);
        });
        const score = fScore(stats, orders);
        if (score > best) {
          best = score;
          row.set(stats);
        }
      }
    },
    /** Returns chrF, 0 to 100. */
    score: (total) => fScore(total, orders),
  };
}

export const CHRF = chrfScores(0);
export const CHRF_PLUS_PLUS = chrfScores(2);

function fScore(total: Float64Array, orders: number): number {
  let precision = 0;
  let recall = 0;
  let used = 0;
  for (let order = 0; order < orders; order++) {
    const [written, wanted, matched] = [total[3 * order]!, total[3 * order + 1]!, total[3 * order + 2]!];
    if (written === 0 || wanted === 0) continue;
    precision += matched / written;
    recall += matched / wanted;
    used++;
  }
  if (used === 0 || precision + recall === 0) return 0;
  precision /= used;
  recall /= used;
  return (100 * (1 + BETA_SQUARED) * precision * recall) / (BETA_SQUARED * precision + recall);
}

/** Returns the counts of character n-grams without white space, then those of words. */
function ngramCounts(text: string, wordOrders: number): Map<string, number>[] {
  const characters = [...splitWords(text).join("")];
  const counts: Map<string, number>[] = [];
  for (let n = 1; n <= CHARACTER_ORDERS; n++) counts.push(countNgrams(characters, n));
  const words = wordOrders > 0 ? punctuatedWords(text) : [];
  for (let n = 1; n <= wordOrders; n++) counts.push(countNgrams(words, n));
  return counts;
}

/** Splits a punctuation mark from the end of a word, or else from its start. */
function punctuatedWords(text: string): string[] {
  return splitWords(text).flatMap((word) => {
    const characters = [...word];
    if (characters.length === 1) return [word];
    const last = characters.at(-1)!;
    if (PUNCTUATION.has(last)) return [word.slice(0, -1), last];
    if (PUNCTUATION.has(characters[0]!)) return [characters[0]!, word.slice(1)];
    return [word];
  });
}
