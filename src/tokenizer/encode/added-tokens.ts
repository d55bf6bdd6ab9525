/**
 * @file Tokens that are found in the text before it is cut into pretokens: special ones (end of text, roles of a chat) and
 * others that were added to a vocabulary. The rules are the Rust `tokenizers`' own: leftmost, then longest; a token that is
 * not `normalized` is sought in the text as it is, the others in what lies between, once normalised.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";

/** The special token that ends a document in token shards. */
export const END_OF_TEXT = "<|endoftext|>";

/** An added token with the flags of tokenizer.json. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Only between characters that are no word's. */
  readonly single_word: boolean;
  /** Takes the white space before it with it. */
  readonly lstrip: boolean;
  /** Takes the white space after it with it. */
  readonly rstrip: boolean;
  /** Sought in the normalised text. */
  readonly normalized: boolean;
  /** Found only where the caller allows special tokens; left out by `decode` on request. */
  readonly special: boolean;
}

/**
 * What special tokens in a text mean: `text` (they are ordinary text), `allow` (each is its token), `error` (none may
 * occur), or the set of those that are allowed, the others being ordinary text.
 */
export type SpecialHandling = "text" | "allow" | "error" | ReadonlySet<string>;

const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]/u;
const SPACE = /\p{White_Space}/u;

/** Finds added tokens in texts. */
export class AddedTokenFinder {
  readonly #byContent = new Map<string, AddedToken>();
  readonly #regex: RegExp | undefined;
  /** True if some of the tokens always match. */
  readonly #plain: boolean;

  constructor(tokens: readonly AddedToken[]) {
    for (const token of tokens) if (token.content !== "") this.#byContent.set(token.content, token);
    this.#plain = [...this.#byContent.values()].some((token) => !token.special);
    // Descending order puts a longer token before its own beginnings, so that the longest match wins.
    const contents = [...this.#byContent.keys()].sort().reverse();
    if (contents.length > 0) {
      this.#regex = new RegExp(contents.map((text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|"), "g");
    }
  }

  /** True if a text needs no search at all. */
  idle(special: SpecialHandling): boolean {
    return this.#regex === undefined || (special === "text" && !this.#plain);
  }

  /**
   * Visits the stretches of the text in order, as they are found, until `visit` returns false. Returns that, or undefined,
   * having visited nothing, if the text holds no token.
   */
  split(
    text: string,
    special: SpecialHandling,
    visit: (start: number, end: number, id: number) => boolean,
  ): boolean | undefined {
    const found = this.#regex;
    if (found === undefined) return undefined;
    // A visitor may call back, so the place is not left to the shared expression.
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
            `the text holds the special token ${quoted(token.content)} at character ${match.index}; ` +
              'encode with special: "allow" to let it be that token, or "text" to treat it as ordinary text',
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
      // White space that one token has taken may be a token too: the Rust library gives both, unless nothing is left of it.
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
