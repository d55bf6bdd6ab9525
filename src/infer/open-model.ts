/**
 * @file Opens any model for use as a library:
 *
 *     import { openModel } from "quern/infer";
 *
 *     await using model = await openModel("runs/first");
 *     const [{ completions }] = await model.generate(["The sea"], { tokens: 20, seed: 1 });
 *     console.log(completions[0].text, completions[0].finishReason);
 *     for (const { id, logprob } of completions[0].tokens) console.log(id, logprob);
 *     const [yes, no] = await model.logLikelihood([
 *       { context: "Is water wet?", continuation: " Yes" },
 *       { context: "Is water wet?", continuation: " No" },
 *     ]);
 *     console.log(yes.logLikelihood > no.logLikelihood);
 */
import { CheckpointModel, type CheckpointModelOptions } from "./checkpoint-model.js";
import type { LanguageModel } from "./language-model.js";
import type { OpenAIClientOptions } from "./openai-client.js";
import { ServerModel } from "./server-model.js";
import { openTextModel } from "./text-model.js";

export type OpenModelOptions = CheckpointModelOptions & Partial<OpenAIClientOptions>;

/**
 * Opens a model, which stays open until `dispose`. `model` is a run, a model folder, a `.gguf` file or an `hf://` address.
 * With a `baseUrl` it is the name of a model on an OpenAI-compatible server.
 * @throws QuernError for a path without a model, or an address that is not http(s)
 */
export async function openModel(model: string, options: OpenModelOptions = {}): Promise<LanguageModel> {
  const { baseUrl } = options;
  if (baseUrl !== undefined) return new ServerModel({ ...options, model, baseUrl });
  return new CheckpointModel(await openTextModel(model), options);
}
