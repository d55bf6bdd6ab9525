/** @file The usage of a request, and padding that hides the length of a stream's chunks. */
import { randomBytes } from "node:crypto";
import type { GenerationResult } from "../generation.js";

/** OpenAI's `usage`. */
export const usageObject = (promptTokens: number, cachedTokens: number, completionTokens: number) => ({
  prompt_tokens: promptTokens,
  completion_tokens: completionTokens,
  total_tokens: promptTokens + completionTokens,
  prompt_tokens_details: { cached_tokens: cachedTokens, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
});

/** Counts the tokens of one or more prompts and their completions; a prompt counts once, however many completions it has. */
export function usageOf(results: readonly GenerationResult[]) {
  const sum = (count: (result: GenerationResult) => number) => results.reduce((total, each) => total + count(each), 0);
  return usageObject(
    sum((result) => result.promptTokens),
    sum((result) => result.cachedTokens),
    sum(({ choices }) => choices.reduce((total, { generated }) => total + generated, 0)),
  );
}

/** `stream_options.include_obfuscation`: random characters that make chunks differ in length. */
export const obfuscation = () => ({
  obfuscation: randomBytes(12)
    .toString("base64")
    .slice(0, 4 + (randomBytes(1)[0] % 12)),
});
