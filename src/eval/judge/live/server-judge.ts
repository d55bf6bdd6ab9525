/** @file A judge behind an OpenAI-compatible server. */
import { OpenAIClient, type OpenAIClientOptions, ServerError } from "../../../infer/index.js";
import type { CompletionCache, StoredCompletion } from "./completion-cache.js";
import { dropped, hashOf, type Judge, type Judgement, type ShownPair } from "./judge.js";
import { type Asking, identityOfAsking, judgementsOf } from "./prompt-judge.js";
import { fillTemplate } from "./prompt-template.js";

export interface ServerJudgeOptions extends OpenAIClientOptions {
  /** Name in annotations. Default the model's. */
  readonly name?: string;
  /** The model's name at the server. */
  readonly model: string;
  readonly asking: Asking;
  /** Further fields of the request. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly cache?: CompletionCache;
}

/** Statuses of a wrong address, key or model name: no later request would succeed. */
const HOPELESS = [400, 401, 403, 404, 405, 422];

/** Opens a judge. Requests are repeated after 429, 5xx and timeouts; one that still fails drops its pair. */
export function openServerJudge(options: ServerJudgeOptions): Judge {
  const { name, model, asking, parameters, cache, ...connection } = options;
  const client = new OpenAIClient(connection);
  let succeeded = false;

  const complete = async (messages: readonly object[], at: AbortSignal | undefined) => {
    const request = { model, messages, ...parameters };
    const key = hashOf([client.baseUrl, request]);
    const found = await cache?.get(key);
    if (found !== undefined) return { completion: found, seconds: 0, cached: true };
    const start = performance.now();
    let usage: { promptTokens: number; completionTokens: number } | undefined;
    const [choice] = await client.chat(request, {
      signal: at,
      onUsage: (tokens) => {
        usage = tokens;
      },
    });
    succeeded = true;
    const completion: StoredCompletion = {
      text: choice.text,
      ...(choice.topLogProbabilities !== undefined && { logprobs: choice.topLogProbabilities }),
      finish_reason: choice.finishReason,
      prompt_tokens: usage?.promptTokens ?? null,
      completion_tokens: usage?.completionTokens ?? null,
    };
    await cache?.set(key, completion);
    return { completion, seconds: (performance.now() - start) / 1000, cached: false };
  };

  return {
    ...{ name: name ?? model, model, seesOrder: true, group: asking.template.pairs },
    concurrency: connection.concurrency ?? 8,
    identity: ["server", client.baseUrl, model, parameters, identityOfAsking(asking)],
    async judge(pairs: readonly ShownPair[], { signal: at } = {}): Promise<readonly Judgement[]> {
      try {
        return judgementsOf(pairs, asking, await complete(fillTemplate(asking.template, pairs), at));
      } catch (error) {
        if (!(error instanceof ServerError)) throw error;
        if (!succeeded && error.status !== undefined && HOPELESS.includes(error.status)) throw error;
        const reason = error.status === undefined ? "no_response" : `status_${error.status}`;
        return pairs.map(() => dropped(reason, error.message));
      }
    },
    close: () => client.dispose(),
  };
}
