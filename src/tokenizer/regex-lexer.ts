/**
 * @file The lexer of a regular expression that is none of the published ones, in Oniguruma's syntax, which is what the
 * Rust `tokenizers` reads. JavaScript's own syntax lacks `(?i:…)` and possessive quantifiers and has another `\s`.
 */
import { toRegExp } from "oniguruma-to-es";
import { QuernError } from "../errors.js";
import type { Lexer } from "./lexers.js";

/** Which pieces are kept: the matches and what lies between them, or one of the two. */
export type Kept = "all" | "matches" | "between";

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Every match is a pretoken, and so is every stretch between two, unless `kept` says otherwise. Empty matches cut nothing.
 * @throws QuernError if the pattern is not valid
 */
export function regexLexer(pattern: string, kept: Kept = "all"): Lexer {
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
      `the pattern ${JSON.stringify(pattern)} is not a regular expression that can be used: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  return (bytes, start, end, bounds, count) => {
    const text = decoder.decode(bytes.subarray(start, end));
    let unit = 0;
    let byte = start;
    const advance = (to: number): number => {
      for (; unit < to; unit++) {
        const code = text.charCodeAt(unit);
        // A surrogate pair is four bytes, two for each half.
        byte += code < 0x80 ? 1 : code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 2 : 3;
      }
      return byte;
    };
    regex.lastIndex = 0;
    for (let match = regex.exec(text); match !== null; match = regex.exec(text)) {
      if (match[0].length === 0) {
        regex.lastIndex += (text.codePointAt(regex.lastIndex) ?? 0) > 0xffff ? 2 : 1;
        continue;
      }
      if (match.index > unit) {
        const gap = advance(match.index);
        bounds[count++] = kept === "matches" ? ~gap : gap;
      }
      const matched = advance(match.index + match[0].length);
      bounds[count++] = kept === "between" ? ~matched : matched;
    }
    if (unit < text.length) {
      const gap = advance(text.length);
      bounds[count++] = kept === "matches" ? ~gap : gap;
    }
    return count;
  };
}
