/**
 * @file The lexer for regular expressions other than the published ones. Their syntax is Oniguruma's, as in the Rust library
 * `tokenizers`; JavaScript's lacks `(?i:…)` and possessive quantifiers, and its `\s` differs.
 */
import { toRegExp } from "oniguruma-to-es";
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import type { Lexer } from "./lexers.js";
import { type Matcher, matchesOf, splitAt } from "./split-steps.js";
import { runWithTimeLimit } from "./time-limit.js";

/** Time limit per text in milliseconds, multiplied by 1 + the text's millions of UTF-16 units. */
const TIME_LIMIT = 5000;
/** An unbounded quantifier on a group with another quantifier or alternatives. It can take exponential time, even on 30 letters. */
const NESTED = /[*+,][^()]*\)(?:[*+]|\{\d*,\}?)|\|[^()]*\)(?:[*+]|\{\d*,\})|\)[*+?}]?[^()]*\)(?:[*+]|\{\d*,\})/;
/** Texts of at most this many units need no time limit if the pattern nests no quantifiers; setting one takes 0.1 ms. */
const SHORT = 256;

/**
 * Returns a function that finds the successive matches of a pattern, as Oniguruma does.
 * @param limit time limit of a text in milliseconds
 * @throws QuernError if the pattern is invalid; the matcher throws one that names the pattern if it exceeds the limit
 */
export function regexMatcher(pattern: string, limit = TIME_LIMIT): Matcher {
  let regex: RegExp;
  try {
    // The alternative at the end never matches. Its case-sensitive letter keeps the library from applying the flag `i` of one group
    // to the whole expression; \p{L} would then match U+0345, which folds to a letter.
    // The target ES2024 has no groups with their own flag `i`: in Node 24 such a group changes what \p{L} matches.
    const options = { target: "ES2024", rules: { captureGroup: true } } as const;
    toRegExp(pattern, options);
    regex = toRegExp(`(?:${pattern})|(?!)a`, { ...options, global: true });
  } catch (error) {
    throw new QuernError(
      `the pattern ${shown(pattern)} is not a regular expression that Quern supports: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  const untimed = NESTED.test(pattern) ? 0 : SHORT;
  return (text) => {
    if (text.length <= untimed) return matchesOf(regex, text);
    const milliseconds = limit * (1 + text.length / 1e6);
    const matches = runWithTimeLimit(() => matchesOf(regex, text), milliseconds);
    if (matches !== undefined) return matches;
    throw new QuernError(
      `the tokenizer's pattern ${shown(pattern)} takes longer than ${(milliseconds / 1000).toFixed(1)} s on a text of ` +
        `${text.length} characters: it backtracks exponentially; use possessive quantifiers, or do not nest quantifiers`,
    );
  };
}

/**
 * Returns a lexer in which every match, and all text between two matches, is a pretoken. Empty matches split the text.
 * @throws QuernError as `regexMatcher` does
 */
export function regexLexer(pattern: string): Lexer {
  return splitAt(regexMatcher(pattern), "Isolated");
}

function shown(pattern: string): string {
  return `"${quoted(pattern.length > 100 ? `${pattern.slice(0, 100)}…` : pattern)}"`;
}
