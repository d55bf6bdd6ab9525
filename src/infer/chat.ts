/** @file Conversations with a model that has a chat template: the library behind `quern chat`. */
import type { z } from "zod";
import type { CompileOptions } from "../backends/index.js";
import { QuernError } from "../errors.js";
import { checkOptions } from "../options.js";
import type { ChatMessage } from "../tokenizer/index.js";
import { chatOptions } from "./chat-options.js";
import { CheckpointModel } from "./checkpoint-model.js";
import { requireChatTemplate } from "./conversation.js";
import type { GenerationOptions, LanguageModel } from "./language-model.js";
import { ServerModel } from "./server-model.js";
import { openTextModel } from "./text-model.js";

export type ChatOptions = z.input<typeof chatOptions> & { readonly target?: Pick<CompileOptions, "backend" | "cpu"> };

export interface ChatAnswer {
  readonly text: string;
  /** `aborted`: the signal ended it; the text received so far is kept as the answer. */
  readonly finishReason: "stop" | "length" | "aborted";
  /** Tokens of the answer; null if a server does not report them. */
  readonly tokens: number | null;
  /** Number of oldest turns (a message and its answer) dropped to make room. */
  readonly droppedTurns: number;
}

export interface ChatCallbacks {
  readonly signal?: AbortSignal;
  /** Receives the answer piece by piece. */
  readonly onText?: (piece: string) => void;
  /** Called before the answer with the number of oldest turns that were dropped. */
  readonly onDropped?: (turns: number) => void;
}

export interface Chat {
  /** The model's name. */
  readonly name: string;
  /** The conversation so far, including the system message. */
  readonly messages: readonly ChatMessage[];
  /**
   * Sends a message and returns the answer. A conversation that outgrows the model's context loses its oldest turns, never
   * its system message.
   * @throws QuernError if the message alone does not fit the context; the conversation is then unchanged
   */
  say(message: string, callbacks?: ChatCallbacks): Promise<ChatAnswer>;
  /** Sets or removes the system message. */
  setSystem(text: string | undefined): void;
  /** Removes all turns. */
  reset(): void;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Opens a model for a conversation.
 * @throws QuernError for a path without a model, or a model without a chat template
 */
export async function openChat(options: ChatOptions): Promise<Chat> {
  const { target, ...rest } = options;
  const o = checkOptions(chatOptions, rest);
  const { model: name, baseUrl, system, maxTokens, threads, ...sampling } = o;
  if (baseUrl !== undefined) {
    // Sends only explicit options, so that the server's own sampling defaults apply.
    const { temperature, topK, topP, minP, repetitionPenalty, seed } = rest;
    const overrides = { temperature, topK, topP, minP, repetitionPenalty, seed };
    return createChat(new ServerModel({ baseUrl, model: name }), system, { ...overrides, tokens: maxTokens });
  }
  const opened = await openTextModel(name);
  try {
    requireChatTemplate(opened.tokenizer, opened.folder);
    const model = new CheckpointModel(opened, { ...target, cpu: { threads, ...target?.cpu } });
    return createChat(model, system, { ...sampling, tokens: maxTokens });
  } catch (error) {
    await opened.close();
    throw error;
  }
}

interface Turn {
  readonly user: string;
  readonly assistant: string;
}

/** Creates a conversation with a model. `dispose` also closes the model. */
export function createChat(
  model: LanguageModel,
  system: string | undefined,
  { tokens: most = 512, seed, ...sampling }: GenerationOptions = {},
): Chat {
  let head = system;
  let turns: readonly Turn[] = [];
  let answers = 0;
  const messagesOf = (turns: readonly Turn[], last?: string): ChatMessage[] => [
    ...(head === undefined || head === "" ? [] : [{ role: "system", content: head }]),
    ...turns.flatMap(({ user, assistant }) => [
      { role: "user", content: user },
      { role: "assistant", content: assistant },
    ]),
    ...(last === undefined ? [] : [{ role: "user", content: last }]),
  ];

  /** Returns the newest turns that leave room for an answer, and the answer's maximum tokens. */
  const makeRoom = async (message: string): Promise<{ readonly kept: readonly Turn[]; readonly tokens: number }> => {
    for (let kept = turns; ; kept = kept.slice(1)) {
      const length = await model.countTokens({ messages: messagesOf(kept, message) });
      if (length === null || model.sequence === null) return { kept, tokens: most };
      const room = model.sequence - length;
      if (room >= Math.min(most, Math.ceil(model.sequence / 4))) return { kept, tokens: Math.min(most, room) };
      if (kept.length > 0) continue;
      if (room > 0) return { kept, tokens: Math.min(most, room) };
      throw new QuernError(
        `the message has ${length} tokens with the chat template and system message, but the model's context is ` +
          `${model.sequence}; shorten it`,
      );
    }
  };

  return {
    name: model.name,
    get messages() {
      return messagesOf(turns);
    },
    async say(message, { signal, onText, onDropped } = {}) {
      const { kept, tokens } = await makeRoom(message);
      const droppedTurns = turns.length - kept.length;
      if (droppedTurns > 0) onDropped?.(droppedTurns);
      turns = kept;
      let text = "";
      const options = {
        ...sampling,
        tokens,
        seed: seed === undefined ? undefined : seed + answers,
        signal,
        onText: (piece: string) => {
          text += piece;
          onText?.(piece);
        },
      };
      const keep = () => {
        turns = [...turns, { user: message, assistant: text }];
        answers += 1;
      };
      try {
        const [{ completions }] = await model.generate([{ messages: messagesOf(turns, message) }], options);
        const [completion] = completions;
        text = completion.text;
        keep();
        const count = model.sequence === null ? null : completion.tokens.length;
        return { text, finishReason: completion.finishReason, tokens: count, droppedTurns };
      } catch (error) {
        if (!signal?.aborted) throw error;
        if (text !== "") keep();
        return { text, finishReason: "aborted", tokens: null, droppedTurns };
      }
    },
    setSystem(text) {
      head = text;
    },
    reset() {
      turns = [];
    },
    dispose: () => model.dispose(),
    [Symbol.asyncDispose]: () => model.dispose(),
  };
}
