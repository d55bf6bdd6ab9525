/** @file OpenAI's Response object, and its stream of typed events, from the events of a chat. */
import { randomBytes } from "node:crypto";
import type { ChatEvent, ChatUsage, FinishReason, SampledToken } from "./chat-event.js";
import type { ResponsesBody } from "./responses-request.js";

/** One event of the stream; `type` is also its name. */
export interface ResponseEvent {
  readonly type: string;
  readonly sequence_number: number;
  readonly [key: string]: unknown;
}

interface OutputText {
  type: "output_text";
  text: string;
  annotations: never[];
  logprobs: object[];
}

type OutputItem =
  | { type: "message"; id: string; role: "assistant"; status: string; content: OutputText[] }
  | { type: "function_call"; id: string; call_id: string; name: string; arguments: string; status: string };

export interface ResponseHead {
  readonly model: string;
  /** Seconds since 1970. */
  readonly created: number;
}

export interface ResponseWriter {
  /** Translates an event of the chat. */
  write(event: ChatEvent): readonly ResponseEvent[];
  /** The Response object so far; complete after the event `usage`. */
  readonly response: object;
}

const newId = (prefix: string) => `${prefix}_${randomBytes(24).toString("hex")}`;

/** The fields of a token as `LogProb`. */
const logprob = ({ token, logprob, bytes, top }: SampledToken) => ({ token, logprob, bytes, top_logprobs: top });

/** Opens the translation of one answer. */
export function responseWriter(body: ResponsesBody, { model, created }: ResponseHead): ResponseWriter {
  const id = newId("resp");
  const output: OutputItem[] = [];
  let sequence = 0;
  let status: "in_progress" | "completed" | "incomplete" = "in_progress";
  let reason: FinishReason | undefined;
  let usage: ChatUsage | undefined;
  let completedAt: number | null = null;

  const event = (type: string, fields: object): ResponseEvent => ({ type, sequence_number: sequence++, ...fields });
  const response = () => ({
    ...{ id, object: "response", created_at: created, status, background: false, error: null },
    completed_at: completedAt,
    incomplete_details: status === "incomplete" ? { reason: "max_output_tokens" } : null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: body.metadata ?? {},
    model,
    output: structuredClone(output),
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: body.temperature ?? 1,
    text: { format: body.text?.format ?? { type: "text" } },
    tool_choice: body.tool_choice ?? "auto",
    tools: (body.tools ?? []).map((tool) => ({
      ...tool,
      description: tool.description ?? null,
      parameters: tool.parameters ?? { type: "object", properties: {} },
      strict: tool.strict ?? false,
    })),
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p ?? 1,
    truncation: "disabled",
    ...(usage !== undefined && { usage: usageObject(usage) }),
  });

  /** The last item, if it is not finished. */
  let open: OutputItem | undefined;
  const place = () => ({ item_id: open!.id, output_index: output.length - 1 });
  const begin = (item: OutputItem): ResponseEvent => {
    open = item;
    output.push(item);
    return event("response.output_item.added", { output_index: output.length - 1, item: structuredClone(item) });
  };
  const close = (): ResponseEvent[] => {
    if (open === undefined) return [];
    open.status = reason === "length" ? "incomplete" : "completed";
    const events: ResponseEvent[] = [];
    if (open.type === "message") {
      const [part] = open.content;
      const at = { ...place(), content_index: 0 };
      events.push(
        event("response.output_text.done", { ...at, text: part.text, logprobs: [...part.logprobs] }),
        event("response.content_part.done", { ...at, part: structuredClone(part) }),
      );
    } else {
      const { name, arguments: text } = open;
      events.push(event("response.function_call_arguments.done", { ...place(), name, arguments: text }));
    }
    events.push(event("response.output_item.done", { output_index: output.length - 1, item: structuredClone(open) }));
    open = undefined;
    return events;
  };
  const beginMessage = (): ResponseEvent[] => {
    const item = { type: "message" as const, id: newId("msg"), role: "assistant" as const, status: "in_progress" };
    const added = begin({ ...item, content: [] });
    const part: OutputText = { type: "output_text", text: "", annotations: [], logprobs: [] };
    (open as Extract<OutputItem, { type: "message" }>).content.push(part);
    const at = { ...place(), content_index: 0 };
    return [added, event("response.content_part.added", { ...at, part: structuredClone(part) })];
  };

  return {
    get response() {
      return response();
    },
    write(given) {
      switch (given.type) {
        case "started":
          return [
            event("response.created", { response: response() }),
            event("response.in_progress", { response: response() }),
          ];
        case "text": {
          if (given.text === "" && given.tokens.length === 0) return [];
          const events = open?.type === "message" ? [] : [...close(), ...beginMessage()];
          const [part] = (open as Extract<OutputItem, { type: "message" }>).content;
          const logprobs = given.tokens.map(logprob);
          part.text += given.text;
          part.logprobs.push(...logprobs);
          const delta = { ...place(), content_index: 0, delta: given.text, logprobs };
          return [...events, event("response.output_text.delta", delta)];
        }
        case "call": {
          const { id: call_id, name } = given;
          const item = { type: "function_call" as const, id: newId("fc"), call_id, name, arguments: "" };
          return [...close(), begin({ ...item, status: "in_progress" })];
        }
        case "arguments":
          if (open?.type !== "function_call") throw new Error("arguments came without a call");
          open.arguments += given.text;
          return [event("response.function_call_arguments.delta", { ...place(), delta: given.text })];
        case "finished": {
          reason = given.reason;
          // An answer without any text is still a message.
          const events = output.length === 0 ? beginMessage() : [];
          return [...events, ...close()];
        }
        case "usage":
          usage = given.usage;
          status = reason === "length" ? "incomplete" : "completed";
          if (status === "completed") completedAt = Math.floor(Date.now() / 1000);
          return [event(`response.${status}`, { response: response() })];
        default:
          return given satisfies never;
      }
    },
  };
}

const usageObject = ({ promptTokens, cachedTokens, completionTokens }: ChatUsage) => ({
  input_tokens: promptTokens,
  input_tokens_details: { cached_tokens: cachedTokens, cache_write_tokens: 0 },
  output_tokens: completionTokens,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: promptTokens + completionTokens,
});
