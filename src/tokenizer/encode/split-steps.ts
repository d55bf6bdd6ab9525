/**
 * @file The pre-tokenizers of tokenizer.json that split a text at matches: Split, Digits, Punctuation and others. Each finds
 * matches; its behaviour determines how matches and the text between them become pieces. The rules are those of the Rust library
 * `tokenizers`.
 */
import { toByteLevel } from "./byte-level.js";
import type { Lexer } from "./lexers.js";

/** A match is dropped, a piece by itself, joined to the text before or after it, or joined to adjacent matches. */
export const BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"] as const;
export type Behavior = (typeof BEHAVIORS)[number];

/** Returns the matches in a text, (matches, 2): start and end in UTF-16 units. A match can be empty. */
export type Matcher = (text: string) => readonly number[];

/** Returns the successive matches of a regular expression with flag `g`, as Oniguruma finds them. */
export function matchesOf(regex: RegExp, text: string): number[] {
  const matches: number[] = [];
  let from = 0;
  let last = -1;
  for (;;) {
    regex.lastIndex = from;
    const found = regex.exec(text);
    if (found === null) return matches;
    const start = found.index;
    const end = start + found[0].length;
    if (end === start && end === last) {
      // An empty match directly after the last match does not count.
      if (from >= text.length) return matches;
      from += (text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1;
      continue;
    }
    matches.push(start, end);
    from = end;
    last = end;
  }
}

/** Returns a matcher without a time limit, for Quern's own expressions, which cannot backtrack. */
export function simpleMatcher(regex: RegExp): Matcher {
  return (text) => matchesOf(regex, text);
}

interface Piece {
  start: number;
  end: number;
  readonly isRemoved: boolean;
}

/** Returns the pieces of a text of `length` units in order, including removed ones; some are empty. */
function piecesOf(
  length: number,
  matches: readonly number[],
  behavior: Behavior,
  isInverted: boolean,
): readonly Piece[] {
  const parts: { readonly start: number; readonly end: number; readonly isMatch: boolean }[] = [];
  let done = 0;
  for (let i = 0; i < matches.length; i += 2) {
    const [start, end] = [matches[i], matches[i + 1]];
    if (start > done) parts.push({ start: done, end: start, isMatch: isInverted });
    parts.push({ start, end, isMatch: !isInverted });
    done = end;
  }
  if (done < length) parts.push({ start: done, end: length, isMatch: isInverted });
  const pieces: Piece[] = [];
  let before = false;
  if (behavior === "MergedWithNext") {
    for (const { start, end, isMatch } of parts.reverse()) {
      const next = pieces.at(-1);
      if (isMatch && !before && next !== undefined) next.start = start;
      else pieces.push({ start, end, isRemoved: false });
      before = isMatch;
    }
    return pieces.reverse();
  }
  for (const { start, end, isMatch } of parts) {
    const last = pieces.at(-1);
    const joins =
      behavior === "Contiguous" ? isMatch === before : behavior === "MergedWithPrevious" && isMatch && !before;
    if (joins && last !== undefined) last.end = end;
    else pieces.push({ start, end, isRemoved: behavior === "Removed" && isMatch });
    before = isMatch;
  }
  return pieces;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** Returns a lexer that splits at matches. @param isInverted treats the text between matches as the matches */
export function splitAt(matcher: Matcher, behavior: Behavior, isInverted = false): Lexer {
  return (bytes, start, end, bounds, count) => {
    const text = decoder.decode(bytes.subarray(start, end));
    let unit = 0;
    let byte = start;
    const cut = (to: number, isRemoved: boolean): void => {
      if (to <= unit) return;
      for (; unit < to; unit++) {
        const code = text.charCodeAt(unit);
        // A surrogate pair is four bytes: count two per half.
        byte += code < 0x80 ? 1 : code < 0x800 || (code >= 0xd800 && code <= 0xdfff) ? 2 : 3;
      }
      bounds[count++] = isRemoved ? ~byte : byte;
    };
    if (behavior === "Isolated") {
      // The most frequent behaviour, without allocating an object per piece.
      for (const end of matcher(text)) cut(end, false);
      cut(text.length, false);
    } else
      for (const { end, isRemoved } of piecesOf(text.length, matcher(text), behavior, isInverted)) cut(end, isRemoved);
    return count;
  };
}

/** Like `splitAt`, but after ByteLevel, which maps each byte to a character. */
export function splitBytesAt(matcher: Matcher, behavior: Behavior, isInverted = false): Lexer {
  return (bytes, start, end, bounds, count) => {
    const text = toByteLevel(bytes.subarray(start, end));
    let done = 0;
    for (const piece of piecesOf(text.length, matcher(text), behavior, isInverted)) {
      if (piece.end <= done) continue;
      done = piece.end;
      bounds[count++] = piece.isRemoved ? ~(start + done) : start + done;
    }
    return count;
  };
}

/** The characters that the Rust library counts as punctuation. */
export const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/gu;
export const WHITE_SPACE = /\p{White_Space}/gu;
/** Words and runs of symbols, as the pre-tokenizer `Whitespace` matches them with the classes of Rust's regular expressions. */
export const WORDS =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu;
