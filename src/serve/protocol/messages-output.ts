/** @file Anthropic's message object, its stream of events and its errors, from the events of a chat. */
import { randomBytes } from "node:crypto";
import type { ChatEvent, ChatUsage, FinishReason } from "./chat-event.js";
import type { RequestError } from "./request-error.js";

/** One event of the stream; `type` is also its name. */
export interface MessageEvent {
  readonly type: string;
  readonly [key: string]: unknown;
}

type ContentBlock =
  | { type: "text"; text: string; citations: null }
  | { type: "tool_use"; id: string; name: string; input: string };

export interface MessageWriter {
  /** Translates an event of the chat. */
  write(event: ChatEvent): readonly MessageEvent[];
  /** The message so far; complete after the event `usage`. */
  readonly message: object;
}

const STOP_REASONS: Readonly<Record<FinishReason, string>> = {
  stop: "end_turn",
  length: "max_tokens",
  tool_calls: "tool_use",
};

/** Opens the translation of one answer. */
export function messageWriter(model: string): MessageWriter {
  const id = `msg_${randomBytes(12).toString("hex")}`;
  const content: ContentBlock[] = [];
  let isOpen = false;
  let stop: { stop_reason: string | null; stop_sequence: string | null } = { stop_reason: null, stop_sequence: null };
  let usage: ChatUsage = { promptTokens: 0, cachedTokens: 0, completionTokens: 0 };
  const message = () => ({
    ...{ id, type: "message", role: "assistant", model },
    content: content.map((block) =>
      block.type === "text"
        ? block
        : { ...block, input: JSON.parse(block.input === "" ? "{}" : block.input) as object },
    ),
    ...stop,
    usage: usageObject(usage),
  });
  const close = (): MessageEvent[] => {
    if (!isOpen) return [];
    isOpen = false;
    return [{ type: "content_block_stop", index: content.length - 1 }];
  };
  const begin = (block: ContentBlock): MessageEvent[] => {
    const closed = close();
    isOpen = true;
    content.push(block);
    const shown = block.type === "text" ? { ...block } : { ...block, input: {} };
    return [...closed, { type: "content_block_start", index: content.length - 1, content_block: shown }];
  };
  const delta = (fields: object): MessageEvent => ({
    type: "content_block_delta",
    index: content.length - 1,
    delta: fields,
  });
  return {
    get message() {
      return message();
    },
    write(event) {
      switch (event.type) {
        case "started":
          usage = { ...event, completionTokens: 0 };
          return [{ type: "message_start", message: message() }, { type: "ping" }];
        case "text": {
          if (event.text === "") return [];
          const last = content.at(-1);
          const begun = isOpen && last?.type === "text" ? [] : begin({ type: "text", text: "", citations: null });
          (content.at(-1) as Extract<ContentBlock, { type: "text" }>).text += event.text;
          return [...begun, delta({ type: "text_delta", text: event.text })];
        }
        case "call":
          return begin({ type: "tool_use", id: event.id, name: event.name, input: "" });
        case "arguments": {
          const block = content.at(-1);
          if (block?.type !== "tool_use") throw new Error("arguments came without a call");
          block.input += event.text;
          return [delta({ type: "input_json_delta", partial_json: event.text })];
        }
        case "finished":
          stop =
            event.stopString === null
              ? { stop_reason: STOP_REASONS[event.reason], stop_sequence: null }
              : { stop_reason: "stop_sequence", stop_sequence: event.stopString };
          return close();
        case "usage":
          usage = event.usage;
          return [{ type: "message_delta", delta: { ...stop }, usage: usageObject(usage) }, { type: "message_stop" }];
        default:
          return event satisfies never;
      }
    },
  };
}

/** Anthropic counts the tokens that the cache had apart. */
const usageObject = ({ promptTokens, cachedTokens, completionTokens }: ChatUsage) => ({
  input_tokens: promptTokens - cachedTokens,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: cachedTokens,
  output_tokens: completionTokens,
});

const ERROR_TYPES: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
};

/** An error in Anthropic's form. */
export function messageError({ status, message }: Pick<RequestError, "status" | "message">) {
  const type = ERROR_TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
  return { type: "error", error: { type, message } };
}
