/** @file The tokens of an echoed prompt with their log-probabilities. */
import type { PromptLogprob } from "../../infer/index.js";
import type { GenerationJob } from "../generation.js";
import type { LoadedModel } from "../models.js";
import type { EncodedPrompt } from "./encoded-prompt.js";

export interface PromptEcho {
  /** Takes the log-probabilities, when the prompt has been read. */
  receive(tokens: readonly PromptLogprob[]): void;
  /** The tokens that the echoed text is made of; none if no log-probabilities are wanted. */
  tokens(): Promise<readonly PromptLogprob[]>;
}

export function echoOf(
  model: LoadedModel,
  { ids, shown }: EncodedPrompt,
  { promptLogprobs, topLogprobs }: GenerationJob,
  signal: AbortSignal,
): PromptEcho {
  let receive: (tokens: readonly PromptLogprob[]) => void = () => {};
  const received = new Promise<readonly PromptLogprob[]>((resolve) => {
    receive = resolve;
  });
  return {
    receive: (tokens) => receive(tokens),
    async tokens() {
      if (promptLogprobs !== true || shown.length === 0) return [];
      const all = (await received).slice(ids.length - shown.length);
      if (all[0].logprob !== null || model.beginning.length === 0) return all;
      return [await firstToken(model, all[0].id, topLogprobs ?? 0, signal), ...all.slice(1)];
    },
  };
}

/** A text's first token has nothing before it; its probability is the one after the token that begins a text. */
async function firstToken(
  model: LoadedModel,
  id: number,
  topLogprobs: number,
  signal: AbortSignal,
): Promise<PromptLogprob> {
  const prompt = [...model.beginning, id];
  let found: PromptLogprob = { id, logprob: null };
  const request = {
    prompt,
    tokens: 0,
    temperature: 0,
    topK: 0,
    seed: 0,
    endOfText: [],
    promptLogprobs: true,
    topLogprobs,
  };
  await model.decoder.generate(request, {
    signal,
    onPromptLogprobs(tokens) {
      found = tokens[tokens.length - 1];
    },
  });
  return found;
}
