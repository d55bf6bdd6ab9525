/** @file Pairs of a chosen and a rejected answer as tokens. What cannot be used is counted. */
import { counted } from "../../counted.js";
import { QuernError } from "../../errors.js";
import type { EncodedPair } from "./encode.js";
import { type ExampleOf, hasEmptyAnswer } from "./examples.js";
import { isLearned } from "./truncate.js";

/** A pair before and after it was cut to the maximum length; null where it is dropped. */
export interface CutPair {
  readonly whole: EncodedPair;
  readonly cut: EncodedPair | null;
}

/** Encodes pairs; those that are too long, equal, or without an answer are counted. @throws QuernError if no pairs remain */
export async function encodePairs(
  examples: readonly ExampleOf<"preference">[],
  what: string,
  note: (line: string) => void,
  encode: (example: ExampleOf<"preference">) => Promise<CutPair>,
): Promise<EncodedPair[]> {
  const pairs: EncodedPair[] = [];
  const has = (count: number) => counted(count, `${what} has`, `${what}s have`);
  const counts = { truncated: 0, dropped: 0, empty: 0, blank: 0, equal: 0 };
  for (const example of examples) {
    const { whole, cut } = await encode(example);
    if (cut === null) {
      counts.dropped += 1;
      continue;
    }
    if (cut.chosen !== whole.chosen || cut.rejected !== whole.rejected) counts.truncated += 1;
    if (!isLearned(cut.chosen) || !isLearned(cut.rejected)) {
      counts.empty += 1;
      continue;
    }
    if (hasEmptyAnswer(example)) counts.blank += 1;
    if (isEqual(cut.chosen.ids, cut.rejected.ids)) counts.equal += 1;
    pairs.push(cut);
  }
  if (counts.truncated > 0) note(`${counted(counts.truncated, what)} truncated to the maximum length`);
  if (counts.dropped > 0) note(`${counted(counts.dropped, what)} dropped: longer than the maximum length`);
  if (counts.empty > 0) note(`${counted(counts.empty, what)} dropped: an answer has no token left`);
  if (counts.blank > 0) note(`${has(counts.blank)} an empty answer: its only token is the one that ends it`);
  if (counts.equal > 0) note(`${has(counts.equal)} equal answers; they teach nothing`);
  if (pairs.length > 0) return pairs;
  throw new QuernError(`no two answers are left in ${counted(examples.length, what)}; check --max-length`, {
    exitCode: 2,
  });
}

/** Whether two texts have the same ids. */
export function isEqual(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
