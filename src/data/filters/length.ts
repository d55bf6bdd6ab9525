/** @file Drops documents that are too short or too long, in words, characters or bytes. */
import { drop, KEEP, type Step } from "./filter.js";
import { stepOptions } from "./step-options.js";

export interface LengthOptions {
  readonly minWords?: number;
  readonly maxWords?: number;
  /** Code points. */
  readonly minCharacters?: number;
  readonly maxCharacters?: number;
  /** UTF-8. */
  readonly minBytes?: number;
  readonly maxBytes?: number;
}

const BOUNDS = { minWords: 0, maxWords: 0, minCharacters: 0, maxCharacters: 0, minBytes: 0, maxBytes: 0 };

export function length(given: LengthOptions): Step {
  const options = stepOptions("length", given, BOUNDS);
  return {
    name: "length",
    settings: { ...options },
    expectsChange: false,
    judge({ passage }) {
      const { minBytes = 0, maxBytes = Infinity, minCharacters = 0, maxCharacters = Infinity } = options;
      if (passage.bytes < minBytes) return drop("too_few_bytes");
      if (passage.bytes > maxBytes) return drop("too_many_bytes");
      if (passage.points < minCharacters) return drop("too_few_characters");
      if (passage.points > maxCharacters) return drop("too_many_characters");
      if (options.minWords !== undefined && passage.wordCount < options.minWords) return drop("too_few_words");
      if (options.maxWords !== undefined && passage.wordCount > options.maxWords) return drop("too_many_words");
      return KEEP;
    },
  };
}
