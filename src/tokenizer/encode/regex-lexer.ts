/**
 * @file The lexer of a regular expression that is none of the published ones, in Oniguruma's syntax, which is what the
 * Rust `tokenizers` reads. JavaScript's own syntax lacks `(?i:…)` and possessive quantifiers and has another `\s`.
 */
import { toRegExp } from "oniguruma-to-es";
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import type { Lexer } from "./lexers.js";
import { type Matcher, matchesOf, splitAt } from "./split-steps.js";
import { withinTime } from "./time-limit.js";

/** Milliseconds that a text may take, and as many more for each million of its UTF-16 units. */
const MOST_TIME = 5000;
/** A quantifier without an end on a group that has another within, or alternatives: such can backtrack for ever on 30 letters. */
const NESTED = /[*+,][^()]*\)(?:[*+]|\{\d*,\}?)|\|[^()]*\)(?:[*+]|\{\d*,\})|\)[*+?}]?[^()]*\)(?:[*+]|\{\d*,\})/;
/** Texts shorter than this are matched without a watchdog, if the pattern nests no quantifiers: to set one takes 0.1 ms. */
const SHORT = 256;

/**
 * Finds the matches of a pattern one behind another, as Oniguruma does.
 * @param limit milliseconds that a text may take
 * @throws QuernError if the pattern is not valid; the matcher throws one, naming the pattern, if it backtracks without end
 */
export function regexMatcher(pattern: string, limit = MOST_TIME): Matcher {
  let regex: RegExp;
  try {
    // The alternative at the end never matches. Its letter, which minds case, keeps the library from making the whole
    // expression ignore case for the sake of one group: then \p{L} would match U+0345, which folds to a letter.
    // And no group that ignores case reaches the engine, though newer ones know such: in Node 24 it changes what \p{L} matches.
    const options = { target: "ES2024", rules: { captureGroup: true } } as const;
    toRegExp(pattern, options);
    regex = toRegExp(`(?:${pattern})|(?!)a`, { ...options, global: true });
  } catch (error) {
    throw new QuernError(
      `the pattern ${shown(pattern)} is not a regular expression that can be used: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  const shortest = NESTED.test(pattern) ? 0 : SHORT;
  return (text) => {
    if (text.length <= shortest) return matchesOf(regex, text);
    const matches = withinTime(() => matchesOf(regex, text), limit * (1 + text.length / 1e6));
    if (matches !== undefined) return matches;
    throw new QuernError(
      `the pattern ${shown(pattern)} of the tokenizer takes longer than ${((limit * (1 + text.length / 1e6)) / 1000).toFixed(1)} s on a text of ` +
        `${text.length} characters; it backtracks without end, so write it with possessive quantifiers or without nested ones`,
    );
  };
}

/**
 * Every match is a pretoken, and so is every stretch between two. Empty matches cut nothing.
 * @throws QuernError as `regexMatcher`
 */
export function regexLexer(pattern: string): Lexer {
  return splitAt(regexMatcher(pattern), "Isolated");
}

function shown(pattern: string): string {
  return `"${quoted(pattern.length > 100 ? `${pattern.slice(0, 100)}…` : pattern)}"`;
}
