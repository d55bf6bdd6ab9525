/**
 * @file Chat templates turn messages into the text that a model was trained on, into ids, and into a mask of the assistant's
 * ids. A template is Jinja from `chat_template` of tokenizer_config.json and renders as in transformers. Constructs that
 * `jinja/` does not support are refused.
 */
import { QuernError } from "../../errors.js";
import { escapeControls } from "../../printable.js";
import type { JsonObject, Tokenizer } from "../tokenizer.js";
import { TemplateFailure } from "./jinja/failure.js";
import type { Rendering, Template } from "./jinja/index.js";

/** One turn. Further keys (`tool_calls`, `name` …) are passed to the template, except those that are null. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

export interface ChatOptions {
  /** End with the start of an assistant's turn for the model to continue; default false. */
  readonly addGenerationPrompt?: boolean;
  /** Leave the last message open for the model to continue: its `content`, or the named field; default false. */
  readonly continueFinalMessage?: boolean | string;
  /** Tool descriptions, in the template's format. */
  readonly tools?: readonly unknown[];
  /** Documents for retrieval, in the template's format. */
  readonly documents?: readonly unknown[];
  /** Name of the template if there are several; default `tool_use` if it exists and tools are given, else `default`. */
  readonly template?: string;
  /** Further template variables, such as `enable_thinking`. Integers become Python ints, even a value written as 2.0. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

export interface EncodedChat {
  readonly text: string;
  readonly ids: Uint32Array;
  /** 1 for each id of an assistant turn: text, tool calls and end-of-turn token, or what the template marks. */
  readonly assistantMask: Uint8Array;
}

/**
 * Renders a conversation as text.
 * @throws QuernError if the tokenizer has no template, or the template rejects the messages or uses an unsupported feature
 */
export async function renderChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Promise<string> {
  checkMessages(messages);
  const render = await renderer(tokenizer, options);
  if (options.continueFinalMessage === undefined || options.continueFinalMessage === false) {
    return render(messages, options.addGenerationPrompt ?? false).text;
  }
  return renderOpen(render, messages, options);
}

/**
 * Encodes a conversation, with its special tokens, and computes the mask of the assistant's ids.
 *
 * If the template uses `{% generation %}`, the mask contains every id that overlaps such a block, as in transformers.
 * Otherwise each assistant turn is the difference of two renderings: up to the turn with a generation prompt, and up to
 * its end. Some templates render a turn differently when more messages follow, for example without its reasoning. There
 * the turn is found by rendering a marker in place of its content.
 * @throws QuernError as `renderChat`, or if an assistant turn cannot be located in the output
 */
export async function encodeChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Promise<EncodedChat> {
  checkMessages(messages);
  if (options.continueFinalMessage !== undefined && options.continueFinalMessage !== false) {
    throw new QuernError("encodeChat does not support continueFinalMessage; use renderChat and encode", {
      exitCode: 2,
    });
  }
  const render = await renderer(tokenizer, options);
  const { text, generated, isTraceable } = render(messages, options.addGenerationPrompt ?? false);
  if (!isTraceable) {
    throw new QuernError(
      "the chat template uses {% generation %} within a macro or a captured block, so its place in the output is unknown",
    );
  }
  const isMarked = render.marksGeneration;
  const spans = isMarked ? generated : assistantSpans(render, messages, text, tokenizer);
  const { ids, starts, ends } = tokenizer.encodeWithOffsets(text, { special: "allow" });
  const assistantMask = new Uint8Array(ids.length);
  let span = 0;
  for (let i = 0; i < ids.length; i++) {
    while (span < spans.length && spans[span].end <= starts[i]) span++;
    if (span >= spans.length) break;
    const { start, end } = spans[span];
    if (isMarked ? ends[i] > start : starts[i] >= start && ends[i] <= end) assistantMask[i] = 1;
  }
  return { text, ids, assistantMask };
}

function checkMessages(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new QuernError("the conversation has no messages; give at least one", { exitCode: 2 });
  }
  const wrong = messages.findIndex(
    (message) => typeof message !== "object" || message === null || Array.isArray(message),
  );
  if (wrong >= 0)
    throw new QuernError(`message ${wrong} of the conversation is not an object with a role`, { exitCode: 2 });
}

interface Render {
  (messages: readonly ChatMessage[], addGenerationPrompt: boolean): Rendering;
  readonly source: string;
  /** Whether the template marks the assistant's text itself, with `{% generation %}`. */
  readonly marksGeneration: boolean;
}

/** Cache of compiled templates, since thousands of conversations use the same one. */
const compiled = new Map<string, Template>();

