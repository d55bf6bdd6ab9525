/** @file The body of `/v1/chat/completions`. */
import { z } from "zod";
import { ApiError } from "../errors.js";
import {
  type ChatRequest,
  type ConversationMessage,
  contentText,
  DEFAULT_SAMPLING,
  type OutputFormat,
} from "../protocol/chat-request.js";
import { type GivenChoice, toolChoiceOf, toolsOf } from "../protocol/tool-choice.js";
import { unsupported } from "./check.js";
import {
  checkStream,
  checkTokenIds,
  MOST_TOP_LOGPROBS,
  metadataFields,
  samplingFields,
  samplingOf,
  streamFields,
  tokenFields,
} from "./sampling.js";

const textPart = z.strictObject({
  type: z.literal("text", { error: "must be text: this server reads no other content" }),
  text: z.string(),
});
const content = z.union([z.string(), z.array(textPart).min(1)], {
  error: 'must be text or a list of {"type": "text", "text": …}',
});

const toolCall = z.strictObject({
  id: z.string(),
  type: z.literal("function"),
  function: z.strictObject({ name: z.string(), arguments: z.string() }),
  index: z.int().nullish(), // a client may send back the pieces of a stream
});

const message = z.discriminatedUnion(
  "role",
  [
    z.strictObject({ role: z.literal(["system", "developer", "user"]), content, name: z.string().nullish() }),
    z.strictObject({
      role: z.literal("assistant"),
      content: content.nullish(),
      name: z.string().nullish(),
      refusal: z.string().nullish(),
      reasoning_content: z.string().nullish(),
      tool_calls: z.array(toolCall).nullish(),
      annotations: z.array(z.unknown()).max(0).nullish(),
      audio: unsupported(),
      function_call: unsupported(),
    }),
    z.strictObject({ role: z.literal("tool"), content, tool_call_id: z.string(), name: z.string().nullish() }),
  ],
  { error: "must have a role: system, developer, user, assistant or tool" },
);

