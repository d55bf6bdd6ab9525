/** @file What becomes of examples that are longer than a row. */
import type { Truncation } from "../options.js";
import type { EncodedPair, EncodedText } from "./encode.js";

/** Cuts a text to at most `longest` tokens; null where it is dropped. */
export function truncate(text: EncodedText, longest: number, how: Truncation): EncodedText | null {
  const { ids, learned } = text;
  if (ids.length <= longest) return text;
  if (how === "drop") return null;
  const start = how === "left" ? ids.length - longest : 0;
  return {
    ids: Array.prototype.slice.call(ids, start, start + longest) as number[],
    learned: learned.slice(start, start + longest),
  };
}

/** Truncates both texts of a pair; null if one of them is dropped. */
export function truncatePair(pair: EncodedPair, longest: number, how: Truncation): EncodedPair | null {
  const chosen = truncate(pair.chosen, longest, how);
  const rejected = truncate(pair.rejected, longest, how);
  return chosen === null || rejected === null ? null : { ...pair, chosen, rejected };
}

/** Whether some token is a target: one that is learned and has a token before it. */
export const isLearned = ({ learned }: EncodedText) => learned.lastIndexOf(1) > 0;
