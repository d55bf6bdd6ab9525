/** @file The metric exact_match, with the options of Hugging Face's `evaluate`. */
import { QuernError } from "../../errors.js";
import { PythonRegex } from "./python-regex.js";
import { codePoints } from "./python-text.js";

export interface ExactMatchOptions {
  /** Patterns of Python that are removed from both texts first, in order. */
  readonly regexes_to_ignore?: readonly string[] | null;
  readonly ignore_case?: boolean;
  /** Removes the punctuation of ASCII only. */
  readonly ignore_punctuation?: boolean;
  /** Removes the digits of ASCII only. */
  readonly ignore_numbers?: boolean;
}

const OPTIONS = ["regexes_to_ignore", "ignore_case", "ignore_punctuation", "ignore_numbers"];
const PUNCTUATION = /[!-/:-@[-`{-~]/g;

/** Compares texts with the references at the same positions. */
export type ExactMatcher = (texts: readonly string[], golds: readonly string[]) => boolean[];

/**
 * Returns a function that compares texts. Options are checked and patterns compiled once.
 *
 * @throws QuernError for an unknown option or a pattern that cannot be used
 */
export function exactMatcher(options: Readonly<Record<string, unknown>> = {}): ExactMatcher {
  const unknown = Object.keys(options).find((key) => !OPTIONS.includes(key));
  if (unknown !== undefined) {
    throw new QuernError(`exact_match has no option ${unknown}; its options are ${OPTIONS.join(", ")}`);
  }
  const { regexes_to_ignore, ignore_case, ignore_punctuation, ignore_numbers } = options as ExactMatchOptions;
  const ignored = (regexes_to_ignore ?? []).map((pattern) => new PythonRegex(pattern));
  const simplify = (texts: readonly string[]): string[] => {
    let results = texts.map((text) => ignored.reduce((rest, regex) => regex.sub("", rest), text));
    if (ignore_case === true) results = lowerCase(results);
    if (ignore_punctuation === true) results = results.map((text) => text.replace(PUNCTUATION, ""));
    if (ignore_numbers === true) results = results.map((text) => text.replace(/[0-9]/g, ""));
    return results;
  };
  return (texts, golds) => {
    const right = simplify(golds);
    return simplify(texts).map((text, i) => text === right[i]);
  };
}

/** NumPy's arrays have a fixed width, so a text that becomes longer in lower case (İ) is cut to the longest text's length. */
function lowerCase(texts: readonly string[]): string[] {
  const width = Math.max(...texts.map(codePoints));
  return texts.map((text) => {
    const lower = text.toLowerCase();
    return codePoints(lower) <= width ? lower : [...lower].slice(0, width).join("");
  });
}

/** Returns the share of texts that equal their reference, 0 to 1. */
export function exactMatch(
  texts: readonly string[],
  golds: readonly string[],
  options: Readonly<Record<string, unknown>> = {},
): number {
  if (texts.length !== golds.length || texts.length === 0) {
    throw new QuernError(`exact_match has ${texts.length} texts for ${golds.length} references`);
  }
  return exactMatcher(options)(texts, golds).filter(Boolean).length / texts.length;
}
