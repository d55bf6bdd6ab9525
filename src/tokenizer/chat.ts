/**
 * @file Chat templates: messages to the text that a model was trained on, to ids, and which of those ids the assistant said.
 * Templates are Jinja, as `chat_template` of tokenizer_config.json has them.
 */
import { QuernError } from "../errors.js";
import type { JsonObject, Tokenizer } from "./tokenizer.js";

/** One turn; further keys (`tool_calls`, `name` …) are the template's to use. */
export interface ChatMessage {
  readonly role: string;
  readonly content?: unknown;
  readonly [key: string]: unknown;
}

export interface ChatOptions {
  /** End with the beginning of an assistant's turn, for a model to go on; false by default. */
  readonly addGenerationPrompt?: boolean;
  /** Descriptions of tools, as the template wants them. */
  readonly tools?: readonly unknown[];
  /** Which template, where there are several; `default` by default. */
  readonly template?: string;
  /** Further variables of the template, such as `enable_thinking`. */
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
 * @throws QuernError if the tokenizer has no template, or the template refuses the messages
 */
export async function renderChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Promise<string> {
  return (await renderer(tokenizer, options))(messages, options.addGenerationPrompt ?? false);
}

/**
 * The ids of a conversation, special tokens being themselves, with the mask of what the assistant said.
 *
 * Where a template marks it by `{% generation %}`, that is what it said. Elsewhere it is found by rendering: up to a turn with the opening of an answer, and up to the turn's end. Templates that
 * show an answer in another way once more has been said (without its thoughts, say) are traced by putting markers in its
 * place.
 * @throws QuernError as `renderChat`, or if the template's output cannot be traced back to the messages
 */
export async function encodeChat(
  tokenizer: Tokenizer,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Promise<EncodedChat> {
  const render = await renderer(tokenizer, options);
  const rendered = render.marked?.(messages, options.addGenerationPrompt ?? false);
  const text = rendered?.text ?? render(messages, options.addGenerationPrompt ?? false);
  const spans = rendered?.spans ?? assistantSpans(render, messages, text, tokenizer);
  const { ids, starts, ends } = tokenizer.encodeWithOffsets(text, { special: "allow" });
  const assistantMask = new Uint8Array(ids.length);
  let span = 0;
  for (let i = 0; i < ids.length; i++) {
    while (span < spans.length && spans[span].end <= starts[i]) span++;
    if (span < spans.length && starts[i] >= spans[span].start && ends[i] <= spans[span].end) assistantMask[i] = 1;
  }
  return { text, ids, assistantMask };
}

interface Render {
  (messages: readonly ChatMessage[], addGenerationPrompt: boolean): string;
  /** The text, and what of it the template itself says is the assistant's; only where it says so. */
  readonly marked?: (
    messages: readonly ChatMessage[],
    addGenerationPrompt: boolean,
  ) => { readonly text: string; readonly spans: readonly Span[] };
}

/** What stands in a text for `{% generation %}` and its end: in no document, for they are no characters of any. */
const SAID = "\ufdd0quern\ufdd0";
const SAID_END = "\ufdd1quern\ufdd1";

async function renderer(tokenizer: Tokenizer, { tools, template, variables }: ChatOptions): Promise<Render> {
  const config = tokenizer.parts.config ?? {};
  const source = templateOf(config, template ?? "default");
  const { Template } = await import("@huggingface/jinja");
  const tokens = Object.fromEntries(
    ["bos_token", "eos_token", "unk_token", "pad_token"].flatMap((key) => {
      const content = contentOf(config[key]);
      return content === undefined ? [] : [[key, content]];
    }),
  );
  const renderOf = (template: string): Render => {
    const compiled = failing(() => new Template(template));
    return (messages, addGenerationPrompt) =>
      failing(() =>
        compiled.render({
          ...tokens,
          ...(tools === undefined ? {} : { tools }),
          ...variables,
          messages,
          add_generation_prompt: addGenerationPrompt,
        }),
      );
  };
  const render = renderOf(source);
  const withMarks = source.replace(
    /\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}/g,
    (_, before: string, end: string | undefined, after: string) =>
      `{{${before}"${end === undefined ? SAID : SAID_END}"${after}}}`,
  );
  if (withMarks === source) return render;
  const renderMarked = renderOf(withMarks);
  const marked: Render["marked"] = (messages, addGenerationPrompt) =>
    unmarked(renderMarked(messages, addGenerationPrompt));
  return Object.assign((...given: Parameters<Render>) => render(...given), { marked });
}

/** A text without the marks, and what was between them. */
function unmarked(marked: string): { readonly text: string; readonly spans: readonly Span[] } {
  const spans: Span[] = [];
  let text = "";
  marked.split(SAID).forEach((piece, index) => {
    const start = text.length;
    const [said, ...rest] = index === 0 ? ["", piece] : piece.split(SAID_END);
    text += said + rest.join("");
    if (said !== "") spans.push({ start, end: start + said.length });
  });
  return { text, spans };
}

function templateOf(config: JsonObject, name: string): string {
  const given = config.chat_template;
  if (typeof given === "string" && name === "default") return given;
  if (Array.isArray(given)) {
    const found = (given as unknown[]).find((entry) => (entry as JsonObject | null)?.name === name) as
      | JsonObject
      | undefined;
    if (typeof found?.template === "string") return found.template;
    const names = (given as JsonObject[]).map((entry) => String(entry?.name)).join(", ");
    throw new QuernError(`the tokenizer has no chat template named ${name}; it has ${names}`);
  }
  throw new QuernError(
    name === "default" || given === undefined
      ? "the tokenizer has no chat_template in its tokenizer_config.json; use one made for chat"
      : `the tokenizer has one chat template, and none named ${name}`,
  );
}

/** A special token of tokenizer_config.json: its text, or an object with it. */
function contentOf(value: unknown): string | undefined {
  const content = typeof value === "object" && value !== null ? (value as JsonObject).content : value;
  return typeof content === "string" ? content : undefined;
}

function failing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new QuernError(`the chat template cannot render these messages: ${reason}`, { cause: error });
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
    return render(messages, addGenerationPrompt);
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
