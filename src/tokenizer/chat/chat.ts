/**
 * @file Chat templates: messages to the text that a model was trained on, to ids, and which of those ids the assistant said.
 * Templates are Jinja, as `chat_template` of tokenizer_config.json has them, and render as transformers renders them; what
 * `jinja/` does not know is refused.
 */
import { QuernError } from "../../errors.js";
import { escapeControls } from "../../printable.js";
import type { JsonObject, Tokenizer } from "../tokenizer.js";
import { TemplateFailure } from "./jinja/failure.js";
import type { Rendering, Template } from "./jinja/index.js";

/** One turn; further keys (`tool_calls`, `name` …) are the template's to use. Keys that are null are left out. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

export interface ChatOptions {
  /** End with the beginning of an assistant's turn, for a model to continue; default false. */
  readonly addGenerationPrompt?: boolean;
  /** Leave the last message open, for a model to continue: its `content`, or the field that is named; default false. */
  readonly continueFinalMessage?: boolean | string;
  /** Descriptions of tools, as the template wants them. */
  readonly tools?: readonly unknown[];
  /** Documents for retrieval, as the template wants them. */
  readonly documents?: readonly unknown[];
  /** Which template, where there are several; `default` by default, or `tool_use` if there is one and tools are given. */
  readonly template?: string;
  /** Further variables of the template, such as `enable_thinking`. An integer is an int there, even if it was 2.0. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

export interface EncodedChat {
  readonly text: string;
  readonly ids: Uint32Array;
  /** 1 for each id that the assistant said: its words, calls and the token that ends its turn, or what the template marks. */
  readonly assistantMask: Uint8Array;
}

/**
 * The text of a conversation.
 * @throws QuernError if the tokenizer has no template, or the template refuses the messages or has what is not supported
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
 * The ids of a conversation, special tokens being themselves, with the mask of what the assistant said.
 *
 * Where a template marks it by `{% generation %}`, every id that overlaps a mark is in the mask, as in transformers.
 * Elsewhere it is found by rendering up to a turn with the opening of an answer, and up to the turn's end. Templates that
 * show an answer in another way once more has been said (without its thoughts, for example) are traced by markers.
 * @throws QuernError as `renderChat`, or if the template's output cannot be traced back to the messages
 */
export async function encodeChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Promise<EncodedChat> {
  checkMessages(messages);
  if (options.continueFinalMessage !== undefined && options.continueFinalMessage !== false) {
    throw new QuernError("a conversation whose last message stays open has no mask; use renderChat and encode", {
      exitCode: 2,
    });
  }
  const render = await renderer(tokenizer, options);
  const { text, generated, isTraceable } = render(messages, options.addGenerationPrompt ?? false);
  if (!isTraceable) {
    throw new QuernError(
      "the chat template marks what the assistant says ({% generation %}) within a macro or a captured block, where its place is not known",
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
  /** The template itself says what is the assistant's. */
  readonly marksGeneration: boolean;
}

/** Templates that were compiled last; conversations by the thousand have the same. */
const compiled = new Map<string, Template>();

async function compiledTemplate(source: string): Promise<Template> {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  // Most verbs render no chat; they do not wait for this to load.
  const { CHAT_TEMPLATE, compileTemplate } = await import("./jinja/index.js");
  const template = failing("cannot be read", () => compileTemplate(source, CHAT_TEMPLATE));
  if (compiled.size >= 16) compiled.clear();
  compiled.set(source, template);
  return template;
}

/** What renders a conversation by the template that the options choose. */
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

/** Names that a message's thoughts have had; templates read the first, gpt-oss's the second. */
const REASONING = ["reasoning_content", "thinking", "reasoning"] as const;

/** A message as transformers gives it to a template: without keys that are null, its thoughts under every name. */
function normalized(message: ChatMessage): JsonObject {
  const kept = Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null && value !== undefined));
  const named = REASONING.find((name) => Object.hasOwn(kept, name));
  return named === undefined ? kept : { thinking: kept[named], ...kept, reasoning_content: kept[named] };
}

const OPEN_END = "CONTINUE_FINAL_MESSAGE_TAG ";

/** The text up to where the last message ends, found by a tag behind its words. */
async function renderOpen(render: Render, messages: readonly ChatMessage[], options: ChatOptions): Promise<string> {
  const { strip } = await import("./jinja/strings.js");
  const wrong = (reason: string): QuernError =>
    new QuernError(`the last message cannot be continued: ${reason}`, { exitCode: 2 });
  if (options.addGenerationPrompt) throw wrong("a generation prompt would come after it; choose one of the two");
  const field = typeof options.continueFinalMessage === "string" ? options.continueFinalMessage : "content";
  const last = normalized(messages.at(-1)!);
  let final = last[field];
  const isReasoning = (REASONING as readonly string[]).includes(field);
  const fields = isReasoning ? REASONING.filter((name) => last[name] === final) : [field];
  if (final === undefined || final === null) throw wrong(`it has no ${field}`);
  if (!fields.some((name) => render.source.includes(name))) throw wrong(`the template does not show ${field}`);
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
  else throw wrong(`its ${field} is no text`);
  const { text } = render([...messages.slice(0, -1), { ...last, ...tagged } as unknown as ChatMessage], false);
  const tag = OPEN_END.trim();
  const at = text.lastIndexOf(tag);
  if (at < 0 || !text.includes(strip(String(final), undefined, "both")))
    throw wrong("the template does not show it as it is");
  // Where the template cuts white space at its end, the text loses it as well.
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
      ? "the tokenizer has no chat_template in its tokenizer_config.json; use one made for chat"
      : `the tokenizer has one chat template, and none named ${escapeControls(name)}`,
  );
}

/** A special token of tokenizer_config.json: its text, or an object with it. */
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
      `the chat template shows message ${turn}, the assistant's, in a way that cannot be traced, ` +
        "so what it said cannot be told apart",
    );
  });
}

/** The text of a conversation, or undefined if the template refuses it: it may not let one end, or go on, here. */
function tried(render: Render, messages: readonly ChatMessage[], addGenerationPrompt: boolean): string | undefined {
  try {
    return render(messages, addGenerationPrompt).text;
  } catch (error) {
    if (error instanceof QuernError) return undefined;
    throw error;
  }
}

/** The span of a turn if the text up to it, and up to its end, is the same when nothing follows. */
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
  const said = after.slice(before.length);
  const content = String(messages[turn].content ?? "").trim();
  const at = said.indexOf(content);
  const closing = firstSpecial(said, at < 0 ? 0 : at + content.length, special);
  return { start: before.length, end: closing === undefined ? after.length : before.length + closing.end };
}

/** The span of a turn, found by rendering all with a marker in its content's place. */
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
  // What follows may be longer here than there: a template's opening for the next answer.
  if (frame?.length !== 2 || !text.startsWith(frame[0])) return undefined;
  const start = frame[0].length;
  const end = text.lastIndexOf(frame[1]);
  if (end < start) return undefined;
  const closing = firstSpecial(frame[1], 0, special);
  return { start, end: end + (closing?.start === 0 ? closing.end : 0) };
}

/** The first special token in a text from an index on. */
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
