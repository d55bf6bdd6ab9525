/**
 * @file The body of OpenAI's `/v1/responses`, for text and functions. This server keeps no responses: `store` has no effect, and
 * `previous_response_id` is refused, so a client sends the earlier items itself.
 */
import { z } from "zod";
import { metadata, unsupported } from "../requests/check.js";
import { MOST_TOP_LOGPROBS, metadataFields } from "../requests/sampling.js";
import {
  type ChatRequest,
  type ConversationMessage,
  contentText,
  DEFAULT_SAMPLING,
  type JsonSchema,
  type OutputFormat,
  type ToolCall,
} from "./chat-request.js";
import { RequestError } from "./request-error.js";
import { type GivenChoice, toolChoiceOf, toolsOf } from "./tool-choice.js";

const inputText = z.strictObject({ type: z.literal("input_text"), text: z.string() });
const outputText = z.strictObject({
  type: z.literal("output_text"),
  text: z.string(),
  annotations: z.array(z.unknown()).nullish(),
  logprobs: z.array(z.unknown()).nullish(),
});
const status = z.enum(["in_progress", "completed", "incomplete"]).nullish();

const message = z.strictObject({
  type: z.literal("message"),
  role: z.enum(["user", "assistant", "system", "developer"]),
  content: z.union([z.string(), z.array(z.discriminatedUnion("type", [inputText, outputText]))]),
  id: z.string().nullish(),
  status,
  phase: metadata(z.string()),
});
const functionCall = z.strictObject({
  type: z.literal("function_call"),
  call_id: z.string().min(1),
  name: z.string(),
  arguments: z.string(),
  id: z.string().nullish(),
  status,
});
const functionCallOutput = z.strictObject({
  type: z.literal("function_call_output"),
  call_id: z.string().min(1),
  output: z.union([z.string(), z.array(inputText)]),
  id: z.string().nullish(),
  status,
});
/** An item without a type is a message. */
const item = z.preprocess(
  (given) =>
    typeof given === "object" && given !== null && !("type" in given) ? { type: "message", ...given } : given,
  z.discriminatedUnion("type", [message, functionCall, functionCallOutput]),
);

const functionTool = z.strictObject({
  type: z.literal("function"),
  name: z.string().regex(/^[\w-]{1,64}$/, "must have 1 to 64 letters, digits, _ or -"),
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
});
const namedTool = z.strictObject({ type: z.literal("function"), name: z.string() });

const textFormat = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text") }),
  z.strictObject({ type: z.literal("json_object") }),
  z.strictObject({
    type: z.literal("json_schema"),
    name: z.string(),
    description: z.string().nullish(),
    schema: z.record(z.string(), z.unknown()),
    strict: z.boolean().nullish(),
  }),
]);

export const responsesBody = z.strictObject({
  model: z.string().nullish(),
  input: z.union([z.string(), z.array(item)]),
  instructions: z.string().nullish(),
  max_output_tokens: z.int().min(1).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_logprobs: z.int().min(0).max(MOST_TOP_LOGPROBS).nullish(),
  text: z
    .strictObject({
      format: textFormat.nullish(),
      verbosity: z.literal("medium", { error: "must be medium: these models have no other" }).nullish(),
    })
    .nullish(),
  tools: z.array(functionTool).nullish(),
  tool_choice: z
    .union([
      z.enum(["none", "auto", "required"]),
      namedTool,
      z.strictObject({
        type: z.literal("allowed_tools"),
        mode: z.enum(["auto", "required"]),
        tools: z.array(namedTool).min(1),
      }),
    ])
    .nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  include: z.array(z.enum(["message.output_text.logprobs"])).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_obfuscation: z.boolean().nullish() }).nullish(),
  truncation: z.literal("disabled", { error: "must be disabled: a prompt that is too long is refused" }).nullish(),
  background: z.literal(false, { error: "must be false: this server answers while the client waits" }).nullish(),
  ...metadataFields,
  reasoning: unsupported(),
  previous_response_id: unsupported("this server, which keeps no responses: send the earlier items in input"),
  conversation: unsupported("this server, which keeps no conversations: send the earlier items in input"),
  context_management: unsupported(),
  max_tool_calls: unsupported(),
  moderation: unsupported(),
  prompt: unsupported(),
  prompt_cache_options: unsupported(),
});

export type ResponsesBody = z.output<typeof responsesBody>;

/**
 * Translates a checked body.
 * @throws RequestError for a tool choice that names no tool, and an input without items
 */
export function responsesChatRequest(body: ResponsesBody): ChatRequest {
  const tools = toolsOf(body.tools ?? []);
  const messages = conversationOf(body);
  if (messages.length === 0) throw new RequestError("input has no items", { param: "input", code: "invalid_value" });
  return {
    model: body.model ?? "",
    messages,
    tools,
    toolChoice: toolChoiceOf(givenChoice(body), tools),
    parallelToolCalls: body.parallel_tool_calls ?? true,
    format: formatOf(body),
    sampling: {
      ...DEFAULT_SAMPLING,
      temperature: body.temperature ?? 1,
      topP: Math.max(body.top_p ?? 1, 1e-9), // 0 keeps the likeliest token
      maxTokens: body.max_output_tokens ?? undefined,
    },
    n: 1,
    logprobs: body.include?.includes("message.output_text.logprobs") ?? false,
    topLogprobs: body.top_logprobs ?? 0,
    stream: body.stream ?? false,
    includeUsage: true,
    continuesLastMessage: false,
    templateVariables: {},
  };
}

/** A call belongs to the message of the assistant before it. */
function conversationOf({ input, instructions }: ResponsesBody): ConversationMessage[] {
  const messages: ConversationMessage[] = [];
  if (instructions != null) messages.push({ role: "system", content: instructions });
  if (typeof input === "string") return [...messages, { role: "user", content: input }];
  for (const each of input) {
    switch (each.type) {
      case "message": {
        const content = contentText(each.content);
        if (each.role === "assistant") messages.push({ role: "assistant", content, toolCalls: [] });
        else messages.push({ role: each.role, content });
        break;
      }
      case "function_call": {
        const call: ToolCall = { id: each.call_id, name: each.name, arguments: each.arguments };
        const last = messages.at(-1);
        if (last?.role === "assistant")
          messages[messages.length - 1] = { ...last, toolCalls: [...last.toolCalls, call] };
        else messages.push({ role: "assistant", content: "", toolCalls: [call] });
        break;
      }
      case "function_call_output":
        messages.push({ role: "tool", content: contentText(each.output), toolCallId: each.call_id });
        break;
      default:
        each satisfies never;
    }
  }
  return messages;
}

/** Clients send `auto` without tools too. */
function givenChoice({ tool_choice: choice, tools }: ResponsesBody): GivenChoice | null {
  if (choice == null || (choice === "auto" && (tools ?? []).length === 0)) return null;
  if (typeof choice === "string") return choice;
  return choice.type === "function"
    ? { mode: "required", names: [choice.name] }
    : { mode: choice.mode, names: choice.tools.map(({ name }) => name) };
}

function formatOf({ text }: ResponsesBody): OutputFormat {
  const format = text?.format;
  if (format == null) return { type: "text" };
  if (format.type !== "json_schema") return format;
  const { name, description, schema, strict } = format;
  return {
    ...{ type: "json_schema", name, schema: schema as JsonSchema, strict: strict ?? false },
    ...(description != null && { description }),
  };
}
