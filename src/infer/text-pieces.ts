/** @file Turns the tokens of one completion into pieces of text: whole characters, cut before a stop string. */
import type { Tokenizer } from "../tokenizer/index.js";
import type { GeneratedToken } from "./completion.js";
import { stopFinder } from "./stop-strings.js";

/** A token whose text, or the start of it, is in the completion's text. */
export interface TextToken extends GeneratedToken {
  /** Where its text begins in the completion's text, in UTF-16 units. */
  readonly offset: number;
}

/** Text that is safe to show, with the tokens that it completes. */
export interface TextPiece {
  readonly text: string;
  /**
   * A token that ends inside a character or a possible stop string comes with the piece that completes it. All pieces together
   * have the tokens of the whole text; those of a stop string are left out.
   */
  readonly tokens: readonly TextToken[];
}

export interface TextPieces {
  /** Adds a token and returns whether a stop string ended the text. */
  push(token: GeneratedToken): boolean;
  /** Flushes the rest. */
  end(): void;
  /** All that was emitted. */
  readonly text: string;
  readonly tokens: readonly TextToken[];
}

export interface TextPiecesOptions {
  /** The text ends before the first of these strings. */
  readonly stop: readonly string[];
  /** Leaves special tokens out of the text. */
  readonly skipSpecial: boolean;
  /** Ids of special tokens that stay in the text all the same. */
  readonly keptSpecial?: ReadonlySet<number>;
  readonly onPiece: (piece: TextPiece) => void;
}

export function textPieces(
  tokenizer: Tokenizer,
  { stop, skipSpecial, keptSpecial, onPiece }: TextPiecesOptions,
): TextPieces {
  // A token may end inside a character; the decoder buffers its bytes until the rest arrives.
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  const finder = stopFinder(stop);
  /** Length of all text so far, emitted or not, and bytes of the last character that are still missing. */
  let decoded = 0;
  let missing = 0;
  let text = "";
  /** Tokens that no piece has yet, each with the length of the text that completes it. */
  let held: { readonly token: TextToken; readonly end: number }[] = [];
  const tokens: TextToken[] = [];

  const emit = (piece: string, isLast: boolean) => {
    if (piece === "" && !isLast) return;
    text += piece;
    const isReady = ({ token, end }: (typeof held)[number]) =>
      end <= text.length || (isLast && (token.offset < text.length || !finder.found));
    const ready = held.filter(isReady).map(({ token }) => token);
    held = isLast ? [] : held.filter((each) => !isReady(each));
    tokens.push(...ready);
    if (piece !== "" || ready.length > 0) onPiece({ text: piece, tokens: ready });
  };
  return {
    push(token) {
      // The embedding table may have rows without a token.
      const skips = skipSpecial && keptSpecial?.has(token.id) !== true;
      const bytes = tokenizer.has(token.id)
        ? tokenizer.decodeBytes([token.id], { skipSpecial: skips })
        : new Uint8Array(0);
      const piece = utf8.decode(bytes, { stream: true });
      const offset = decoded;
      decoded += piece.length;
      missing = missingBytes(bytes, missing);
      held.push({ token: { ...token, offset }, end: decoded + (missing > 0 ? 1 : 0) });
      const safe = finder.push(piece);
      emit(safe, finder.found);
      return finder.found;
    },
    end() {
      if (!finder.found) emit(finder.push(utf8.decode()) + finder.end(), true);
    },
    get text() {
      return text;
    },
    tokens,
  };
}

/** Returns how many bytes the last character still needs after `bytes`, if it needed `missing` before them. */
function missingBytes(bytes: Uint8Array, missing: number): number {
  let left = missing;
  for (const byte of bytes) {
    const isContinuation = byte >= 0x80 && byte < 0xc0;
    if (isContinuation) left = Math.max(0, left - 1);
    else left = byte < 0xc2 || byte > 0xf4 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
  }
  return left;
}
