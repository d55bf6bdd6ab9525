/** @file Log-probabilities of tokens in the form of OpenAI's API. */
import type { Tokenizer } from "../tokenizer/index.js";
import type { TokenLogprob } from "./completion.js";

/** A token as in `top_logprobs`. */
export interface LogprobEntry {
  /** Its text; of a token with incomplete characters, its bytes, such as `\xf0\x9f`. */
  readonly token: string;
  readonly logprob: number;
  /** Its bytes, of which those of several tokens may form one character. Empty for an id without a token. */
  readonly bytes: readonly number[];
}

/** A token as in `logprobs.content`. */
export interface ContentLogprob extends LogprobEntry {
  readonly top_logprobs: readonly LogprobEntry[];
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Least log-probability in a result: JSON has no −∞. */
const LEAST = -9999;

/** Returns a token's text; if its bytes are not whole characters, an escape `\x..` for each. */
export function tokenText(tokenizer: Tokenizer, id: number): string {
  if (!tokenizer.has(id)) return "";
  const bytes = tokenizer.decodeBytes([id]);
  try {
    return utf8.decode(bytes);
  } catch {
    return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
  }
}

export function logprobEntry(tokenizer: Tokenizer, { id, logprob }: TokenLogprob): LogprobEntry {
  const bytes = tokenizer.has(id) ? Array.from(tokenizer.decodeBytes([id])) : [];
  return { token: tokenText(tokenizer, id), logprob: Math.max(LEAST, logprob), bytes };
}

export function contentLogprob(
  tokenizer: Tokenizer,
  token: TokenLogprob & { readonly top?: readonly TokenLogprob[] },
): ContentLogprob {
  const top_logprobs = (token.top ?? []).map((each) => logprobEntry(tokenizer, each));
  return { ...logprobEntry(tokenizer, token), top_logprobs };
}
