/**
 * @file Toxic and adult content by list: a page is dropped when too many of its words are of a list of the user's, since
 * one such word says little. A classifier may take this step's place later; it needs nothing but `Step`.
 */
import { z } from "zod";
import { drop, KEEP, type Step } from "./filter.js";
import { stepOptions, wordList } from "./step-options.js";
import { readWordList, type WordList, wordPattern } from "./word-list.js";

export interface WordShareOptions {
  readonly words: WordList;
  /** Most of the page's words that may be of the list, as a share. */
  readonly maxShare?: number;
  /** And at most so many different ones. */
  readonly maxDifferent?: number;
  /** How the step is called in the funnel, and its reason. */
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
