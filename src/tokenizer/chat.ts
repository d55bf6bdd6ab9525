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
  /** 1 for each id that the assistant said: its words, calls and the token that ends its turn. */
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
 * What it said is found by rendering: up to a turn with the opening of an answer, and up to the turn's end. Templates that
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
  const text = render(messages, options.addGenerationPrompt ?? false);
  const spans = assistantSpans(render, messages, text, tokenizer);
  const { ids, starts, ends } = tokenizer.encodeWithOffsets(text, { special: "allow" });
  const assistantMask = new Uint8Array(ids.length);
  let span = 0;
  for (let i = 0; i < ids.length; i++) {
    while (span < spans.length && spans[span].end <= starts[i]) span++;
    if (span < spans.length && starts[i] >= spans[span].start && ends[i] <= spans[span].end) assistantMask[i] = 1;
  }
  return { text, ids, assistantMask };
}

type Render = (messages: readonly ChatMessage[], addGenerationPrompt: boolean) => string;

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
  const compiled = failing(() => new Template(source));
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
  const turns = messages.flatMap((message, index) => (message.role === "assistant" ? [index] : []));
  if (turns.length === 0) return [];
  const marked = markedSpans(render, messages, turns, text, tokenizer);
  return turns.map((turn, k) => {
    const byPrefix = prefixSpan(render, messages, turn, text, tokenizer);
    const span = byPrefix ?? marked?.[k];
    if (span === undefined) {
      throw new QuernError(
        `the chat template shows the assistant's message ${turn} in a way that cannot be traced, so what it said cannot be told apart`,
      );
    }
    return span;
  });
}

/** The span of a turn if the text up to it, and up to its end, is the same when nothing follows. */
function prefixSpan(
  render: Render,
  messages: readonly ChatMessage[],
  turn: number,
  text: string,
  tokenizer: Tokenizer,
): Span | undefined {
  let before: string;
  let after: string;
  try {
    before = render(messages.slice(0, turn), true);
    after = render(messages.slice(0, turn + 1), false);
  } catch (error) {
    // A template may refuse a conversation that ends here.
    if (error instanceof QuernError) return undefined;
    throw error;
  }
  if (!after.startsWith(before) || !text.startsWith(after)) return undefined;
  return { start: before.length, end: turnEnd(text, before.length, after.length, tokenizer) };
}

/** The end of what the assistant says: behind the last special token before `end`, without the template's own line break. */
function turnEnd(text: string, start: number, end: number, tokenizer: Tokenizer): number {
  const tail = text.slice(start, end);
  const trimmed = tail.trimEnd();
  const special = [...tokenizer.special.keys()].some((content) => trimmed.endsWith(content));
  return special ? start + trimmed.length : end;
}

/** The spans of all turns, found by rendering with markers in their contents' places; undefined if that fails. */
function markedSpans(
  render: Render,
  messages: readonly ChatMessage[],
  turns: readonly number[],
  text: string,
  tokenizer: Tokenizer,
): readonly Span[] | undefined {
  const marker = (k: number): string => `\u2063quern-${k}\u2063`;
  const marked = messages.map((message, index) => {
    const k = turns.indexOf(index);
    return k < 0 ? message : { ...message, content: marker(k) };
  });
  let frame: string;
  try {
    frame = render(marked, false);
  } catch (error) {
    if (error instanceof QuernError) return undefined;
    throw error;
  }
  const spans: Span[] = [];
  let at = 0;
  let from = 0;
  for (let k = 0; k < turns.length; k++) {
    const place = frame.indexOf(marker(k), from);
    if (place < 0) return undefined;
    const literal = frame.slice(from, place);
    if (!text.startsWith(literal, at)) return undefined;
    at += literal.length;
    from = place + marker(k).length;
    const following = k + 1 < turns.length ? frame.slice(from, frame.indexOf(marker(k + 1), from)) : frame.slice(from);
    const content = String(messages[turns[k]].content ?? "");
    // As it is, or trimmed; else up to where the template goes on.
    const shown = [content, content.trim()].find(
      (each) => text.startsWith(each, at) && text.startsWith(following, at + each.length),
    );
    const end = shown === undefined ? text.indexOf(following, at) : at + shown.length;
    if (end < 0) return undefined;
    const closing = [...tokenizer.special.keys()].find((token) => following.startsWith(token));
    spans.push({ start: at, end: end + (closing?.length ?? 0) });
    at = end;
  }
  return spans;
}
