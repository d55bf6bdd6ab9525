/** @file `POST /v1/completions`: continues texts. */
import { randomUUID } from "node:crypto";
import type { PromptLogprob, TextToken } from "../../infer/index.js";
import { bodyOf, type RouteContext, type Serving, withModel } from "../context.js";
import { type Choice, type GenerationJob, roomFor, runGeneration } from "../generation.js";
import { completionLogprobs, identifiedLogprob } from "../logprobs.js";
import { checkCompletion, completionRequest, promptsOf } from "../requests/completions.js";
import { checkTokenIds, samplingOf } from "../requests/sampling.js";
import { encodedPrompt } from "./encoded-prompt.js";
import { echoOf } from "./prompt-echo.js";
import { obfuscation, usageOf } from "./usage.js";

/** OpenAI's default. */
const TOKENS = 16;

export async function completions(c: RouteContext, serving: Serving): Promise<Response> {
  const request = await bodyOf(c, serving, completionRequest);
  checkCompletion(request);
  return withModel(c, serving, request.model, async ({ model, signal }, respond) => {
    const { n = null, best_of, logprobs, echo } = request;
    const choices = n ?? 1;
    const best = best_of ?? choices;
    const prompts = await Promise.all(promptsOf(request).map((prompt) => encodedPrompt(model, prompt)));
    const sampling = samplingOf(request, model.config.vocabSize);
    const wanted = request.max_tokens ?? TOKENS;
    const start = request.continue_token_ids ?? [];
    checkTokenIds(start, model.config.vocabSize, "continue_token_ids");
    const jobs = prompts.map(({ ids: promptIds }): GenerationJob => {
      const ids = [...promptIds, ...start];
      const room = roomFor(ids, wanted, model, "prompt");
      const promptLogprobs = echo === true && logprobs != null;
      const rest = { endOfText: model.endOfText, skipSpecial: false, topLogprobs: logprobs ?? 0, promptLogprobs };
      return { ids, tokens: room, n: best, sampling, ...rest };
    });
    /** Further fields of `logprobs`. */
    const identified = (tokens: readonly (TextToken | PromptLogprob)[]) =>
      request.return_token_ids === true && {
        // Those of a prompt are excluded, since an echo is.
        content: (tokens as readonly TextToken[]).map((token) =>
          identifiedLogprob(model.tokenizer, token, model.endOfText),
        ),
      };
    const head = {
      id: `cmpl-${randomUUID()}`,
      object: "text_completion" as const,
      created: Math.floor(Date.now() / 1000),
      model: model.id,
      system_fingerprint: serving.fingerprint,
    };

    if (request.stream !== true) {
      const results = await Promise.all(
        jobs.map(async (job, i) => {
          const echoed = echo === true ? echoOf(model, prompts[i], job, signal) : null;
          const result = await runGeneration(model, serving.activity, job, {
            signal,
            onPromptLogprobs: (tokens) => echoed?.receive(tokens),
          });
          const kept = best > choices ? likeliest(result.choices, choices) : result.choices;
          const before = (await echoed?.tokens()) ?? [];
          const made = kept.map((choice, k) => ({
            index: i * choices + k,
            text: (echo === true ? prompts[i].text : "") + choice.text,
            logprobs:
              logprobs == null
                ? null
                : {
                    ...completionLogprobs(model.tokenizer)([...before, ...choice.tokens]),
                    ...identified(choice.tokens),
                  },
            finish_reason: choice.finishReason,
          }));
          return { result, made };
        }),
      );
      const usage = usageOf(results.map(({ result }) => result));
      return respond.json({ ...head, choices: results.flatMap(({ made }) => made), usage });
    }

    const { include_usage: withUsage, include_obfuscation: padded } = request.stream_options ?? {};
    return respond.events(async (stream) => {
      const send = (choice: object) => stream.send({ ...head, choices: [choice], ...(padded && obfuscation()) });
      const results = await Promise.all(
        jobs.map(async (job, i) => {
          const writers = Array.from({ length: choices }, () => completionLogprobs(model.tokenizer));
          const chunk = (k: number, text: string, tokens: Parameters<(typeof writers)[0]>[0], finish: string | null) =>
            send({
              index: i * choices + k,
              text,
              logprobs: logprobs == null ? null : { ...writers[k](tokens), ...identified(tokens) },
              finish_reason: finish,
            });
          const echoed = echo === true ? echoOf(model, prompts[i], job, signal) : null;
          // The echo comes first, so what the model makes meanwhile waits for it.
          const begun = echoed === null ? null : echoed.tokens();
          let isEchoed = echoed === null;
          const late: (() => void)[] = [];
          const inOrder = (work: () => void) => (isEchoed ? work() : void late.push(work));
          const shown = begun?.then((tokens) => {
            for (let k = 0; k < choices; k++) chunk(k, prompts[i].text, tokens, null);
            isEchoed = true;
            for (const work of late) work();
          });
          shown?.catch(() => {}); // awaited below, unless the generation fails first
          const result = await runGeneration(model, serving.activity, job, {
            signal,
            onPromptLogprobs: (tokens) => echoed?.receive(tokens),
            onPiece({ text, tokens }, k) {
              if (text !== "" || logprobs != null) inOrder(() => chunk(k, text, tokens, null));
            },
            onEnd: ({ finishReason }, k) => inOrder(() => chunk(k, "", [], finishReason)),
          });
          await shown;
          return result;
        }),
      );
      if (withUsage) stream.send({ ...head, choices: [], usage: usageOf(results) });
      stream.sendText("[DONE]");
    });
  });
}

/** The completions whose tokens are likeliest on average, in order. */
function likeliest(choices: readonly Choice[], n: number): readonly Choice[] {
  const mean = ({ tokens }: Choice) =>
    tokens.length === 0 ? 0 : tokens.reduce((sum, { logprob }) => sum + logprob, 0) / tokens.length;
  return [...choices].sort((a, b) => mean(b) - mean(a)).slice(0, n);
}
