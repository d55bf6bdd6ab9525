/**
 * @file Hand-written lexers for the published pre-tokenization patterns, over UTF-8 bytes.
 * A lexer splits a text into the same pretokens as the pattern's leftmost match with backtracking. Each alternative of a pattern
 * becomes a few comparisons of code point classes from one generated Unicode table. ASCII takes one table look-up per byte; other
 * characters are decoded first.
 *
 * Look-aheads and `$` treat `end` as the end of the text. The input must be valid UTF-8.
 */
import { CASELESS, LOWER, MARK, NEWLINE, NUMBER, OTHER, pageOf, pages, SPACE, UPPER } from "./unicode-classes.js";

/**
 * Splits bytes[start, end) into pretokens: writes the end of each to `bounds`, from bounds[count] on, and returns the new count.
 * The caller provides room for end − start more entries. For text that the pattern drops, the complement of its end (a negative
 * number) is written.
 */
export type Lexer = (bytes: Uint8Array, start: number, end: number, bounds: Int32Array, count: number) => number;

/** Marks the lead byte of a character of several bytes. */
const WIDE = 8;
/** (256): class by first byte. */
const byteClass = new Uint8Array(256).fill(WIDE);
byteClass.set(pages.subarray(pageOf[0] << 8, (pageOf[0] << 8) + 128));

// Sets of classes as bit masks, for characters beyond ASCII as well.
const LETTERS = (1 << UPPER) | (1 << LOWER) | (1 << CASELESS);
const SPACES = (1 << SPACE) | (1 << NEWLINE);
/** `[^\s\p{L}\p{N}]`: punctuation, symbols, marks, controls, unassigned. */
const SYMBOLS = (1 << OTHER) | (1 << MARK);
/** `[^\r\n\p{L}\p{N}]`: characters that a word may begin with. */
const PREFIXES = SYMBOLS | (1 << SPACE);
/** o200k's upper set, `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, and its lower set, `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`. */
const UPPERS = (1 << UPPER) | (1 << CASELESS) | (1 << MARK);
const LOWERS = (1 << LOWER) | (1 << CASELESS) | (1 << MARK);

