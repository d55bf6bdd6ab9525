/**
 * @file A text to be written, with the fewest tokens for it and for each of its ends. It is a list from the first byte on, so that
 * texts share their ends, and a text with more bytes before it only needs the tokens of those.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import type { TokenTrie } from "./token-trie.js";

/** One byte and what follows it; null is the empty text. */
export interface WrittenByte {
  readonly byte: number;
  readonly next: WrittenText;
  /** Bytes from here on. */
  readonly length: number;
  /** Fewest tokens from here on, Infinity if the vocabulary cannot write it. */
  readonly count: number;
  /** The first of these tokens, and what is left after it. */
  readonly token: number;
  readonly rest: WrittenText;
}

export type WrittenText = WrittenByte | null;

/** Puts bytes before a text. */
export function writtenBefore(trie: TokenTrie, bytes: ArrayLike<number>, text: WrittenText): WrittenText {
  let result = text;
  for (let i = bytes.length - 1; i >= 0; i--) result = withByte(trie, bytes[i], result);
  return result;
}

function withByte({ bytes, skips, tokens, starts, length }: TokenTrie, byte: number, next: WrittenText): WrittenByte {
  let count = Number.POSITIVE_INFINITY;
  let token = -1;
  let rest: WrittenText = null;
  let node = starts[byte];
  let end = length;
  let after = next;
  while (node >= 0 && node < end) {
    const fewest = after === null ? 0 : after.count;
    // Of equally few tokens, the longest first one.
    if (tokens[node] >= 0 && fewest + 1 <= count) {
      count = fewest + 1;
      token = tokens[node];
      rest = after;
    }
    if (after === null) break;
    end = skips[node];
    node++;
    while (node < end && bytes[node] !== after.byte) node = skips[node];
    after = after.next;
  }
  return { byte, next, length: 1 + (next?.length ?? 0), count, token, rest };
}

/** The tokens of a text. @throws QuernError if the vocabulary cannot write it */
export function tokensOf(text: WrittenText): number[] {
  const ids: number[] = [];
  for (let at = text; at !== null; at = at.rest) {
    if (at.count === Number.POSITIVE_INFINITY) throw unwritable(text);
    ids.push(at.token);
  }
  return ids;
}

function unwritable(text: WrittenText): QuernError {
  const bytes: number[] = [];
  for (let at = text; at !== null; at = at.next) bytes.push(at.byte);
  const shown = quoted(new TextDecoder().decode(Uint8Array.from(bytes)));
  return new QuernError(`the vocabulary has no tokens for "${shown}"; use a tokenizer with all bytes`);
}
