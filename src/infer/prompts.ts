/** @file Prompts: a text, or the messages of a conversation; and JSONL files with one prompt per line. */
import { readFile } from "node:fs/promises";
import { parseJsonLine } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";
import { nearest, show } from "../options.js";
import { type ChatMessage, renderChat, type Tokenizer } from "../tokenizer/index.js";
import { requestEncoder } from "./request-tokens.js";

/**
 * A text to continue, a conversation to answer, or a text whose special tokens are meant as such: what a chat template has
 * rendered, or a prompt of a benchmark.
 */
export type Prompt =
  | { readonly prompt: string }
  | { readonly messages: readonly ChatMessage[] }
  | { readonly rendered: string };

export interface EncodedPrompt {
  /** The prompt as the model sees it; for messages, the output of the chat template. */
  readonly text: string;
  readonly ids: readonly number[] | Uint32Array;
}

/**
 * Encodes a prompt. An empty text becomes `beginning`; messages end with the start of an assistant's answer.
 * @param beginning ids that begin a text
 * @throws QuernError for messages that the chat template rejects, a tokenizer without a chat template, or an empty
 * prompt if no token begins a text
 */
export async function encodePrompt(
  tokenizer: Tokenizer,
  beginning: readonly number[],
  prompt: Prompt,
): Promise<EncodedPrompt> {
  if ("messages" in prompt) {
    const text = await renderChat(tokenizer, prompt.messages, { addGenerationPrompt: true });
    return { text, ids: tokenizer.encode(text, { special: "allow" }) };
  }
  const given =
    "rendered" in prompt
      ? requestEncoder(tokenizer, beginning).encodeText(prompt.rendered)
      : tokenizer.encode(prompt.prompt, { addSpecial: true });
  const ids = given.length > 0 ? given : beginning;
  if (ids.length === 0) {
    throw new QuernError("the prompt is empty, and this model has no beginning-of-text token; give a prompt", {
      exitCode: 2,
    });
  }
  return { text: "rendered" in prompt ? prompt.rendered : prompt.prompt, ids };
}

const KEYS = ["prompt", "messages"];
/** Maximum bad lines listed in an error. */
const NAMED = 5;

/**
 * Reads the prompts of a JSONL file. Each line is an object with `prompt` or `messages` and nothing else. Blank lines are
 * skipped but count for line numbers.
 * @throws QuernError that lists the invalid lines, or for a file without prompts
 */
export async function readPrompts(path: string): Promise<{ readonly line: number; readonly prompt: Prompt }[]> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw fileError(error, "read", path);
  }
  const prompts: { line: number; prompt: Prompt }[] = [];
  const wrong: string[] = [];
  let line = 0;
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(10, start);
    const end = newline < 0 ? bytes.length : newline;
    line += 1;
    const prompt = promptOf(bytes.subarray(start, end));
    if (typeof prompt === "string") wrong.push(`line ${line}: ${prompt}`);
    else if (prompt !== undefined) prompts.push({ line, prompt });
    start = end + 1;
  }
  const format = 'each line must be {"prompt": "…"} or {"messages": […]}';
  if (wrong.length > 0) {
    const more = wrong.length > NAMED ? `; and ${wrong.length - NAMED} more lines` : "";
    throw new QuernError(`${path}: ${wrong.slice(0, NAMED).join("; ")}${more} (${format})`, { exitCode: 2 });
  }
  if (prompts.length === 0) throw new QuernError(`${path} contains no prompts; ${format}`, { exitCode: 2 });
  return prompts;
}

/** Parses a line. Returns its prompt, a string that describes the error, or undefined for a blank line. */
function promptOf(bytes: Buffer): Prompt | string | undefined {
  const parsed = parseJsonLine(bytes);
  if (parsed === undefined) return undefined;
  if (!("value" in parsed)) return parsed.detail ?? REASONS[parsed.reason] ?? parsed.reason;
  const { value } = parsed;
  for (const key of Object.keys(value)) {
    if (!KEYS.includes(key)) return `unknown key ${show(key)}; did you mean "${nearest(key, KEYS)}"?`;
  }
  const { prompt, messages } = value;
  if (prompt !== undefined && messages !== undefined) return "both prompt and messages; give one of them";
  if (messages === undefined) {
    if (prompt === undefined) return "neither prompt nor messages";
    return typeof prompt === "string" ? { prompt } : `prompt must be text, not ${show(prompt)}`;
  }
  if (!Array.isArray(messages) || messages.length === 0) return "messages must be a list of at least one message";
  const bad = messages.findIndex((message: unknown) => typeof (message as ChatMessage | null)?.role !== "string");
  return bad < 0 ? { messages: messages as readonly ChatMessage[] } : `message ${bad + 1} is not an object with a role`;
}

const REASONS: Readonly<Record<string, string>> = {
  nul_byte: "a NUL character",
  not_utf8: "not UTF-8",
  not_an_object: "not a JSON object",
};