async function compiledTemplate(source: string): Promise<Template> {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  // Loaded on demand, since most commands render no chat.
  const { CHAT_TEMPLATE, compileTemplate } = await import("./jinja/index.js");
  const template = failing("cannot be parsed", () => compileTemplate(source, CHAT_TEMPLATE));
  if (compiled.size >= 16) compiled.clear();
  compiled.set(source, template);
  return template;
}

/** Returns a function that renders conversations with the template selected by the options. */
export async function renderer(
  tokenizer: Tokenizer,
  { tools, documents, template, variables }: ChatOptions,
): Promise<Render> {
  const config = tokenizer.parts.config ?? {};
  const source = templateOf(config, template, tools !== undefined);
  const compiledSource = await compiledTemplate(source);
  const tokens = Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) => {
      const content = key.endsWith("_token") ? contentOf(value) : undefined;
      return content === undefined ? [] : [[key, content]];
    }),
  );
  const render = (messages: readonly ChatMessage[], addGenerationPrompt: boolean): Rendering =>
    failing("cannot render these messages", () =>
      compiledSource.render({
        ...tokens,
        ...variables,
        messages: messages.map(normalized),
        tools: tools ?? null,
        documents: documents ?? null,
        add_generation_prompt: addGenerationPrompt,
      }),
    );
  return Object.assign(render, { source, marksGeneration: /\{%[-+]?\s*generation\s*[-+]?%\}/.test(source) });
}

/**
 * Returns the source of the chat template that `renderChat` uses, with or without tools.
 * @throws QuernError if the tokenizer has none
 */
export function chatTemplateSource(tokenizer: Tokenizer, hasTools: boolean): string {
  return templateOf(tokenizer.parts.config ?? {}, undefined, hasTools);
}

/** Keys used for a message's reasoning. Most templates read the first, gpt-oss's reads the second. */
const REASONING = ["reasoning_content", "thinking", "reasoning"] as const;

/**
 * Normalizes a message as transformers does: drops null keys and stores the reasoning under every name that templates read.
 */
function normalized(message: ChatMessage): JsonObject {
  const kept = Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null && value !== undefined));
  const named = REASONING.find((name) => Object.hasOwn(kept, name));
  return named === undefined ? kept : { thinking: kept[named], ...kept, reasoning_content: kept[named] };
}

const OPEN_END = "CONTINUE_FINAL_MESSAGE_TAG ";

/** Renders the text up to the end of the last message, found by a tag appended to its content. */
async function renderOpen(render: Render, messages: readonly ChatMessage[], options: ChatOptions): Promise<string> {
  const { strip } = await import("./jinja/strings.js");
  const wrong = (reason: string): QuernError =>
    new QuernError(`the last message cannot be continued: ${reason}`, { exitCode: 2 });
  if (options.addGenerationPrompt) throw wrong("it excludes addGenerationPrompt; choose one of the two");
  const field = typeof options.continueFinalMessage === "string" ? options.continueFinalMessage : "content";
  const last = normalized(messages.at(-1)!);
  let final = last[field];
  const isReasoning = (REASONING as readonly string[]).includes(field);
  const fields = isReasoning ? REASONING.filter((name) => last[name] === final) : [field];
  if (final === undefined || final === null) throw wrong(`it has no ${field}`);
  if (!fields.some((name) => render.source.includes(name))) throw wrong(`the template does not use ${field}`);
  let tagged: JsonObject;
  if (Array.isArray(final)) {
    const blocks = final as readonly JsonObject[];
    const at = blocks.findLastIndex((block) => typeof block?.text === "string");
    if (at < 0) throw wrong(`its ${field} has no text`);
    final = blocks[at].text;
    tagged = {
      [field]: blocks.map((block, index) => (index === at ? { ...block, text: `${final}${OPEN_END}` } : block)),
    };
  } else if (typeof final === "string")
    tagged = Object.fromEntries(fields.map((name) => [name, `${final}${OPEN_END}`]));
  else throw wrong(`its ${field} is not text`);
  const { text } = render([...messages.slice(0, -1), { ...last, ...tagged } as unknown as ChatMessage], false);
  const tag = OPEN_END.trim();
  const at = text.lastIndexOf(tag);
  if (at < 0 || !text.includes(strip(String(final), undefined, "both")))
    throw wrong("the template does not render it unchanged");
  // If the template trims the message's trailing white space, the result is trimmed as well.
  return text.startsWith(OPEN_END, at) ? text.slice(0, at) : strip(text.slice(0, at), undefined, "right");
}