const functionTool = z.strictObject({
  type: z.literal("function"),
  function: z.strictObject({
    name: z.string().regex(/^[\w-]{1,64}$/, "must have 1 to 64 letters, digits, _ or -"),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
});

const namedFunction = z.strictObject({ name: z.string() });
const toolChoice = z.union(
  [
    z.enum(["none", "auto", "required"]),
    z.strictObject({ type: z.literal("function"), function: namedFunction }),
    z.strictObject({
      type: z.literal("allowed_tools"),
      allowed_tools: z.strictObject({
        mode: z.enum(["auto", "required"]),
        tools: z.array(z.strictObject({ type: z.literal("function"), function: namedFunction })).min(1),
      }),
    }),
  ],
  { error: 'must be "none", "auto", "required" or {"type": "function", "function": {"name": …}}' },
);

const responseFormat = z.discriminatedUnion(
  "type",
  [
    z.strictObject({ type: z.literal("text") }),
    z.strictObject({ type: z.literal("json_object") }),
    z.strictObject({
      type: z.literal("json_schema"),
      json_schema: z.strictObject({
        name: z.string().nullish(),
        description: z.string().nullish(),
        schema: z.union([z.record(z.string(), z.unknown()), z.boolean()], { error: "must be a JSON Schema" }).nullish(),
        strict: z.boolean().nullish(),
      }),
    }),
  ],
  { error: 'must have the type "text", "json_object" or "json_schema"' },
);

export const chatBody = z.strictObject({
  model: z.string().nullish(),
  messages: z.array(message).min(1),
  ...samplingFields,
  ...streamFields,
  ...metadataFields,
  ...tokenFields,
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(MOST_TOP_LOGPROBS).nullish(),
  response_format: responseFormat.nullish(),
  tools: z.array(functionTool).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
  modalities: z.array(z.literal("text", { error: "must be text: this server makes nothing else" })).nullish(),
  verbosity: z.literal("medium", { error: "must be medium: these models have no other" }).nullish(),
  reasoning_effort: z.literal("none", { error: "must be none: these models have no other" }).nullish(),
  add_generation_prompt: z.boolean().nullish(),
  continue_final_message: z.boolean().nullish(),
  audio: unsupported(),
  function_call: unsupported("this server, which has tool_choice"),
  functions: unsupported("this server, which has tools"),
  moderation: unsupported(),
  prediction: unsupported(),
  prompt_cache_options: unsupported(),
  web_search_options: unsupported(),
});

export type ChatBody = z.output<typeof chatBody>;
type RequestMessage = z.output<typeof message>;

/** @throws ApiError for fields that exclude each other, and for messages that no conversation has */
function checkChat(request: ChatBody): void {
  checkStream(request);
  const refuse = (param: string, message: string) => new ApiError(400, message, { param, code: "invalid_value" });
  const { max_tokens: most, max_completion_tokens: mostNow, messages } = request;
  if (most != null && mostNow != null && most !== mostNow) {
    throw refuse("max_tokens", "max_tokens and max_completion_tokens are different; give one of them");
  }
  if (request.top_logprobs != null && request.logprobs !== true) {
    throw refuse("top_logprobs", "top_logprobs is only allowed when logprobs is true");
  }
  if (request.add_generation_prompt === true && request.continue_final_message === true) {
    throw refuse("continue_final_message", "continue_final_message excludes add_generation_prompt; give one of them");
  }
  const [before, last] = messages.slice(-2);
  if (before?.role === "assistant" && last?.role === "assistant") {
    throw refuse("messages", "the conversation ends with two messages of the assistant; join them");
  }
  if (request.continue_final_message === true && messages.at(-1)?.role !== "assistant") {
    throw refuse("continue_final_message", "continue_final_message needs a last message of the assistant");
  }
  if (request.continue_token_ids != null) {
    const other =
      request.continue_final_message === true
        ? "continue_final_message"
        : (request.tools ?? []).length > 0
          ? "tools"
          : request.response_format != null && request.response_format.type !== "text"
            ? "response_format"
            : undefined;
    if (other !== undefined) throw refuse("continue_token_ids", `continue_token_ids excludes ${other}`);
  }
  if (request.return_token_ids === true && request.logprobs !== true) {
    throw refuse("return_token_ids", "return_token_ids is only allowed when logprobs is true");
  }
  for (const [i, each] of messages.entries()) {
    if (each.role !== "assistant" || each.content != null || each.tool_calls?.length) continue;
    throw refuse(`messages[${i}].content`, `messages[${i}] has neither content nor tool_calls`);
  }
}

function conversationMessage(message: RequestMessage): ConversationMessage {
  const content = contentText(message.content);
  const name = message.name ?? undefined;
  if (message.role === "tool") return { role: "tool", content, toolCallId: message.tool_call_id };
  if (message.role !== "assistant") return { role: message.role, content, ...(name !== undefined && { name }) };
  const toolCalls = (message.tool_calls ?? []).map(({ id, function: called }) => ({ id, ...called }));
  return { role: "assistant", content, toolCalls, ...(name !== undefined && { name }) };
}

/**
 * Translates a checked body.
 * @throws ApiError for fields that exclude each other, and for messages that no conversation has
 */
export function chatRequestOf(body: ChatBody, vocabSize: number): ChatRequest {
  checkChat(body);
  const { seed, ...sampling } = samplingOf(body, vocabSize);
  checkTokenIds(body.continue_token_ids ?? [], vocabSize, "continue_token_ids");
  const tools = toolsOf((body.tools ?? []).map((tool) => tool.function));
  return {
    model: body.model ?? "",
    messages: body.messages.map(conversationMessage),
    tools,
    toolChoice: toolChoiceOf(givenChoice(body), tools),
    parallelToolCalls: body.parallel_tool_calls ?? true,
    format: outputFormat(body.response_format),
    sampling: {
      ...DEFAULT_SAMPLING,
      ...sampling,
      logitBias: sampling.logitBias ?? new Map(),
      seed: body.seed == null ? undefined : seed,
      maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    },
    n: body.n ?? 1,
    logprobs: body.logprobs ?? false,
    topLogprobs: body.top_logprobs ?? 0,
    stream: body.stream ?? false,
    includeUsage: body.stream_options?.include_usage ?? false,
    continuesLastMessage: body.continue_final_message ?? false,
    answerStart: body.continue_token_ids ?? [],
    tokenIds: body.return_token_ids ?? false,
    templateVariables: body.chat_template_kwargs ?? {},
  };
}

function givenChoice({ tool_choice: choice }: ChatBody): GivenChoice | null {
  if (choice == null || typeof choice === "string") return choice ?? null;
  if (choice.type === "function") return { mode: "required", names: [choice.function.name] };
  const { mode, tools } = choice.allowed_tools;
  return { mode, names: tools.map((tool) => tool.function.name) };
}

function outputFormat(format: z.output<typeof responseFormat> | null | undefined): OutputFormat {
  if (format == null || format.type === "text") return { type: "text" };
  if (format.type === "json_object") return format;
  const { name, description, schema, strict } = format.json_schema;
  const given = { schema: schema ?? {}, strict: strict ?? false, ...(description != null && { description }) };
  return { type: "json_schema", name: name ?? "", ...given };
}
