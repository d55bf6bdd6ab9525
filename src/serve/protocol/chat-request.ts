/**
 * @file A checked chat request. `/v1/chat/completions`, `/v1/responses` and `/v1/messages` each translate their body to this
 * form, so that one function answers all three.
 */

/** A JSON Schema as it came in the request: an object or a boolean. */
export type JsonSchema = boolean | { readonly [keyword: string]: unknown };

/** A function that the model may call. */
export interface Tool {
  readonly name: string;
  readonly description?: string;
  /** Schema of the arguments, whose type is object. */
  readonly parameters: JsonSchema;
}

/** A call in an earlier answer, or in a new one. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text. */
  readonly arguments: string;
}

/** One message of the conversation; text parts are joined. */
export type ConversationMessage =
  | { readonly role: "system" | "developer" | "user"; readonly content: string; readonly name?: string }
  | {
      readonly role: "assistant";
      readonly content: string;
      readonly toolCalls: readonly ToolCall[];
      readonly name?: string;
    }
  | { readonly role: "tool"; readonly content: string; readonly toolCallId: string };

/** The content of a message as one text: its parts on lines of their own. */
export function contentText(content: string | readonly { readonly text: string }[] | null | undefined): string {
  return typeof content === "string" ? content : (content ?? []).map(({ text }) => text).join("\n");
}

/** `auto`: a text or calls; `required`: at least one call of one of `tools`; `none`: no call. */
export interface ToolChoice {
  readonly mode: "none" | "auto" | "required";
  /** Names of the tools that may be called: all of them, the named one, or those of `allowed_tools`. */
  readonly names: readonly string[];
}

export type OutputFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object" }
  | {
      readonly type: "json_schema";
      readonly name: string;
      readonly description?: string;
      readonly schema: JsonSchema;
      readonly strict: boolean;
    };

export interface ChatSampling {
  readonly temperature: number;
  readonly topP: number;
  /** 0 keeps all tokens. */
  readonly topK: number;
  /** 0 keeps all tokens. */
  readonly minP: number;
  /** 1 is off. */
  readonly repetitionPenalty: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  /** Added to the logits of these ids. */
  readonly logitBias: ReadonlyMap<number, number>;
  /** Undefined: the server draws one. */
  readonly seed: number | undefined;
  /** None empty; the text ends before the first that occurs. */
  readonly stop: readonly string[];
  /** Undefined: up to the end of the context. */
  readonly maxTokens: number | undefined;
}

export interface ChatRequest {
  readonly model: string;
  /** At least one. */
  readonly messages: readonly ConversationMessage[];
  readonly tools: readonly Tool[];
  readonly toolChoice: ToolChoice;
  /** Whether one answer may have several calls. */
  readonly parallelToolCalls: boolean;
  readonly format: OutputFormat;
  readonly sampling: ChatSampling;
  /** Answers wanted. */
  readonly n: number;
  readonly logprobs: boolean;
  /** Likeliest tokens reported for each token, 0 to 20; only with `logprobs`. */
  readonly topLogprobs: number;
  readonly stream: boolean;
  /** Whether the stream ends with a chunk of usage (`stream_options.include_usage`). */
  readonly includeUsage: boolean;
  /** Whether the answer continues the last message, which is the assistant's. */
  readonly continuesLastMessage: boolean;
  /** Ids that the answer begins with; the model continues after them. */
  readonly answerStart?: readonly number[];
  /** Whether log-probabilities have the ids of their tokens. */
  readonly tokenIds?: boolean;
  /** Further variables of the chat template, such as `enable_thinking`. */
  readonly templateVariables: Readonly<Record<string, unknown>>;
}

/** The sampling of a request that sets nothing: the model's own distribution, as OpenAI's defaults. */
export const DEFAULT_SAMPLING: ChatSampling = {
  temperature: 1,
  topP: 1,
  topK: 0,
  minP: 0,
  repetitionPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  logitBias: new Map(),
  seed: undefined,
  stop: [],
  maxTokens: undefined,
};
