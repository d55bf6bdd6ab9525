/** @file Encodes likelihood requests as lm-evaluation-harness 0.4 does. */
import type { Tokenizer } from "../tokenizer/index.js";

export interface RequestTokens {
  readonly context: readonly number[];
  readonly continuation: readonly number[];
}

export interface RequestEncoder {
  /** Encodes context and continuation together; the ids after the context's own belong to the continuation. */
  encodePair(request: { readonly context: string; readonly continuation: string }): RequestTokens;
  /** Encodes a whole text, with the ids that the tokenizer puts before it. */
  encodeText(text: string): readonly number[];
  /** The token before a text: beginning-of-text or, without one, end-of-text. */
  readonly prefix: number | undefined;
}

/** @param beginning ids that begin a text if the tokenizer's configuration names no token */
export function requestEncoder(tokenizer: Tokenizer, beginning: readonly number[]): RequestEncoder {
  const named = (key: string) => {
    const token = tokenizer.parts.config?.[key];
    const content = typeof token === "object" && token !== null ? (token as { content?: unknown }).content : token;
    return typeof content === "string" ? tokenizer.special.get(content) : undefined;
  };
  const before = tokenizer.parts.before ?? [];
  const prefix = named("bos_token") ?? named("eos_token") ?? beginning[0];
  const plain = (text: string) => Array.from(tokenizer.encode(text, { special: "allow" }));
  const encodeText = (text: string) => {
    const ids = plain(text);
    return ids[0] === before[0] ? ids : [...before, ...ids];
  };
  // The choices of a question follow each other and have the same context.
  let [words, start]: [string, readonly number[]] = ["", []];
  return {
    prefix,
    encodeText,
    encodePair({ context, continuation }) {
      const trimmed = context.trimEnd();
      if (trimmed !== words) [words, start] = [trimmed, trimmed === "" ? [] : encodeText(trimmed)];
      if (start.length > 0)
        return { context: start, continuation: encodeText(context + continuation).slice(start.length) };
      const ids = plain(context + continuation);
      const beginsItself = prefix === undefined || ids[0] === prefix;
      return beginsItself
        ? { context: ids.slice(0, 1), continuation: ids.slice(1) }
        : { context: [prefix], continuation: ids };
    },
  };
}
