/** @file mC4's rule (Xue et al. 2021, arXiv:2010.11934, section 3.1): a page needs at least three lines of 200 characters. */

import { codePointCount } from "../text/characters.js";
import { drop, KEEP, type Step } from "./filter.js";
import { stepOptions } from "./step-options.js";

export const C4_PARAGRAPHS = { minParagraphs: 3, minCharacters: 200 } as const;

export function c4Paragraphs(options: { readonly minParagraphs?: number; readonly minCharacters?: number } = {}): Step {
  const { minParagraphs, minCharacters } = {
    ...C4_PARAGRAPHS,
    ...stepOptions("c4-paragraphs", options, C4_PARAGRAPHS),
  };
  return {
    name: "c4-paragraphs",
    settings: { minParagraphs, minCharacters },
    judge({ passage }) {
      let long = 0;
      for (const line of passage.lines) {
        if (line.length >= minCharacters && codePointCount(line) >= minCharacters) long += 1;
        if (long >= minParagraphs) return KEEP;
      }
      return drop(`< ${minParagraphs} paragraphs`);
    },
  };
}
