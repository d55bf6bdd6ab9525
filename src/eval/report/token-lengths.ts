/** @file Where the tokens of a text begin and end, from their texts one by one. */
import type { Tokenizer } from "../../tokenizer/index.js";

/** Returns the texts of a prompt's tokens, in order. A token without whole characters of its own may be empty. */
export type TokenPieces = (text: string) => readonly string[];

/** Returns the tokens of texts by a tokenizer, with special tokens in the text as such. */
export function tokenPieces(tokenizer: Tokenizer): TokenPieces {
  return (text) => {
    const { starts, ends } = tokenizer.encodeWithOffsets(text, { special: "allow" });
    // Tokens that share a character all have its place; the first one gets its text.
    let at = 0;
    return Array.from(starts, (start, i) => {
      const piece = text.slice(Math.max(at, start), ends[i]);
      at = Math.max(at, ends[i]);
      return piece;
    });
  };
}

/**
 * Returns the length of each token in UTF-16 units of `text`. Tokens that share a character, such as two bytes of an emoji, have
 * no text of their own: the first of them has the whole length, the others 0. So do tokens that the text does not contain.
 */
export function tokenLengths(text: string, pieces: readonly string[]): number[] {
  const lengths = new Array<number>(pieces.length).fill(0);
  let at = 0;
  for (let i = 0; i < pieces.length; ) {
    const piece = pieces[i];
    if (piece === "") {
      i++;
      continue;
    }
    if (isWhole(piece) && text.startsWith(piece, at)) {
      lengths[i++] = piece.length;
      at += piece.length;
      continue;
    }
    // The next whole token that follows shows where the broken ones end.
    let next = i + 1;
    let found = -1;
    for (; next < pieces.length && found < 0; next++) {
      if (!isWhole(pieces[next])) continue;
      const place = text.indexOf(pieces[next], at + (isWhole(piece) ? 0 : 1));
      // Far away it is another occurrence.
      if (place >= 0 && place - at <= 8 * (next - i)) {
        found = place;
        break;
      }
    }
    const end = found < 0 ? text.length : found;
    lengths[i] = end - at;
    at = end;
    i = found < 0 ? pieces.length : next;
  }
  if (at < text.length && lengths.length > 0) lengths[lengths.length - 1] += text.length - at;
  return lengths;
}

/** Parts of a character are written as U+FFFD. */
const isWhole = (piece: string) => piece !== "" && !piece.includes("\ufffd");
