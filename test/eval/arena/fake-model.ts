/** @file A model for tests: it answers with given words, one at a time. */
import type { Generation, GenerationOptions, LanguageModel, Prompt } from "../../../src/infer/index.js";

export interface FakeModel extends LanguageModel {
  /** The most calls of `generate` that ran at the same time. */
  readonly most: number;
  readonly prompts: (string | Prompt)[];
  disposed: boolean;
}

/** @param wait called before each word */
export function fakeModel(
  name: string,
  words: readonly string[],
  wait: (signal?: AbortSignal) => Promise<void>,
): FakeModel {
  let running = 0;
  let most = 0;
  const none = () => Promise.reject(new Error("not used"));
  const prompts: (string | Prompt)[] = [];
  return {
    name,
    sequence: null,
    disposed: false,
    prompts,
    get most() {
      return most;
    },
    countTokens: async () => null,
    logLikelihood: none,
    rollingLogLikelihood: none,
    async generate(asked, { onText, signal }: GenerationOptions = {}): Promise<Generation[]> {
      prompts.push(...asked);
      running += 1;
      most = Math.max(most, running);
      try {
        for (const word of words) {
          await wait(signal);
          signal?.throwIfAborted();
          if (word === "FAIL") throw new Error(`${name} is broken`);
          onText?.(word, 0, 0);
        }
      } finally {
        running -= 1;
      }
      return [
        { prompt: asked[0], completions: [{ text: words.join(""), tokens: [], finishReason: "stop" }] },
      ] as unknown as Generation[];
    },
    async dispose() {
      this.disposed = true;
    },
    async [Symbol.asyncDispose]() {
      this.disposed = true;
    },
  };
}
