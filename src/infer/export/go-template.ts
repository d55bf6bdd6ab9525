/**
 * @file Expresses a chat template as one of Ollama's, in Go's text/template. The turns' texts are found by rendering
 * conversations with the Jinja template; the result must then render a table of conversations as the Jinja template does.
 */
import { QuernError } from "../../errors.js";
import { type ChatMessage, renderChat, type Tokenizer } from "../../tokenizer/index.js";

/** The text before and after a message. */
interface Turn {
  readonly before: string;
  readonly after: string;
}

/** A conversation is `begin` or `beginWithoutSystem`, its turns, and the start of the answer. */
interface TurnFormat {
  readonly begin: string;
  /** Text at the start of a conversation without a system message, such as a default one. */
  readonly beginWithoutSystem: string;
  /** Null if the template rejects system messages. */
  readonly system: Turn | null;
  readonly user: Turn;
  readonly assistant: Turn;
  readonly answer: string;
}

export interface OllamaTemplate {
  readonly template: string;
  readonly warnings: readonly string[];
}

const [SYSTEM, USER, ANSWER, NEXT] = ["qsystemq", "quserq", "qanswerq", "qnextq"];
const message = (role: string, content: string): ChatMessage => ({ role, content });

/** Conversations that both templates must render alike; they end with a user's message, as those that Ollama completes. */
const CONVERSATIONS: readonly (readonly ChatMessage[])[] = [
  [message("user", "Hi")],
  [message("user", "Two\n\nlines, “quoted” {{ braces }} <tags> 水車")],
  [message("system", "Be brief."), message("user", "Hi")],
  [message("user", "1+1?"), message("assistant", "2"), message("user", "2+2?")],
  [
    ...[message("system", "Count.\nOn."), message("user", "one"), message("assistant", "two\nthree")],
    ...[message("user", "four"), message("assistant", "five"), message("user", "six")],
  ],
];

/**
 * @param addsBos whether llama.cpp itself puts the beginning-of-text token before the text
 * @throws QuernError for a chat template that this form cannot express
 */
export async function ollamaTemplate(tokenizer: Tokenizer, addsBos: boolean): Promise<OllamaTemplate> {
  const warnings: string[] = [];
  if (tokenizer.parts.config?.chat_template === undefined) {
    return {
      template: "{{ .Prompt }}",
      warnings: ["the model has no chat template; Ollama continues a prompt as it is"],
    };
  }
  const render = (messages: readonly ChatMessage[]) => renderChat(tokenizer, messages, { addGenerationPrompt: true });
  const format = await formatOf(tokenizer, render);
  if (format.system === null) warnings.push("the chat template rejects system messages; Ollama leaves them out");
  for (const messages of CONVERSATIONS) {
    if (format.system === null && messages[0].role === "system") continue;
    if ((await render(messages)) !== renderTurns(format, messages)) {
      throw inexpressible(`it renders ${JSON.stringify(messages.map(({ role }) => role))} in another form`);
    }
  }
  const spaced = [message("user", "  spaced  ")];
  if ((await render(spaced)) !== renderTurns(format, spaced)) {
    warnings.push("the chat template removes white space around messages; Ollama keeps it");
  }
  const bos = addsBos ? tokenizer.parts.before?.[0] : undefined;
  const bosText = bos === undefined ? "" : Buffer.from(tokenizer.tokenBytes(bos)).toString("utf8");
  return { template: goTemplate(withoutBos(format, bosText)), warnings };
}

const inexpressible = (why: string) =>
  new QuernError(
    `the chat template cannot be expressed as a template of Ollama: ${why}; use --gguf, and write a Modelfile by hand`,
  );

