/**
 * @file Gopher's quality rules (Rae et al. 2021, arXiv:2112.11446, appendix A1.1), which keep prose. The order of the
 * rules decides which reason a document gets. Order and reason names follow datatrove, which produced FineWeb.
 */

import { countOf, splitLines, strip } from "../text/characters.js";
import { type Candidate, drop, KEEP, type Step, type StepResult } from "./filter.js";
import { type PerLanguage, thresholdsFor } from "./per-language.js";
import { perLanguage, stepOptions } from "./step-options.js";

export interface GopherQualityOptions {
  /** Minimum and maximum number of words, not counting words of symbols only. */
  readonly minWords?: number;
  readonly maxWords?: number;
  /** Mean length of those words in characters. */
  readonly minMeanWordLength?: number;
  readonly maxMeanWordLength?: number;
  /** Maximum number of `#`, and of `…` or `...`, per word. */
  readonly maxSymbolsPerWord?: number;
  /** Maximum share of lines that begin with a bullet, and that end with an ellipsis. */
  readonly maxBulletLines?: number;
  readonly maxEllipsisLines?: number;
  /** Minimum share of words that contain a letter. */
  readonly minAlphabeticWords?: number;
  /** Minimum number of different stop words. */
  readonly minStopWords?: number;
  readonly stopWords?: readonly string[];
}

/** The paper's thresholds; 0 turns a rule off. */
export const GOPHER_QUALITY: Required<GopherQualityOptions> = {
  minWords: 50,
  maxWords: 100_000,
  minMeanWordLength: 3,
  maxMeanWordLength: 10,
  maxSymbolsPerWord: 0.1,
  maxBulletLines: 0.9,
  maxEllipsisLines: 0.3,
  minAlphabeticWords: 0.8,
  minStopWords: 2,
  stopWords: ["the", "be", "to", "of", "and", "that", "have", "with"],
};

export function gopherQuality(given: PerLanguage<GopherQualityOptions> = {}): Step {
  const options = stepOptions("gopher-quality", given, GOPHER_QUALITY, perLanguage);
  const limitsOf = thresholdsFor(GOPHER_QUALITY, options, (table) => ({
    minMeanWordLength: table.min_avg_word_length,
    maxMeanWordLength: table.max_avg_word_length,
    minAlphabeticWords: table.max_non_alpha_words_ratio,
    stopWords: table.stopwords,
    minStopWords: 2,
  }));
  return {
    name: "gopher-quality",
    settings: { ...GOPHER_QUALITY, ...options },
    judge: (document) => apply(document, limitsOf(document.language)),
  };
}

function apply({ passage }: Candidate, limits: Required<GopherQualityOptions>): StepResult {
  const { ids, plain, plainPoints, alphabetic } = passage.words;
  const count = ids.length;
  if (limits.minWords && plain < limits.minWords) return drop("gopher_short_doc");
  if (limits.maxWords && plain > limits.maxWords) return drop("gopher_long_doc");
  // If `minWords` is off, a text may have no words; shares of words would then be undefined.
  if (count === 0) return limits.minStopWords ? drop("gopher_enough_stop_words") : KEEP;

  const mean = plainPoints / plain;
  if (limits.minMeanWordLength && mean < limits.minMeanWordLength) return drop("gopher_below_avg_threshold");
  if (limits.maxMeanWordLength && mean > limits.maxMeanWordLength) return drop("gopher_above_avg_threshold");

  const { text } = passage;
  if (limits.maxSymbolsPerWord) {
    if (countOf(text, "#") / count > limits.maxSymbolsPerWord) return drop("gopher_too_many_hashes");
    const ellipses = countOf(text, "...") + countOf(text, "…");
    if (ellipses / count > limits.maxSymbolsPerWord) return drop("gopher_too_many_ellipsis");
  }

  if (limits.maxBulletLines || limits.maxEllipsisLines) {
    const lines = splitLines(text);
    let bullets = 0;
    let ellipses = 0;
    for (const line of lines) {
      const bare = strip(line);
      if (bare.startsWith("•") || bare.startsWith("-")) bullets += 1;
      if (bare.endsWith("...") || bare.endsWith("…")) ellipses += 1;
    }
    if (limits.maxBulletLines && bullets / lines.length > limits.maxBulletLines) return drop("gopher_too_many_bullets");
    if (limits.maxEllipsisLines && ellipses / lines.length > limits.maxEllipsisLines) {
      return drop("gopher_too_many_end_ellipsis");
    }
  }

  if (limits.minAlphabeticWords && alphabetic / count < limits.minAlphabeticWords) {
    return drop("gopher_below_alpha_threshold");
  }

  if (limits.minStopWords && passage.countPresent(limits.stopWords, limits.minStopWords) < limits.minStopWords) {
    return drop("gopher_enough_stop_words");
  }
  return KEEP;
}
