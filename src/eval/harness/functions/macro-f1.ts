/** @file F1 of each label, averaged without weights. */
import { QuernError } from "../../../errors.js";

/**
 * Returns the mean of the labels' F1 for pairs of gold and answer, in either order; a label that nobody gives counts 0.
 * @param labels default: all that occur
 */
export function macroF1(items: readonly unknown[], labels?: readonly number[]): number {
  const pairs = items.map((item, i) => {
    const [gold, answer] = Array.isArray(item) ? (item as readonly unknown[]) : [];
    if (gold === undefined || answer === undefined) {
      throw new QuernError(`macro F1 needs pairs of gold and answer; document ${i} has another form`);
    }
    return [Number(gold), Number(answer)] as const;
  });
  const wanted = labels ?? [...new Set(pairs.flat())];
  const scores = wanted.map((label) => {
    let [both, either] = [0, 0];
    for (const [gold, answer] of pairs) {
      if (gold === label && answer === label) both++;
      either += Number(gold === label) + Number(answer === label);
    }
    return either === 0 ? 0 : (2 * both) / either;
  });
  return scores.reduce((sum, score) => sum + score, 0) / scores.length;
}
