/**
 * @file Finds added tokens before the text is split into pretokens: special tokens (end of text, chat roles) and others added to
 * a vocabulary. The rules are those of the Rust library `tokenizers`: the leftmost match wins, then the longest. Tokens that are
 * not `normalized` are searched in the raw text; the others in the normalized text between those.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";

/** The special token that ends a document in token shards. */
export const END_OF_TEXT = "<|endoftext|>";

/** An added token with the flags of tokenizer.json. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Matches only if no word character is adjacent. */
  readonly single_word: boolean;
  /** The match includes the white space before it. */
  readonly lstrip: boolean;
  /** The match includes the white space after it. */
  readonly rstrip: boolean;
  /** Searched in the normalized text. */
  readonly normalized: boolean;
  /** Matches only if the caller allows special tokens; `decode` can skip it. */
  readonly special: boolean;
}

/**
 * How special tokens in a text are encoded: `text` as ordinary text, `allow` as their tokens, `error` throws if one occurs; a
 * set allows its members and encodes the others as ordinary text.
 */
export type SpecialHandling = "text" | "allow" | "error" | ReadonlySet<string>;

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /\p{White_Space}/u;

/** Finds added tokens in texts. */
export class AddedTokenFinder {
  readonly #byContent = new Map<string, AddedToken>();
  readonly #regex: RegExp | undefined;
  /** True if some of the tokens are not special. */
  readonly #hasOrdinary: boolean;

  constructor(tokens: readonly AddedToken[]) {
    for (const token of tokens) if (token.content !== "") this.#byContent.set(token.content, token);
    this.#hasOrdinary = [...this.#byContent.values()].some((token) => !token.special);
    // Descending order puts a token before its prefixes, so that the longest match wins.
    const contents = [...this.#byContent.keys()].sort().reverse();
    if (contents.length > 0) {
      this.#regex = new RegExp(contents.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|"), "g");
    }
  }

  /** True if no token can match, so that no search is needed. */
  isIdle(special: SpecialHandling): boolean {
    return this.#regex === undefined || (special === "text" && !this.#hasOrdinary);
  }

  /**
   * Visits the added tokens and the text between them (id −1) in order. Stops and returns false when `visit` does. Returns
   * undefined, without visiting anything, if the text contains no added token.
   * @throws QuernError if `special` is "error" and the text contains a special token
   */
  split(
    text: string,
    special: SpecialHandling,
    visit: (start: number, end: number, id: number) => boolean,
  ): boolean | undefined {
    const found = this.#regex;
    if (found === undefined) return undefined;
    // `visit` may call `split` again, so the position is not kept in the shared expression.
    let at = 0;
    let any = false;
    let done = 0;
    for (;;) {
      found.lastIndex = at;
      const match = found.exec(text);
      if (match === null) break;
      at = found.lastIndex;
      const token = this.#byContent.get(match[0])!;
      if (token.special && special !== "allow") {
        if (special === "error") {
          throw new QuernError(
            `the text contains the special token ${quoted(token.content)} at character ${match.index}; ` +
              'encode with special: "allow" to encode it as that token, or "text" to encode it as ordinary text',
          );
        }
        if (special === "text" || !special.has(token.content)) continue;
      }
      let start = match.index;
      let end = start + match[0].length;
      if (token.single_word && (isWordBefore(text, start) || isWordAfter(text, end))) continue;
      if (token.lstrip) {
        while (start > 0 && SPACE.test(text[start - 1])) start--;
        start = Math.max(start, done);
      }
      if (token.rstrip) {
        while (end < text.length && SPACE.test(text[end])) end++;
      }
      // White space that an earlier match includes may itself match a token. The Rust library returns both, unless nothing is left.
      if (start >= end) continue;
      any = true;
      if (start > done && !visit(done, start, -1)) return false;
      if (!visit(start, end, token.id)) return false;
      done = end;
    }
    if (!any) return undefined;
    return done >= text.length || visit(done, text.length, -1);
  }
}

function isWordBefore(text: string, index: number): boolean {
  if (index === 0) return false;
  const unit = text.charCodeAt(index - 1);
  const from = unit >= 0xdc00 && unit <= 0xdfff && index > 1 ? index - 2 : index - 1;
  return WORD.test(text.slice(from, index));
}

function isWordAfter(text: string, index: number): boolean {
  return index < text.length && WORD.test(String.fromCodePoint(text.codePointAt(index)!));
}
