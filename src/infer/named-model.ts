/** @file Opens a model by one name: a path, an address of the hub, or `URL#NAME` for a model on a server. */

import type { LanguageModel } from "./language-model.js";
import { type OpenModelOptions, openModel } from "./open-model.js";

/** Splits `https://host/v1#NAME` into the address of an OpenAI-compatible server and the model's name there. */
export function serverAddress(name: string): { readonly baseUrl: string; readonly model: string } | undefined {
  const [, baseUrl, model] = /^(https?:\/\/[^#]+)#(.+)$/.exec(name) ?? [];
  return baseUrl === undefined ? undefined : { baseUrl, model };
}

/**
 * Opens a run, a model folder, a `.gguf` file, an `hf://` address, or `URL#NAME` (the key is read from OPENAI_API_KEY).
 * @throws QuernError as `openModel`
 */
export async function openNamedModel(name: string, options: OpenModelOptions = {}): Promise<LanguageModel> {
  const server = serverAddress(name);
  return server === undefined ? openModel(name, options) : openModel(server.model, { ...options, ...server });
}