function templateOf(config: JsonObject, name: string | undefined, hasTools: boolean): string {
  const given = config.chat_template;
  if (typeof given === "string" && (name === undefined || name === "default")) return given;
  if (typeof given === "object" && given !== null) {
    const named = new Map<string, string>();
    const entries: readonly unknown[] = Array.isArray(given)
      ? given
      : Object.entries(given).map(([key, template]) => ({ name: key, template }));
    for (const entry of entries as readonly (JsonObject | null)[]) {
      if (typeof entry?.name === "string" && typeof entry.template === "string") named.set(entry.name, entry.template);
    }
    const wanted = name ?? (hasTools && named.has("tool_use") ? "tool_use" : "default");
    const found = named.get(wanted);
    if (found !== undefined) return found;
    throw new QuernError(
      `the tokenizer has no chat template named ${escapeControls(wanted)}; it has ${escapeControls([...named.keys()].join(", ")) || "none"}`,
    );
  }
  throw new QuernError(
    name === undefined || name === "default" || given === undefined
      ? "the tokenizer has no chat_template in its tokenizer_config.json; use the tokenizer of a chat model"
      : `the tokenizer has only one, unnamed chat template, not ${escapeControls(name)}`,
  );
}

/** Returns the text of a special token of tokenizer_config.json, which is a string or an object. */
function contentOf(value: unknown): string | undefined {
  const content = typeof value === "object" && value !== null ? (value as JsonObject).content : value;
  return typeof content === "string" ? content : undefined;
}

function failing<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof TemplateFailure)) throw error;
    throw new QuernError(`the chat template ${what}: line ${error.line ?? 1}: ${escapeControls(error.message)}`, {
      cause: error,
    });
  }
}

interface Span {
  readonly start: number;
  readonly end: number;
}

function assistantSpans(
  render: Render,
  messages: readonly ChatMessage[],
  text: string,
  tokenizer: Tokenizer,
): readonly Span[] {
  const special = [...tokenizer.special.keys()];
  return messages.flatMap((message, turn) => {
    if (message.role !== "assistant") return [];
    const span = prefixSpan(render, messages, turn, text, special) ?? markedSpan(render, messages, turn, text, special);
    if (span !== undefined) return [span];
    throw new QuernError(
      `the assistant's message ${turn} cannot be located in the chat template's output, ` +
        "so the assistant mask cannot be computed",
    );
  });
}

/** Renders a conversation, or returns undefined if the template rejects it: some require certain last messages. */
function tried(render: Render, messages: readonly ChatMessage[], addGenerationPrompt: boolean): string | undefined {
  try {
    return render(messages, addGenerationPrompt).text;
  } catch (error) {
    if (error instanceof QuernError) return undefined;
    throw error;
  }
}

/** Finds a turn by rendering prefixes of the conversation; undefined if they are not prefixes of the whole text. */
function prefixSpan(
  render: Render,
  messages: readonly ChatMessage[],
  turn: number,
  text: string,
  special: readonly string[],
): Span | undefined {
  const before = tried(render, messages.slice(0, turn), true);
  const after = tried(render, messages.slice(0, turn + 1), false);
  if (before === undefined || after === undefined || !after.startsWith(before) || !text.startsWith(after)) {
    return undefined;
  }
  const rendered = after.slice(before.length);
  const content = String(messages[turn].content ?? "").trim();
  const at = rendered.indexOf(content);
  const closing = firstSpecial(rendered, at < 0 ? 0 : at + content.length, special);
  return { start: before.length, end: closing === undefined ? after.length : before.length + closing.end };
}

/** Finds a turn by rendering the conversation with a marker in place of its content. */
function markedSpan(
  render: Render,
  messages: readonly ChatMessage[],
  turn: number,
  text: string,
  special: readonly string[],
): Span | undefined {
  const marker = "\u2063quern\u2063";
  const marked = messages.map((message, index) => (index === turn ? { ...message, content: marker } : message));
  const frame = tried(render, marked, false)?.split(marker);
  // The whole text may be longer than this rendering, for example by a generation prompt.
  if (frame?.length !== 2 || !text.startsWith(frame[0])) return undefined;
  const start = frame[0].length;
  const end = text.lastIndexOf(frame[1]);
  if (end < start) return undefined;
  const closing = firstSpecial(frame[1], 0, special);
  return { start, end: end + (closing?.start === 0 ? closing.end : 0) };
}

/** Finds the first special token in a text at or after an index; the longest one if several start there. */
function firstSpecial(text: string, from: number, special: readonly string[]): Span | undefined {
  let found: Span | undefined;
  for (const content of special) {
    const start = text.indexOf(content, from);
    if (start < 0) continue;
    const longer =
      found === undefined || start < found.start || (start === found.start && start + content.length > found.end);
    if (longer) found = { start, end: start + content.length };
  }
  return found;
}
