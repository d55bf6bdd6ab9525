/**
 * @file The answer to a chat request as a sequence of events, which every protocol translates to its own chunks, and the
 * whole answer gathered from them.
 *
 * Order: `started`; then for each answer `text`, `call` and `arguments` as they come, and `finished`; `usage` last. Events of
 * several answers may alternate. The arguments of a call come before the next call of the same answer begins.
 */
import type { ToolCall } from "./chat-request.js";

/** A token with its probability. */
export interface TokenProbability {
  /** The token's text; bytes that are no whole character appear as U+FFFD. */
  readonly token: string;
  /** The token's UTF-8 bytes. */
  readonly bytes: readonly number[];
  /** Natural logarithm. */
  readonly logprob: number;
  /** Only if the request wants ids. */
  readonly id?: number;
  /** Whether it ends the answer; with `id`. */
  readonly ends?: boolean;
}

/** A sampled token beside its likeliest alternatives, the likeliest first. */
export interface SampledToken extends TokenProbability {
  readonly top: readonly TokenProbability[];
}

/** `stop`: end of the turn or a stop string; `length`: the token limit; `tool_calls`: ended with calls. */
export type FinishReason = "stop" | "length" | "tool_calls";

export interface ChatUsage {
  readonly promptTokens: number;
  /** Tokens of the prompt taken from the prefix cache. */
  readonly cachedTokens: number;
  /** Tokens generated for all answers. */
  readonly completionTokens: number;
}

export type ChatEvent =
  /** The prompt is read; sent once. */
  | { readonly type: "started"; readonly promptTokens: number; readonly cachedTokens: number }
  /** Text in whole characters; may be empty if only `tokens` is new. `tokens` is empty unless log-probabilities were wanted. */
  | {
      readonly type: "text";
      readonly index: number;
      readonly text: string;
      readonly tokens: readonly SampledToken[];
    }
  /** A tool call begins; `call` counts the calls of this answer from 0. */
  | {
      readonly type: "call";
      readonly index: number;
      readonly call: number;
      readonly id: string;
      readonly name: string;
    }
  /** The next characters of the call's arguments, which are JSON text. */
  | { readonly type: "arguments"; readonly index: number; readonly call: number; readonly text: string }
  /** One answer ended. */
  | {
      readonly type: "finished";
      readonly index: number;
      readonly reason: FinishReason;
      /** The stop string that ended it; null if none did. */
      readonly stopString: string | null;
    }
  | { readonly type: "usage"; readonly usage: ChatUsage };

export interface ChatAnswer {
  readonly text: string;
  readonly tokens: readonly SampledToken[];
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: FinishReason;
  readonly stopString: string | null;
}

export interface ChatResult {
  readonly answers: readonly ChatAnswer[];
  readonly usage: ChatUsage;
}

/** Gathers all events of a request. @throws Error if the events end early */
export async function gatherAnswers(events: AsyncIterable<ChatEvent> | Iterable<ChatEvent>): Promise<ChatResult> {
  const answers: { -readonly [K in keyof ChatAnswer]: ChatAnswer[K] }[] = [];
  const tokens: SampledToken[][] = [];
  const calls: { -readonly [K in keyof ToolCall]: ToolCall[K] }[][] = [];
  let usage: ChatUsage | undefined;
  let finished = 0;
  const answerAt = (index: number) => {
    while (answers.length <= index) {
      tokens.push([]);
      calls.push([]);
      answers.push({
        text: "",
        tokens: tokens.at(-1)!,
        toolCalls: calls.at(-1)!,
        finishReason: "stop",
        stopString: null,
      });
    }
    return answers[index];
  };
  for await (const event of events) {
    switch (event.type) {
      case "started":
        break;
      case "text":
        answerAt(event.index).text += event.text;
        tokens[event.index].push(...event.tokens);
        break;
      case "call":
        answerAt(event.index);
        calls[event.index][event.call] = { id: event.id, name: event.name, arguments: "" };
        break;
      case "arguments":
        calls[event.index][event.call].arguments += event.text;
        break;
      case "finished":
        Object.assign(answerAt(event.index), { finishReason: event.reason, stopString: event.stopString });
        finished += 1;
        break;
      case "usage":
        usage = event.usage;
        break;
      default:
        event satisfies never;
    }
  }
  if (usage === undefined || finished !== answers.length) throw new Error("the events of a chat ended early");
  return { answers, usage };
}
