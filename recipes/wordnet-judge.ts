/**
 * @file A judge that compares two answers by their likeness to WordNet's own answers, in character n-grams. It is not
 * the reward, which is yes or no and accepts answers that no one wrote. The judge grades how close an answer is to a
 * reference. A model that only learned to please the reward gains nothing here.
 */

/** Length of the longest n-grams, and how much more recall counts than precision (Popović 2015). */
const LONGEST = 6;
const BETA = 2;

/**
 * chrF of a text against the most similar reference, from 0 to 1: the mean F-score of its character n-grams, n = 1 to 6,
 * without spaces (Popović, "chrF: character n-gram F-score for automatic MT evaluation", 2015).
 */
export function likeness(text: string, references: readonly string[]): number {
  return Math.max(0, ...references.map((reference) => chrf(bare(text), bare(reference))));
}

/** Which of two answers is closer to a reference: 1 for the first, 0 for the second, ½ for a tie. */
export function judge(first: string, second: string, references: readonly string[]): number {
  const [a, b] = [likeness(first, references), likeness(second, references)];
  return a > b ? 1 : a < b ? 0 : 0.5;
}

function chrf(text: string, reference: string): number {
  const scores: number[] = [];
  for (let n = 1; n <= LONGEST; n++) {
    const [own, wanted] = [gramsOf(text, n), gramsOf(reference, n)];
    // Orders that are longer than a text do not count, as in the authors' program.
    if (own.size === 0 || wanted.size === 0) continue;
    let common = 0;
    for (const [gram, count] of own) common += Math.min(count, wanted.get(gram) ?? 0);
    const [precision, recall] = [common / total(own), common / total(wanted)];
    const divisor = BETA ** 2 * precision + recall;
    scores.push(divisor === 0 ? 0 : ((1 + BETA ** 2) * precision * recall) / divisor);
  }
  return scores.length === 0 ? 0 : scores.reduce((sum, score) => sum + score, 0) / scores.length;
}

function gramsOf(text: string, n: number): Map<string, number> {
  const grams = new Map<string, number>();
  for (let i = 0; i + n <= text.length; i++) {
    const gram = text.slice(i, i + n);
    grams.set(gram, (grams.get(gram) ?? 0) + 1);
  }
  return grams;
}

const total = (grams: ReadonlyMap<string, number>) => [...grams.values()].reduce((sum, count) => sum + count, 0);
const bare = (text: string) => text.toLowerCase().replace(/\s+/g, "");