async function formatOf(
  tokenizer: Tokenizer,
  render: (messages: readonly ChatMessage[]) => Promise<string>,
): Promise<TurnFormat> {
  const dialogue = [message("user", USER), message("assistant", ANSWER), message("user", NEXT)];
  const closed = await renderChat(tokenizer, dialogue);
  const open = await render(dialogue);
  if (!open.startsWith(closed)) throw inexpressible("the start of an answer changes the text before it");
  const [first, middle, last, end] = split(closed, [USER, ANSWER, NEXT]);
  if (!middle.startsWith(end)) throw inexpressible("a user's message ends differently before an answer");
  const withSystem = await render([message("system", SYSTEM), message("user", USER)]).catch((error: unknown) => {
    if (error instanceof QuernError) return null;
    throw error;
  });
  const [opening, between] = withSystem === null ? [null, last] : split(withSystem, [SYSTEM, USER]);
  const before = commonEnd([first, last, between]);
  const start = first.slice(0, first.length - before.length);
  const cut = (text: string) => text.slice(0, text.length - before.length);
  const shares = opening?.startsWith(start) === true;
  return {
    begin: opening === null || shares ? start : "",
    beginWithoutSystem: opening === null || shares ? "" : start,
    system: opening === null ? null : { before: shares ? opening.slice(start.length) : opening, after: cut(between) },
    user: { before, after: end },
    assistant: { before: middle.slice(end.length), after: cut(last) },
    answer: open.slice(closed.length),
  };
}

/** Splits a text at markers, each of which must occur once. */
function split(text: string, markers: readonly string[]): string[] {
  const parts: string[] = [];
  let rest = text;
  for (const marker of markers) {
    const [before, after, ...more] = rest.split(marker);
    if (after === undefined || more.length > 0) throw inexpressible("it does not render each message once, in order");
    parts.push(before);
    rest = after;
  }
  return [...parts, rest];
}

/** Returns the longest text with which all end. */
function commonEnd(texts: readonly string[]): string {
  const [first, ...others] = texts;
  let length = first.length;
  while (!others.every((text) => text.endsWith(first.slice(first.length - length)))) length--;
  const common = first.slice(first.length - length);
  // Not from the middle of a token such as <|user|> on.
  const isInside = texts.some((text) => /<[^<>\s]*$/.test(text.slice(0, text.length - length)));
  return isInside ? common.slice(common.indexOf(">") + 1) : common;
}

function renderTurns(format: TurnFormat, messages: readonly ChatMessage[]): string {
  const start = messages[0].role === "system" ? format.begin : format.begin + format.beginWithoutSystem;
  const turns = messages.map(({ role, content }) => {
    const turn = format[role as "system" | "user" | "assistant"];
    return turn === null ? "" : `${turn.before}${content}${turn.after}`;
  });
  return start + turns.join("") + format.answer;
}

/** Removes the beginning-of-text token at the start, which llama.cpp adds. */
function withoutBos(format: TurnFormat, bos: string): TurnFormat {
  const cut = (text: string) => (text.startsWith(bos) ? text.slice(bos.length) : text);
  if (bos === "") return format;
  if (format.begin !== "") return { ...format, begin: cut(format.begin) };
  const { system } = format;
  return {
    ...format,
    beginWithoutSystem: cut(format.beginWithoutSystem),
    system: system && { ...system, before: cut(system.before) },
  };
}

/** Writes the format in Go's syntax. An answer that a client began stays open. */
function goTemplate({ begin, beginWithoutSystem, system, user, assistant, answer }: TurnFormat): string {
  const turn = (role: string, { before, after }: Turn) =>
    `eq .Role "${role}" }}${text(before)}{{ .Content }}${text(after)}`;
  const alternatives = [
    ...(system === null ? [] : [turn("system", system)]),
    turn("user", user),
    `eq .Role "assistant" }}${text(assistant.before)}{{ .Content }}{{ if not $last }}${text(assistant.after)}{{ end }}`,
  ];
  return [
    text(begin),
    beginWithoutSystem === ""
      ? ""
      : `{{ if ne (index .Messages 0).Role "system" }}${text(beginWithoutSystem)}{{ end }}`,
    "{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}",
    `{{ if ${alternatives.join("{{ else if ")}{{ end }}`,
    `{{ if and $last (ne .Role "assistant") }}${text(answer)}{{ end }}{{ end }}`,
  ].join("");
}

/** Writes text that is not an action. Braces might join those of an action, so such text is a constant in one. */
function text(value: string): string {
  if (value.includes('"""')) throw inexpressible('it has """, which ends a template in a Modelfile');
  return /[{}]/.test(value) ? `{{ ${JSON.stringify(value)} }}` : value;
}
