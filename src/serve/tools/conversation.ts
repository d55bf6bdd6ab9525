/** @file Conversations with tools as chat templates read them, and as templates that know no tools do. */
import { QuernError } from "../../errors.js";
import { type ChatMessage, chatTemplateSource, renderChat, type Tokenizer } from "../../tokenizer/index.js";
import type { ConversationMessage, Tool, ToolCall } from "../protocol/chat-request.js";
import { RequestError } from "../protocol/request-error.js";
import { type CallFormat, type CallSyntax, callFormatOf, GENERIC_FORMAT, sectionsOf } from "./call-format.js";

/** What a template does with tools. */
export interface TemplateTools {
  readonly format: CallFormat;
  /**
   * How it renders earlier calls: from arguments as an object or as JSON text; `written`: not at all, so that they become part of
   * the content.
   */
  readonly calls: "object" | "text" | "written";
  /** Whether it renders messages of the role tool. */
  readonly hasResults: boolean;
  /** Whether it lists the tools; otherwise the system message does. */
  readonly listsTools: boolean;
}

/** Of a template that knows no tools. */
export const NO_TOOLS: TemplateTools = {
  format: GENERIC_FORMAT,
  calls: "written",
  hasResults: false,
  listsTools: false,
};

const known = new WeakMap<Tokenizer, Promise<TemplateTools>>();

/** Finds out from the template, once per tokenizer. */
export function templateTools(tokenizer: Tokenizer): Promise<TemplateTools> {
  const found = known.get(tokenizer) ?? probe(tokenizer);
  known.set(tokenizer, found);
  return found;
}

const PROBE: Tool = {
  name: "quern_tool",
  description: "A tool.",
  parameters: { type: "object", properties: { quern_key: { type: "string", description: "A text." } } },
};
const PROBE_ID = "quern0001";

/** Renders a conversation with a call in each way and looks for its parts. */
async function probe(tokenizer: Tokenizer): Promise<TemplateTools> {
  const format = callFormatOf(chatTemplateSource(tokenizer, true));
  if (format === GENERIC_FORMAT) return NO_TOOLS;
  const question: ConversationMessage = { role: "user", content: "quern question" };
  const call = { id: PROBE_ID, name: PROBE.name, arguments: '{"quern_key": "quern value"}' };
  const messages: ConversationMessage[] = [
    question,
    { role: "assistant", content: "", toolCalls: [call] },
    { role: "tool", content: "quern result", toolCallId: PROBE_ID },
  ];
  const render = (given: readonly ConversationMessage[], traits: TemplateTools): Promise<string> =>
    renderChat(tokenizer, nativeMessages(given, traits), {
      tools: [toolObject(PROBE)],
      addGenerationPrompt: true,
    }).catch((error: unknown) => {
      if (error instanceof QuernError) return "";
      throw error;
    });
  const written: TemplateTools = { format, calls: "written", hasResults: false, listsTools: false };
  const listsTools = (await render([question], written)).includes(PROBE.name);
  for (const calls of ["object", "text"] as const) {
    const traits = { format, calls, hasResults: true, listsTools };
    const text = await render(messages, traits);
    const shown = text.slice(text.lastIndexOf("quern question"));
    // JSON has double quotes; a Python dict would have single ones, and JSON within JSON escaped ones.
    const isJson = /"quern_key":\s*"quern value"/.test(shown);
    const isTagged =
      format.syntax.kind === "tagged" && /quern_key(<\/\w+|"[^>]*)?>\s*(<\w+>)?\s*quern value/.test(shown);
    if ((isJson || isTagged) && shown.includes("quern result")) return traits;
  }
  if (!listsTools) return sectionsOf(format) === undefined ? NO_TOOLS : { ...NO_TOOLS, format };
  const withResult = await render(messages, { ...written, hasResults: true });
  return { ...written, listsTools, hasResults: withResult.includes("quern result") };
}

/** A tool as templates read it: OpenAI's form. */
export function toolObject({ name, description, parameters }: Tool): object {
  return { type: "function", function: { name, description: description ?? "", parameters } };
}

/**
 * Checks that every tool message answers a call before it, and that the arguments of calls are JSON objects.
 * @throws RequestError
 */
export function checkToolMessages(messages: readonly ConversationMessage[]): void {
  const open = new Set<string>();
  messages.forEach((message, index) => {
    const param = `messages[${index}]`;
    if (message.role === "tool") {
      if (open.has(message.toolCallId)) return;
      throw new RequestError(
        `${param}.tool_call_id is ${JSON.stringify(message.toolCallId)}, but no call before it has this id`,
        { param: `${param}.tool_call_id`, code: "invalid_value" },
      );
    }
    if (message.role !== "assistant") return;
    message.toolCalls.forEach((call, place) => {
      open.add(call.id);
      argumentsOf(call, `${param}.tool_calls[${place}].function.arguments`);
    });
  });
}

function argumentsOf({ arguments: text }: ToolCall, param: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text === "" ? "{}" : text);
  } catch {
    throw new RequestError(`${param} is not JSON`, { param, code: "invalid_value" });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new RequestError(`${param} must be a JSON object`, { param, code: "invalid_value" });
}

