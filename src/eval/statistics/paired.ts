/** @file Compares two treatments of the same items: McNemar's exact test for values of 0 and 1, the paired t test for others. */
import { logFactorial } from "./multinomial.js";
import { normalQuantile } from "./normal.js";
import { studentQuantile, studentTwoSided } from "./student.js";

/** A difference of two means over the same items, with its interval and two-sided p-value. */
export interface PairedDifference {
  readonly difference: number;
  readonly lower: number;
  readonly upper: number;
  /** Probability of a difference at least as large between equal treatments. */
  readonly pValue: number;
}

/**
 * Returns the two-sided p-value of McNemar's exact test (McNemar 1947): if neither treatment were better, each of the items
 * that changed would be a gain with probability ½.
 * @param gained items that changed from 0 to 1
 * @param lost items that changed from 1 to 0
 */
export function mcnemarExact(gained: number, lost: number): number {
  const n = gained + lost;
  const fewer = Math.min(gained, lost);
  if (2 * fewer === n) return 1;
  // The tail is summed from its largest term down.
  let term = Math.exp(logFactorial(n) - logFactorial(fewer) - logFactorial(n - fewer) - n * Math.LN2);
  let tail = 0;
  for (let k = fewer; k >= 0 && term > 0; k--) {
    tail += term;
    term *= k / (n - k + 1);
  }
  return Math.min(1, 2 * tail);
}

/**
 * Compares two shares of the same `items`: the test is McNemar's, the interval the adjusted Wald interval of Bonett and Price
 * (2012), which adds an item to both kinds of change and keeps its coverage in small samples (Fagerland et al. 2014).
 * @param items at least 1
 */
export function pairedShares(gained: number, lost: number, items: number, confidence = 0.95): PairedDifference {
  const [up, down] = [(gained + 1) / (items + 2), (lost + 1) / (items + 2)];
  const center = up - down;
  const half = normalQuantile((1 + confidence) / 2) * Math.sqrt((up + down - center ** 2) / (items + 2));
  return {
    difference: (gained - lost) / items,
    lower: Math.max(-1, center - half),
    upper: Math.min(1, center + half),
    pValue: mcnemarExact(gained, lost),
  };
}

/**
 * Compares two means by the paired t test.
 * @param differences of the items, at least 2
 */
export function pairedT(differences: ArrayLike<number>, confidence = 0.95): PairedDifference {
  const n = differences.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += differences[i]!;
  const mean = sum / n;
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (differences[i]! - mean) ** 2;
  const error = Math.sqrt(squares / (n - 1) / n);
  if (error === 0) return { difference: mean, lower: mean, upper: mean, pValue: mean === 0 ? 1 : 0 };
  const half = studentQuantile(confidence, n - 1) * error;
  return {
    difference: mean,
    lower: mean - half,
    upper: mean + half,
    pValue: studentTwoSided(mean / error, n - 1),
  };
}
