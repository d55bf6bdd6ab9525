/** @file Biases of a judge: position, length and preference for its own answers. */
import { codePointsOf } from "./annotations.js";
import { type Preference, shareOf } from "./win-rate.js";

/** Winner of a pair judged in both orders; null if the judge named none. */
export interface TwoOrders {
  /** Winner when answer 1 was shown first. */
  readonly straight: "1" | "2" | null;
  /** Winner when answer 2 was shown first, by the answers' own numbers. */
  readonly swapped: "1" | "2" | null;
}

/** Shares in [0, 1] of the pairs (Zheng et al. 2023, "Judging LLM-as-a-Judge"); they add up to 1. */
export interface PositionBias {
  /** Same winner in both orders. */
  readonly consistent: number;
  /** The answer shown first won both times. */
  readonly favours_first: number;
  /** The answer shown second won both times. */
  readonly favours_second: number;
  /** At least one order without a winner. */
  readonly unread: number;
  readonly pairs: number;
}

/** Measures how often the order of two answers decides. Returns null without pairs. */
export function positionBias(pairs: readonly TwoOrders[]): PositionBias | null {
  if (pairs.length === 0) return null;
  const share = (is: (pair: TwoOrders) => boolean) => pairs.filter(is).length / pairs.length;
  return {
    consistent: share(({ straight, swapped }) => straight !== null && straight === swapped),
    favours_first: share(({ straight, swapped }) => straight === "1" && swapped === "2"),
    favours_second: share(({ straight, swapped }) => straight === "2" && swapped === "1"),
    unread: share(({ straight, swapped }) => straight === null || swapped === null),
    pairs: pairs.length,
  };
}

export interface LengthBias {
  /** Share in [0, 1] of the judgements that prefer the longer answer; a tie is half. .5 is no bias. */
  readonly longer_preferred: number;
  /** Judgements with a preference and two lengths. */
  readonly judgements: number;
}

/**
 * Measures how often the longer answer wins, in code points. Returns null if all lengths are equal. Longer answers may
 * also be better: compare with the same share of human labels.
 */
export function lengthBias(
  judgements: readonly { readonly output1: string; readonly output2: string; readonly preference: Preference }[],
): LengthBias | null {
  let longer = 0;
  let count = 0;
  for (const { output1, output2, preference } of judgements) {
    const share = shareOf(preference);
    const delta = codePointsOf(output2) - codePointsOf(output1);
    if (share === null || delta === 0) continue;
    longer += delta > 0 ? share : 1 - share;
    count++;
  }
  return count === 0 ? null : { longer_preferred: longer / count, judgements: count };
}

export interface SelfPreference {
  /** Win rate in [0, 1] of the judge's own answers by its own judgement. */
  readonly by_itself: number;
  /** Win rate in [0, 1] of the same answers by the reference (humans or other judges). */
  readonly by_reference: number;
  /** `by_itself` − `by_reference`; positive if the judge favours itself. */
  readonly difference: number;
  readonly judgements: number;
}

/**
 * Measures how much a judge favours its own answers beyond a reference (Panickssery et al. 2024). Both preferences are
 * towards 2 for the judge's own answer. Returns null if no pair has both preferences.
 */
export function selfPreference(
  judgements: readonly { readonly judge: Preference; readonly reference: Preference }[],
): SelfPreference | null {
  const shares = judgements.flatMap(({ judge, reference }) => {
    const own = shareOf(judge);
    const other = shareOf(reference);
    return own === null || other === null ? [] : [{ own, other }];
  });
  if (shares.length === 0) return null;
  const by_itself = shares.reduce((sum, { own }) => sum + own, 0) / shares.length;
  const by_reference = shares.reduce((sum, { other }) => sum + other, 0) / shares.length;
  return { by_itself, by_reference, difference: by_itself - by_reference, judgements: shares.length };
}
