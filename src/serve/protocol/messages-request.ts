/** @file The body of Anthropic's `/v1/messages`, for text and tools. */
import { z } from "zod";
import { metadata, unsupported } from "../requests/check.js";
import {
  type ChatRequest,
  type ConversationMessage,
  contentText,
  DEFAULT_SAMPLING,
  type ToolCall,
} from "./chat-request.js";
import { type GivenChoice, toolChoiceOf, toolsOf } from "./tool-choice.js";

/** Has no effect: the prefix cache of this server needs no marks. */
const cache_control = metadata(z.record(z.string(), z.unknown()));

const textBlock = z.strictObject({
  type: z.literal("text"),
  text: z.string(),
  cache_control,
  citations: z.array(z.unknown()).max(0).nullish(),
});
const toolUse = z.strictObject({
  type: z.literal("tool_use"),
  id: z.string().min(1),
  name: z.string(),
  input: z.record(z.string(), z.unknown()),
  cache_control,
});
const toolResult = z.strictObject({
  type: z.literal("tool_result"),
  tool_use_id: z.string().min(1),
  content: z.union([z.string(), z.array(textBlock)]).nullish(),
  is_error: z.boolean().nullish(),
  cache_control,
});

const message = z.discriminatedUnion("role", [
  z.strictObject({
    role: z.literal("user"),
    content: z.union([z.string(), z.array(z.discriminatedUnion("type", [textBlock, toolResult])).min(1)]),
  }),
  z.strictObject({
    role: z.literal("assistant"),
    content: z.union([z.string(), z.array(z.discriminatedUnion("type", [textBlock, toolUse])).min(1)]),
  }),
]);

const isParallelOff = z.boolean().nullish();

export const messagesBody = z.strictObject({
  model: z.string().nullish(),
  max_tokens: z.int().min(1),
  messages: z.array(message).min(1),
  system: z.union([z.string(), z.array(textBlock)]).nullish(),
  stop_sequences: z.array(z.string().min(1)).nullish(),
  stream: z.boolean().nullish(),
  temperature: z.number().min(0).max(1).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  top_k: z.int().min(0).nullish(),
  tools: z
    .array(
      z.strictObject({
        type: z.literal("custom").nullish(),
        name: z.string().regex(/^[\w-]{1,128}$/, "must have 1 to 128 letters, digits, _ or -"),
        description: z.string().nullish(),
        input_schema: z.record(z.string(), z.unknown()),
        strict: z.boolean().nullish(),
        cache_control,
      }),
    )
    .nullish(),
  tool_choice: z
    .discriminatedUnion("type", [
      z.strictObject({ type: z.literal("auto"), disable_parallel_tool_use: isParallelOff }),
      z.strictObject({ type: z.literal("any"), disable_parallel_tool_use: isParallelOff }),
      z.strictObject({ type: z.literal("tool"), name: z.string(), disable_parallel_tool_use: isParallelOff }),
      z.strictObject({ type: z.literal("none") }),
    ])
    .nullish(),
  thinking: z
    .strictObject({ type: z.literal("disabled", { error: "must be disabled: this server does not support thinking" }) })
    .nullish(),
  metadata: metadata(z.strictObject({ user_id: z.string().nullish() })),
  service_tier: metadata(z.enum(["auto", "standard_only"])),
  cache_control,
  container: unsupported(),
  context_management: unsupported(),
  mcp_servers: unsupported(),
  output_config: unsupported(),
});

export type MessagesBody = z.output<typeof messagesBody>;

/**
 * Translates a checked body. If the assistant's message is last, the answer continues it.
 * @throws RequestError for a tool choice that names no tool
 */
export function messagesChatRequest(body: MessagesBody): ChatRequest {
  const tools = toolsOf((body.tools ?? []).map((tool) => ({ ...tool, parameters: tool.input_schema })));
  const choice = body.tool_choice;
  const isSerial = choice != null && "disable_parallel_tool_use" in choice && choice.disable_parallel_tool_use === true;
  const messages = conversationOf(body);
  return {
    model: body.model ?? "",
    messages,
    tools,
    toolChoice: toolChoiceOf(givenChoice(body), tools),
    parallelToolCalls: !isSerial,
    format: { type: "text" },
    sampling: {
      ...DEFAULT_SAMPLING,
      temperature: body.temperature ?? 1,
      topP: Math.max(body.top_p ?? 1, 1e-9), // 0 keeps the likeliest token
      topK: body.top_k ?? 0,
      stop: body.stop_sequences ?? [],
      maxTokens: body.max_tokens,
    },
    n: 1,
    logprobs: false,
    topLogprobs: 0,
    stream: body.stream ?? false,
    includeUsage: true,
    continuesLastMessage: messages.at(-1)?.role === "assistant",
    templateVariables: {},
  };
}

function conversationOf({ system, messages }: MessagesBody): ConversationMessage[] {
  const conversation: ConversationMessage[] = [];
  if (system != null && contentText(system) !== "") conversation.push({ role: "system", content: contentText(system) });
  for (const { role, content } of messages) {
    if (role === "assistant") {
      const blocks = typeof content === "string" ? [{ type: "text" as const, text: content }] : content;
      const toolCalls = blocks.flatMap((block): ToolCall[] =>
        block.type === "tool_use" ? [{ id: block.id, name: block.name, arguments: JSON.stringify(block.input) }] : [],
      );
      const text = contentText(blocks.flatMap((block) => (block.type === "text" ? [block] : [])));
      conversation.push({ role, content: text, toolCalls });
      continue;
    }
    const blocks = typeof content === "string" ? [{ type: "text" as const, text: content }] : content;
    const texts = blocks.flatMap((block) => (block.type === "text" ? [block] : []));
    for (const block of blocks) {
      if (block.type !== "tool_result") continue;
      const result = contentText(block.content);
      const shown = block.is_error === true ? `Error: ${result}` : result;
      conversation.push({ role: "tool", content: shown, toolCallId: block.tool_use_id });
    }
    if (texts.length > 0) conversation.push({ role, content: contentText(texts) });
  }
  return conversation;
}

function givenChoice({ tool_choice: choice }: MessagesBody): GivenChoice | null {
  if (choice == null) return null;
  if (choice.type === "tool") return { mode: "required", names: [choice.name], param: "tool_choice.name" };
  return choice.type === "any" ? "required" : choice.type;
}
