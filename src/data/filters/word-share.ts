/**
 * @file Filters toxic and adult content by word share: drops a page if too many of its words are on the user's list. A
 * single such word means little. A classifier could replace this step; it would only have to implement `Step`.
 */
import { z } from "zod";
import { drop, KEEP, type Step } from "./filter.js";
import { stepOptions, wordList } from "./step-options.js";
import { readWordList, type WordList, wordPattern } from "./word-list.js";

export interface WordShareOptions {
  readonly words: WordList;
  /** Maximum share of the page's words that are on the list. */
  readonly maxShare?: number;
  /** Maximum number of different words from the list. */
  readonly maxDifferent?: number;
  /** The step's name in the funnel, and the prefix of its reasons. */
  readonly name?: "toxicity" | "adult";
}

export const WORD_SHARE = { maxShare: 0.01, maxDifferent: 5 } as const;

export function toxicity(given: WordShareOptions): Step {
  const options = stepOptions(given?.name ?? "toxicity", given, WORD_SHARE, {
    words: wordList,
    name: z.enum(["toxicity", "adult"]).optional(),
  });
  const { maxShare, maxDifferent } = { ...WORD_SHARE, ...options };
  const name = options.name ?? "toxicity";
  let pattern: RegExp | undefined;
  return {
    name,
    settings: { ...WORD_SHARE, ...options },
    expectsChange: false,
    async prepare() {
      pattern = wordPattern(await readWordList(options.words));
    },
    judge({ passage }) {
      if (pattern === undefined) return KEEP;
      const found = passage.text.toLowerCase().match(pattern);
      if (found === null) return KEEP;
      if (found.length / passage.wordCount > maxShare) return drop(`${name}_share`);
      return new Set(found).size > maxDifferent ? drop(`${name}_different`) : KEEP;
    },
  };
}

export const adult = (options: WordShareOptions): Step => toxicity({ ...options, name: "adult" });
