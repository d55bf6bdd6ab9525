/** @file Python's text methods where JavaScript's differ: white space, and lengths in code points. */

/** What `str.isspace` accepts, for a character class. JavaScript's \s lacks some of these and adds U+FEFF. */
export const PYTHON_SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";

const LEADING = new RegExp(`^[${PYTHON_SPACE}]+`);
const TRAILING = new RegExp(`[${PYTHON_SPACE}]+$`);
const SPACES = new RegExp(`[${PYTHON_SPACE}]+`);
const SPACE_AT_END = new RegExp(`[${PYTHON_SPACE}]$`);

/** Returns the text without white space at its ends, `str.strip()`. */
export function strip(text: string): string {
  return stripEnd(text).replace(LEADING, "");
}

/** Returns the text without white space at its end, `str.rstrip()`. */
export function stripEnd(text: string): string {
  // The search for the pattern is quadratic in long inner runs of spaces, so look at the end first.
  return SPACE_AT_END.test(text) ? text.slice(0, text.search(TRAILING)) : text;
}

/** Returns the words between white space, `str.split()`. */
export function splitWords(text: string): string[] {
  return text.split(SPACES).filter((word) => word !== "");
}

/** Returns the number of code points, `len(str)`. */
export function codePoints(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) {
    count++;
    const unit = text.charCodeAt(i);
    if (unit < 0xd800 || unit > 0xdbff) continue;
    const low = text.charCodeAt(i + 1);
    if (low >= 0xdc00 && low <= 0xdfff) i++;
  }
  return count;
}

/** Returns the number of bytes in UTF-8. */
export function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, "utf8");
}