/** Bytes of the character that starts with `lead`. */
function widthOf(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/** Class of the character at bytes[i], all of whose bytes must be present. */
function classAt(bytes: Uint8Array, i: number): number {
  const lead = bytes[i];
  if (lead < 0x80) return byteClass[lead];
  let point: number;
  if (lead < 0xe0) point = ((lead & 0x1f) << 6) | (bytes[i + 1] & 0x3f);
  else if (lead < 0xf0) point = ((lead & 0x0f) << 12) | ((bytes[i + 1] & 0x3f) << 6) | (bytes[i + 2] & 0x3f);
  else
    point =
      ((lead & 0x07) << 18) | ((bytes[i + 1] & 0x3f) << 12) | ((bytes[i + 2] & 0x3f) << 6) | (bytes[i + 3] & 0x3f);
  return pages[(pageOf[point >> 8] << 8) | (point & 255)];
}

/** End of the run of characters at i whose classes are in the set (a bit mask), at most `end`. */
function runEnd(bytes: Uint8Array, i: number, end: number, set: number): number {
  while (i < end) {
    if (((set >> classAt(bytes, i)) & 1) === 0) break;
    i += widthOf(bytes[i]);
  }
  return i;
}

/** End of the run of letters at i. ASCII letters have their own loop, because they dominate most texts. */
function lettersEnd(bytes: Uint8Array, i: number, end: number): number {
  for (;;) {
    while (i < end && isAsciiLetter(bytes[i])) i++;
    if (i >= end || bytes[i] < 0x80 || ((LETTERS >> classAt(bytes, i)) & 1) === 0) return i;
    i += widthOf(bytes[i]);
  }
}

function isAsciiLetter(byte: number): boolean {
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

/** End of at most `limit` number characters from i. */
function numbersEnd(bytes: Uint8Array, i: number, end: number, limit: number): number {
  for (let n = 0; n < limit && i < end; n++) {
    if (classAt(bytes, i) !== NUMBER) break;
    i += widthOf(bytes[i]);
  }
  return i;
}

/**
 * End of `'(?:[sdmt]|ll|ve|re)` at i, where bytes[i] is an apostrophe; 0 if it does not match. `fold` ignores case by Unicode's
 * simple case folding, which includes U+017F, the long s.
 */
function contractionEnd(bytes: Uint8Array, i: number, end: number, fold: boolean): number {
  if (i + 1 >= end) return 0;
  const bit = fold ? 0x20 : 0;
  const first = bytes[i + 1] | bit;
  // s d m t
  if (first === 0x73 || first === 0x64 || first === 0x6d || first === 0x74) return i + 2;
  if (i + 2 >= end) return 0;
  if (fold && bytes[i + 1] === 0xc5 && bytes[i + 2] === 0xbf) return i + 3;
  const second = bytes[i + 2] | bit;
  // ll, ve, re
  if (first === 0x6c) return second === 0x6c ? i + 3 : 0;
  if (first === 0x76 || first === 0x72) return second === 0x65 ? i + 3 : 0;
  return 0;
}

/**
 * End of the white space at i by GPT-2's `\s+(?!\S)|\s+`: the run without its last character, which may belong to the next
 * pretoken; the whole run at the end of the text or if it is one character.
 */
function spacesEnd(bytes: Uint8Array, i: number, end: number): number {
  let stop = i;
  let last = i;
  while (stop < end && ((SPACES >> classAt(bytes, stop)) & 1) !== 0) {
    last = stop;
    stop += widthOf(bytes[stop]);
  }
  return stop >= end || last === i ? stop : last;
}

/**
 * End of the white space at i by `\s*[\r\n]+|\s+(?!\S)|\s+`: the last line break of the run, or `spacesEnd` if there is none.
 * With `whole`, tiktoken's `\s++$` comes first, so that a run at the end of the text is one pretoken.
 */
function linesEnd(bytes: Uint8Array, i: number, end: number, whole: boolean): number {
  let stop = i;
  let last = i;
  let newline = 0;
  while (stop < end) {
    const kind = classAt(bytes, stop);
    if (((SPACES >> kind) & 1) === 0) break;
    last = stop;
    stop += widthOf(bytes[stop]);
    if (kind === NEWLINE) newline = stop;
  }
  if (whole && stop >= end) return stop;
  if (newline !== 0) return newline;
  return stop >= end || last === i ? stop : last;
}

/** GPT-2: `'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`. */
export const gpt2: Lexer = (bytes, start, end, bounds, count) => {
  let i = start;
  while (i < end) {
    const byte = bytes[i];
    if (byte === 0x27) {
      const stop = contractionEnd(bytes, i, end, false);
      if (stop !== 0) {
        bounds[count++] = i = stop;
        continue;
      }
    }
    let body = i;
    if (byte === 0x20 && i + 1 < end) body = i + 1;
    const kind = classAt(bytes, body);
    if (((LETTERS >> kind) & 1) !== 0) i = lettersEnd(bytes, body, end);
    else if (kind === NUMBER) i = runEnd(bytes, body, end, 1 << NUMBER);
    else if (((SYMBOLS >> kind) & 1) !== 0) i = runEnd(bytes, body, end, SYMBOLS);
    else i = spacesEnd(bytes, i, end);
    bounds[count++] = i;
  }
  return count;
};

/**
 * The lexers of the cl100k family:
 * `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
 * with `\s++$` before the white space alternatives if `whole` is set.
 */
function cl100kFamily(digits: number, whole: boolean): Lexer {
  return (bytes, start, end, bounds, count) => {
    let i = start;
    while (i < end) {
      const byte = bytes[i];
      // The most frequent pretoken first: a word with an optional space.
      const word = byte === 0x20 ? i + 1 : i;
      if (word < end && isAsciiLetter(bytes[word])) {
        bounds[count++] = i = lettersEnd(bytes, word + 1, end);
        continue;
      }
      if (byte === 0x27) {
        const stop = contractionEnd(bytes, i, end, true);
        if (stop !== 0) {
          bounds[count++] = i = stop;
          continue;
        }
      }
      const kind = classAt(bytes, i);
      if (((LETTERS >> kind) & 1) !== 0) {
        bounds[count++] = i = lettersEnd(bytes, i + widthOf(byte), end);
        continue;
      }
      if (kind === NUMBER) {
        bounds[count++] = i = numbersEnd(bytes, i, end, digits);
        continue;
      }
      let following = -1;
      if (((PREFIXES >> kind) & 1) !== 0) {
        const next = i + widthOf(byte);
        if (next < end) {
          following = classAt(bytes, next);
          if (((LETTERS >> following) & 1) !== 0) {
            bounds[count++] = i = lettersEnd(bytes, next + widthOf(bytes[next]), end);
            continue;
          }
        }
      }
      if (((SYMBOLS >> kind) & 1) !== 0 || (byte === 0x20 && following >= 0 && ((SYMBOLS >> following) & 1) !== 0)) {
        i = runEnd(bytes, byte === 0x20 ? i + 1 : i, end, SYMBOLS);
        while (i < end && (bytes[i] === 0x0d || bytes[i] === 0x0a)) i++;
      } else i = linesEnd(bytes, i, end, whole);
      bounds[count++] = i;
    }
    return count;
  };
}

/** cl100k as in current tiktoken. */
export const cl100k: Lexer = cl100kFamily(3, true);
/** cl100k as first published; also the pattern of Llama 3. */
export const llama3: Lexer = cl100kFamily(3, false);
/** Qwen 2 and 3: each digit is a pretoken. */
export const qwen2: Lexer = cl100kFamily(1, false);

/**
 * End of an o200k word without its prefix, from i: the end of `U*L+`, or 0 if it does not match. U and L are the upper and lower
 * sets. Caseless letters and marks are in both. So if no lower-case letter follows a run of U, the match ends after the
 * run's last caseless character.
 */
function lowerWordEnd(bytes: Uint8Array, i: number, end: number): number {
  // Fast path: most words are optional ASCII capitals and then ASCII lower-case letters.
  let at = i;
  while (at < end && (bytes[at] - 0x41) >>> 0 < 26) at++;
  if (at < end && (bytes[at] - 0x61) >>> 0 < 26) {
    do at++;
    while (at < end && (bytes[at] - 0x61) >>> 0 < 26);
    return at < end && bytes[at] >= 0x80 ? runEnd(bytes, at, end, LOWERS) : at;
  }
  let shared = 0;
  while (i < end) {
    const kind = classAt(bytes, i);
    if (kind === LOWER) return runEnd(bytes, i, end, LOWERS);
    if (((UPPERS >> kind) & 1) === 0) break;
    i += widthOf(bytes[i]);
    if (kind !== UPPER) shared = i;
  }
  return shared;
}

/** o200k: splits camel-case words before a capital, and keeps contractions with their word. */
export const o200k: Lexer = (bytes, start, end, bounds, count) => {
  let i = start;
  while (i < end) {
    const byte = bytes[i];
    let stop = 0;
    // The most frequent pretoken first: a word with an optional space.
    const word = byte === 0x20 ? i + 1 : i;
    const plain = word < end && isAsciiLetter(bytes[word]);
    const kind = plain ? LOWER : classAt(bytes, i);
    if (kind === NUMBER) {
      bounds[count++] = i = numbersEnd(bytes, i, end, 3);
      continue;
    }
    if (plain) {
      stop = lowerWordEnd(bytes, word, end);
      if (stop === 0) stop = runEnd(bytes, word, end, UPPERS);
    } else if (kind !== NEWLINE) {
      // Try to match with a prefix first. A mark can be a prefix or part of the word.
      const next = i + widthOf(byte);
      const prefixed = ((PREFIXES >> kind) & 1) !== 0;
      if (prefixed) {
        if (next < end) stop = lowerWordEnd(bytes, next, end);
        if (stop === 0 && kind === MARK) stop = lowerWordEnd(bytes, i, end);
        if (stop === 0 && next < end) {
          const capitals = runEnd(bytes, next, end, UPPERS);
          if (capitals > next) stop = capitals;
        }
      } else {
        stop = lowerWordEnd(bytes, i, end);
        if (stop === 0) stop = runEnd(bytes, i, end, UPPERS);
      }
    }
    if (stop !== 0) {
      if (stop < end && bytes[stop] === 0x27) {
        const contracted = contractionEnd(bytes, stop, end, true);
        if (contracted !== 0) stop = contracted;
      }
      bounds[count++] = i = stop;
      continue;
    }
    const symbols = byte === 0x20 ? i + 1 : i;
    if (symbols < end && ((SYMBOLS >> classAt(bytes, symbols)) & 1) !== 0) {
      i = runEnd(bytes, symbols, end, SYMBOLS);
      while (i < end && (bytes[i] === 0x0d || bytes[i] === 0x0a || bytes[i] === 0x2f)) i++;
    } else i = linesEnd(bytes, i, end, false);
    bounds[count++] = i;
  }
  return count;
};
