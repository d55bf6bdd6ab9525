/** @file `POST /v1/chat/completions`: answers conversations. */
import { randomUUID } from "node:crypto";
import { chatEvents, prepareChat } from "../chat-answer.js";
import { bodyOf, type RouteContext, type Serving, withModel } from "../context.js";
import {
  type ChatAnswer,
  type ChatEvent,
  type ChatUsage,
  gatherAnswers,
  type SampledToken,
} from "../protocol/chat-event.js";
import { chatBody, chatRequestOf } from "../requests/chat.js";
import { obfuscation, usageObject } from "./usage.js";

export async function chatCompletions(c: RouteContext, serving: Serving): Promise<Response> {
  const body = await bodyOf(c, serving, chatBody);
  return withModel(c, serving, body.model, async (work, respond) => {
    const { model } = work;
    const request = chatRequestOf(body, model.config.vocabSize);
    const prepared = await prepareChat(model, request, "messages");
    const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: model.id };
    const fingerprint = { system_fingerprint: serving.fingerprint };
    const events = chatEvents(work, serving, prepared);
    if (!request.stream) {
      const { answers, usage } = await gatherAnswers(events);
      const choices = answers.map((answer, index) => choiceOf(answer, index, request.logprobs));
      return respond.json({ ...head, object: "chat.completion", choices, usage: usageOf(usage), ...fingerprint });
    }
    const padded = body.stream_options?.include_obfuscation === true;
    return respond.events(async (stream) => {
      for await (const event of events) {
        for (const fields of chunksOf(event, request)) {
          stream.send({
            ...head,
            object: "chat.completion.chunk",
            ...fields,
            ...fingerprint,
            ...(padded && obfuscation()),
          });
        }
      }
      stream.sendText("[DONE]");
    });
  });
}

const usageOf = ({ promptTokens, cachedTokens, completionTokens }: ChatUsage) =>
  usageObject(promptTokens, cachedTokens, completionTokens);

const tokenObject = ({ top, ...token }: SampledToken) => ({ ...token, top_logprobs: top });
const logprobsOf = (tokens: readonly SampledToken[]) => ({ content: tokens.map(tokenObject), refusal: null });

function choiceOf({ text, tokens, toolCalls, finishReason }: ChatAnswer, index: number, logprobs: boolean) {
  const calls = toolCalls.map(({ id, ...called }) => ({ id, type: "function", function: called }));
  const content = text === "" && calls.length > 0 ? null : text;
  return {
    index,
    message: { role: "assistant", content, refusal: null, ...(calls.length > 0 && { tool_calls: calls }) },
    logprobs: logprobs ? logprobsOf(tokens) : null,
    finish_reason: finishReason,
  };
}

/** The parts of the chunks that an event becomes. */
function chunksOf(
  event: ChatEvent,
  { n, includeUsage, logprobs }: { n: number; includeUsage: boolean; logprobs: boolean },
) {
  const usage = includeUsage ? { usage: null } : {};
  const chunk = (index: number, delta: object, finish: string | null = null, tokens: readonly SampledToken[] = []) => ({
    choices: [
      { index, delta, logprobs: logprobs && tokens.length > 0 ? logprobsOf(tokens) : null, finish_reason: finish },
    ],
    ...usage,
  });
  const callChunk = (index: number, call: object) => chunk(index, { tool_calls: [call] });
  switch (event.type) {
    case "started":
      return Array.from({ length: n }, (_, index) => chunk(index, { role: "assistant", content: null, refusal: null }));
    case "text":
      return [chunk(event.index, { content: event.text }, null, event.tokens)];
    case "call": {
      const called = { name: event.name, arguments: "" };
      return [callChunk(event.index, { index: event.call, id: event.id, type: "function", function: called })];
    }
    case "arguments":
      return [callChunk(event.index, { index: event.call, function: { arguments: event.text } })];
    case "finished":
      return [chunk(event.index, {}, event.reason)];
    case "usage":
      return includeUsage ? [{ choices: [], usage: usageOf(event.usage) }] : [];
    default:
      return event satisfies never;
  }
}
