/** @file How far raters agree: Cohen's κ, and agreement with the majority of the other raters. */
import { QuernError } from "../../errors.js";
import { mean, standardError } from "./win-rate.js";

/** A category that a rater gives; null where the rater gave none, a category of its own. */
export type Label = string | number | null;

/**
 * Computes Cohen's κ of two raters: 1 − observed disagreement / disagreement expected from their own frequencies
 * (Cohen 1960). 1 is perfect agreement, 0 agreement by chance.
 * Returns NaN if both give one and the same label to everything, where κ is not defined.
 * @throws QuernError if the lists are empty or differ in length
 */
export function cohenKappa(first: readonly Label[], second: readonly Label[]): number {
  if (first.length !== second.length || first.length === 0) {
    throw new QuernError(`κ needs two equally long lists of labels, not ${first.length} and ${second.length}`, {
      exitCode: 2,
    });
  }
  const labels = [...new Set([...first, ...second])].sort(compareLabels);
  const place = new Map(labels.map((label, index) => [label, index]));
  const size = labels.length;
  const counts = new Array<number>(size * size).fill(0);
  const ofFirst = new Array<number>(size).fill(0);
  const ofSecond = new Array<number>(size).fill(0);
  for (const [n, label] of first.entries()) {
    const i = place.get(label)!;
    const j = place.get(second[n])!;
    counts[i * size + j]++;
    ofFirst[i]++;
    ofSecond[j]++;
  }
  // (L, L) off-diagonal counts, observed and expected.
  const off = (value: (i: number, j: number) => number) =>
    Array.from({ length: size * size }, (_, at) => {
      const [i, j] = [Math.floor(at / size), at % size];
      return i === j ? 0 : value(i, j);
    });
  const observed = pairwiseSum(off((i, j) => counts[i * size + j]));
  const expected = pairwiseSum(off((i, j) => (ofSecond[i] * ofFirst[j]) / first.length));
  return 1 - observed / expected;
}

function compareLabels(a: Label, b: Label): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [x, y] = [String(a), String(b)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** Adds in NumPy's order (eight partial sums), so that published figures are matched to the last digit. */
function pairwiseSum(values: readonly number[]): number {
  if (values.length < 8) return values.reduce((sum, value) => sum + value, 0);
  if (values.length > 128) {
    const half = Math.floor(values.length / 2);
    const cut = half - (half % 8);
    return pairwiseSum(values.slice(0, cut)) + pairwiseSum(values.slice(cut));
  }
  const r = values.slice(0, 8);
  const whole = values.length - (values.length % 8);
  for (let i = 8; i < whole; i++) r[i % 8] += values[i];
  const sum = r[0] + r[1] + (r[2] + r[3]) + (r[4] + r[5] + (r[6] + r[7]));
  return values.slice(whole).reduce((total, value) => total + value, sum);
}

export interface MajorityAgreement {
  /** Mean share of agreement in [0, 1]. */
  readonly agreement: number;
  /** Standard error over the items; null for fewer than two. */
  readonly standardError: number | null;
  /** Items with at least two human votes. */
  readonly items: number;
}

/**
 * Computes how often a vote equals the majority of the others (leave-one-out; Dubois et al. 2023, AlpacaFarm). Each human
 * vote of an item is left out in turn. Without a judge the vote that was left out is compared with the majority of the
 * rest; with a judge its label is, which makes the two figures comparable. Among k tied majorities a match counts 1/k.
 * @param votes human labels by item
 * @param judge one label per item
 * @throws QuernError if no item has two votes, or the judge's labels are not one per item
 */
export function leaveOneOutAgreement(
  votes: readonly (readonly Label[])[],
  judge?: readonly Label[],
): MajorityAgreement {
  if (judge !== undefined && judge.length !== votes.length) {
    throw new QuernError(`the judge has ${judge.length} labels for ${votes.length} items`, { exitCode: 2 });
  }
  const shares = votes.flatMap((labels, item) => {
    if (labels.length < 2) return [];
    const each = labels.map((own, left) => {
      const majorities = modes(labels.filter((_, index) => index !== left));
      return majorities.includes(judge === undefined ? own : judge[item]) ? 1 / majorities.length : 0;
    });
    return [mean(each)];
  });
  if (shares.length === 0) throw new QuernError("leave-one-out agreement needs an item with at least two votes");
  return { agreement: mean(shares), standardError: standardError(shares), items: shares.length };
}

function modes(labels: readonly Label[]): Label[] {
  const counts = new Map<Label, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const most = Math.max(...counts.values());
  return [...counts].filter(([, count]) => count === most).map(([label]) => label);
}
