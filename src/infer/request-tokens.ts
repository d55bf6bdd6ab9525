/** @file Texts of likelihood requests as ids, as lm-evaluation-harness 0.4 encodes them. */
import type { Tokenizer } from "../tokenizer/index.js";
import type { LikelihoodRequest } from "./language-model.js";

export interface RequestTokens {
  readonly context: readonly number[];
  readonly continuation: readonly number[];
}

export interface RequestEncoder {
  /** The ids of a request; its continuation's are those of the whole beyond the context's. */
  encodePair(request: LikelihoodRequest): RequestTokens;
  /** The ids of a whole text with what the tokenizer puts before it. */
  encodeText(text: string): readonly number[];
  /** The token that stands before a text: beginning-of-text or, without one, end-of-text. */
  readonly prefix: number | undefined;
}

/** @param beginning what begins a text where the tokenizer's configuration names no token */
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
  return {
    prefix,
    encodeText,
    encodePair({ context, continuation }) {
      const words = context.trimEnd();
      const start = words === "" ? [] : encodeText(words);
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