/** Returns the messages as the template reads them. */
export function nativeMessages(
  messages: readonly ConversationMessage[],
  { format, calls: form, hasResults }: TemplateTools,
): ChatMessage[] {
  const idOf = templateIds(messages, format);
  const names = callNames(messages);
  const rendered: Rendered[] = [];
  for (const message of messages) {
    const { role, content } = message;
    if (message.role === "tool") {
      const name = names.get(message.toolCallId);
      if (!hasResults) addText(rendered, "user", `Result of ${name ?? "the call"}:\n${content}`);
      else {
        const { toolCallId } = message;
        rendered.push({ role, content, tool_call_id: idOf(toolCallId), ...(name !== undefined && { name }) });
      }
      continue;
    }
    if (message.role !== "assistant" || message.toolCalls.length === 0) {
      addText(rendered, role === "developer" ? "system" : role, content, message.name); // templates know no developer
    } else if (form === "written") {
      const written = writtenCalls(format.syntax, message.toolCalls);
      addText(rendered, role, content === "" ? written : `${content}\n${written}`, message.name);
    } else {
      const tool_calls = message.toolCalls.map((call) => ({
        id: idOf(call.id),
        type: "function",
        function: { name: call.name, arguments: form === "object" ? argumentsOf(call, "arguments") : textOf(call) },
      }));
      rendered.push({ role, content, tool_calls, ...(message.name !== undefined && { name: message.name }) });
    }
  }
  return rendered;
}

type Rendered = { role: string; content: string; readonly [key: string]: unknown };

/** Adds a message; a result of a tool and a user's text are one message, since templates expect user and assistant in turn. */
function addText(messages: Rendered[], role: string, content: string, name?: string): void {
  const last = messages.at(-1);
  if (role === "user" && last?.role === "user" && last.content.startsWith("Result of ")) {
    last.content += `\n\n${content}`;
  } else messages.push({ role, content, ...(name !== undefined && { name }) });
}

const textOf = ({ arguments: text }: ToolCall) => (text === "" ? "{}" : text);

/** The calls of a message as the model writes them. */
export function writtenCalls(syntax: CallSyntax, calls: readonly ToolCall[]): string {
  const { start, open, close, separator, end } = syntax;
  const bodies = calls.map((call, index): string => {
    switch (syntax.kind) {
      case "object":
        return `{"${syntax.nameKey}": ${JSON.stringify(call.name)}, "${syntax.argumentsKey}": ${textOf(call)}}`;
      case "named":
        return `${call.name}${syntax.counter === undefined ? "" : syntax.counter + index}${syntax.nameEnd}${textOf(call)}`;
      case "tagged": {
        const { keyOpen, keyClose, jsonKeyClose = keyClose, valueClose } = syntax;
        const values = Object.entries(argumentsOf(call, "arguments")).map(([key, value]) =>
          typeof value === "string"
            ? keyOpen + key + keyClose + value + valueClose
            : keyOpen + key + jsonKeyClose + JSON.stringify(value) + valueClose,
        );
        return `${call.name}${syntax.nameEnd}${values.join("")}`;
      }
      default:
        return syntax satisfies never;
    }
  });
  if (syntax.kind === "object" && syntax.isList) return `${start}${open}[${bodies.join(", ")}]${close}${end}`;
  return start + bodies.map((body) => open + body + close).join(separator) + end;
}

/** Returns the ids of calls as the template demands them. */
function templateIds(
  messages: readonly ConversationMessage[],
  { idLength, syntax }: CallFormat,
): (id: string) => string {
  if (idLength !== undefined) return (id) => shortId(id, idLength);
  if (syntax.kind !== "named" || syntax.counter === undefined) return (id) => id;
  // The model's own ids number the calls of a conversation.
  const { open, counter } = syntax;
  const prefix = open.slice(open.lastIndexOf(">") + 1);
  const calls = messages.flatMap((message) => (message.role === "assistant" ? message.toolCalls : []));
  const numbered = new Map(calls.map(({ id, name }, index) => [id, prefix + name + counter + index]));
  return (id) => numbered.get(id) ?? id;
}

const callNames = (messages: readonly ConversationMessage[]): ReadonlyMap<string, string> =>
  new Map(
    messages
      .flatMap((message) => (message.role === "assistant" ? message.toolCalls : []))
      .map(({ id, name }) => [id, name]),
  );

const LETTERS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Returns an id of exactly this many letters and digits; the same for the same id. */
export function shortId(id: string, length: number): string {
  if (id.length === length && /^[0-9a-zA-Z]+$/.test(id)) return id;
  let hash = 0xcbf29ce484222325n; // FNV-1a
  for (const char of id) hash = ((hash ^ BigInt(char.codePointAt(0)!)) * 0x100000001b3n) & 0xffffffffffffffffn;
  let text = "";
  for (let i = 0; i < length; i++) {
    text += LETTERS[Number(hash % 62n)];
    hash /= 62n;
  }
  return text;
}

/** Adds the list of tools to the system message, for a template that does not list them. */
export function withToolList(
  messages: readonly ChatMessage[],
  tools: readonly Tool[],
  { syntax }: CallFormat,
): ChatMessage[] {
  const example = { id: "", name: "the function's name", arguments: '{"argument": "value"}' };
  const list = [
    "You can call these functions. Each line describes one; its parameters are a JSON Schema.",
    ...tools.map(({ name, description, parameters }) => JSON.stringify({ name, description, parameters })),
    "To call a function, answer only in this form:",
    writtenCalls(syntax, [example]),
  ].join("\n");
  const [first, ...rest] = messages;
  if (first?.role !== "system") return [{ role: "system", content: list }, ...messages];
  return [{ ...first, content: `${first.content}\n\n${list}` }, ...rest];
}
