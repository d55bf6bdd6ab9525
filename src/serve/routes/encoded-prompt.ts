/** @file A prompt of a completion: a text, or token ids. */
import { encodePrompt } from "../../infer/index.js";
import type { LoadedModel } from "../models.js";
import { checkTokenIds } from "../requests/sampling.js";

export interface EncodedPrompt {
  readonly ids: readonly number[];
  /** Its text, and the ids that this text is made of: without those that begin every text. */
  readonly text: string;
  readonly shown: readonly number[];
}

/** @throws ApiError for ids that the model does not have */
export async function encodedPrompt(model: LoadedModel, prompt: string | readonly number[]): Promise<EncodedPrompt> {
  const { tokenizer, beginning, config } = model;
  if (typeof prompt === "string") {
    const ids = Array.from((await encodePrompt(tokenizer, beginning, { prompt })).ids);
    const before = prompt === "" ? ids.length : (tokenizer.parts.before?.length ?? 0);
    return { ids, text: prompt, shown: ids.slice(before) };
  }
  checkTokenIds(prompt, config.vocabSize, "prompt");
  return { ids: prompt, text: tokenizer.decode(prompt.filter((id) => tokenizer.has(id))), shown: prompt };
}
