/** @file The `logprobs` of `/v1/completions`, and tokens with their ids. */
import {
  type LogprobEntry,
  logprobEntry,
  type PromptLogprob,
  type TextToken,
  type TokenLogprob,
  tokenText,
} from "../infer/index.js";
import type { Tokenizer } from "../tokenizer/index.js";

export interface CompletionLogprobs {
  readonly tokens: string[];
  readonly token_logprobs: (number | null)[];
  readonly top_logprobs: (Record<string, number> | null)[];
  /** Where each token begins in the text, in code points. */
  readonly text_offset: number[];
}

/** A token with what it takes to go on from it. */
export interface IdentifiedEntry extends LogprobEntry {
  readonly id: number;
  /** Whether it ends the answer. */
  readonly ends: boolean;
}

/** Returns a token as in `logprobs.content` of a chat, with ids. */
export function identifiedLogprob(
  tokenizer: Tokenizer,
  token: TextToken,
  ends: readonly number[],
): IdentifiedEntry & { readonly top_logprobs: readonly IdentifiedEntry[] } {
  const identified = (each: TokenLogprob) => ({
    ...logprobEntry(tokenizer, each),
    id: each.id,
    ends: ends.includes(each.id),
  });
  return { ...identified(token), top_logprobs: (token.top ?? []).map(identified) };
}

/** Builds the log-probabilities of one completion, over all pieces of a stream. */
export function completionLogprobs(tokenizer: Tokenizer) {
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  let offset = 0;
  return (tokens: readonly (TextToken | PromptLogprob)[]): CompletionLogprobs => {
    const result: CompletionLogprobs = { tokens: [], token_logprobs: [], top_logprobs: [], text_offset: [] };
    for (const { id, logprob, top = [] } of tokens) {
      result.tokens.push(tokenText(tokenizer, id));
      result.token_logprobs.push(logprob === null ? null : logprobEntry(tokenizer, { id, logprob }).logprob);
      result.top_logprobs.push(logprob === null ? null : likeliest(tokenizer, [...top, { id, logprob }]));
      result.text_offset.push(offset);
      if (tokenizer.has(id)) offset += [...utf8.decode(tokenizer.decodeBytes([id]), { stream: true })].length;
    }
    return result;
  };
}

/** By text; of two tokens with the same text the likelier one counts. The token itself is always there. */
function likeliest(tokenizer: Tokenizer, tokens: readonly TokenLogprob[]): Record<string, number> {
  const found: Record<string, number> = {};
  for (const each of tokens) {
    const { token, logprob } = logprobEntry(tokenizer, each);
    found[token] = Math.max(found[token] ?? Number.NEGATIVE_INFINITY, logprob);
  }
  return found;
}
