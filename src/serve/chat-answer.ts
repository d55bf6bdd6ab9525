/** @file Answers a chat request, whichever protocol it came in, as a sequence of events. */
import { contentLogprob, QuernError, type TextToken } from "../infer/index.js";
import { renderChat, type Tokenizer } from "../tokenizer/index.js";
import { grammarOf } from "./constraints.js";
import type { Serving, Work } from "./context.js";
import { ApiError } from "./errors.js";
import { type GenerationJob, roomFor, runGeneration } from "./generation.js";
import { linkedController } from "./linked-controller.js";
import { identifiedLogprob } from "./logprobs.js";
import type { LoadedModel } from "./models.js";
import type { ChatEvent, SampledToken } from "./protocol/chat-event.js";
import type { ChatRequest } from "./protocol/chat-request.js";
import { drawSeed } from "./requests/sampling.js";
import type { AnswerPiece, AnswerReader } from "./tools/answer-pieces.js";
import { type ChatPlan, planChat } from "./tools/plan.js";

/** A chat request that is ready to run. */
export interface PreparedChat {
  readonly job: GenerationJob;
  readonly plan: ChatPlan;
  readonly logprobs: boolean;
}

/**
 * @param param the field that the messages came in
 * @throws RequestError for a model that cannot chat, messages or tools that do not fit, a prompt that is too long, a bad schema
 */
export async function prepareChat(model: LoadedModel, request: ChatRequest, param: string): Promise<PreparedChat> {
  const { sampling, logprobs } = request;
  if (!model.hasChatTemplate) {
    const message = `${model.id} has no chat template: it is a base model; use /v1/completions`;
    throw new ApiError(400, message, { param: "model", code: "no_chat_template" });
  }
  const plan = await planChat(request, model.tokenizer, () => grammarOf(model));
  const text = await rendered(model.tokenizer, plan, request, param);
  const ids = [...model.tokenizer.encode(text, { special: "allow" }), ...(request.answerStart ?? [])];
  const job: GenerationJob = {
    ids,
    tokens: roomFor(ids, sampling.maxTokens ?? null, model, param),
    n: request.n,
    sampling: { ...sampling, seed: sampling.seed ?? drawSeed() },
    endOfText: [...model.endOfAnswer, ...plan.ends],
    skipSpecial: true,
    keptSpecial: plan.visibleSpecial,
    topLogprobs: request.topLogprobs,
    tokenIds: request.tokenIds,
    constraint: plan.constraint,
  };
  return { job, plan, logprobs };
}

async function rendered(tokenizer: Tokenizer, plan: ChatPlan, request: ChatRequest, param: string): Promise<string> {
  // Templates know no developer: it is the system.
  const messages = plan.messages.map((each) => (each.role === "developer" ? { ...each, role: "system" } : each));
  try {
    return await renderChat(tokenizer, messages, {
      ...(request.continuesLastMessage ? { continueFinalMessage: true } : { addGenerationPrompt: true }),
      tools: plan.tools,
      variables: request.templateVariables,
    });
  } catch (error) {
    // A template may reject messages, such as two of the user in a row.
    if (error instanceof QuernError) throw new ApiError(400, error.message, { param, code: "invalid_value" });
    throw error;
  }
}

/** Runs a prepared request. The events end with its usage; an abort of the work's signal rejects. */
export async function* chatEvents(
  { model, signal }: Work,
  { activity }: Serving,
  { job, plan, logprobs }: PreparedChat,
): AsyncGenerator<ChatEvent, void> {
  const queue: ChatEvent[] = [];
  let wake = () => {};
  let isDone = false;
  const push = (event: ChatEvent) => {
    queue.push(event);
    wake();
  };
  const answers = Array.from({ length: job.n }, (_, index) => answerEvents(plan.openReader(), index, push));
  const left = linkedController(signal);
  const work = runGeneration(model, activity, job, {
    signal: left.signal,
    onStart: (start) => push({ type: "started", ...start }),
    onPiece({ text, tokens }, index) {
      const shown = logprobs ? tokens.map((token) => sampledToken(model.tokenizer, token, job)) : [];
      answers[index].add(text, shown);
    },
    onEnd: ({ finishReason, stopString }, index) => answers[index].finish(finishReason, stopString),
  });
  const done = work
    .then(({ promptTokens, cachedTokens, choices }) => {
      const completionTokens = choices.reduce((sum, { generated }) => sum + generated, 0);
      push({ type: "usage", usage: { promptTokens, cachedTokens, completionTokens } });
    })
    .finally(() => {
      isDone = true;
      wake();
    });
  done.catch(() => {}); // awaited below
  try {
    while (!isDone || queue.length > 0) {
      if (queue.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      yield* queue.splice(0);
    }
    await done;
  } finally {
    left.unlink();
    left.abort(); // the reader has left early
  }
}

/** Turns the text of one answer into events, with its tool calls. */
function answerEvents(reader: AnswerReader, index: number, push: (event: ChatEvent) => void) {
  /** Tokens whose text the reader holds back. */
  let held: readonly SampledToken[] = [];
  const send = (pieces: readonly AnswerPiece[]) => {
    for (const piece of pieces) {
      if (piece.type === "text") push({ ...piece, index, tokens: held });
      else if (piece.type !== "hidden") push({ ...piece, index });
      held = []; // those of a call, or of what is hidden, are not reported
    }
  };
  return {
    add(text: string, tokens: readonly SampledToken[]) {
      held = [...held, ...tokens];
      send(reader.push(text));
    },
    finish(reason: "stop" | "length", stopString: string | null) {
      send(reader.end());
      if (held.length > 0) push({ type: "text", index, text: "", tokens: held });
      push({
        type: "finished",
        index,
        reason: reason === "stop" && reader.calls > 0 ? "tool_calls" : reason,
        stopString,
      });
    },
  };
}

function sampledToken(tokenizer: Tokenizer, token: TextToken, { tokenIds, endOfText }: GenerationJob): SampledToken {
  const { top_logprobs: top, ...own } = tokenIds
    ? identifiedLogprob(tokenizer, token, endOfText)
    : contentLogprob(tokenizer, token);
  return { ...own, top };
}
