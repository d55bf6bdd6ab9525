/** @file Reads prompts and answers to them: JSON or JSON lines, among them AlpacaEval's `model_outputs.json`. */
import { basename } from "node:path";
import { QuernError } from "../../../errors.js";
import { show } from "../../../options.js";
import type { ChatMessage } from "../../../tokenizer/index.js";
import { type JsonItem, readJsonItems } from "../../json-input.js";

export interface JudgePrompt {
  /** The prompt as the judge sees it; the turns of a conversation with their roles. */
  readonly instruction: string;
  /** The prompt as a model sees it. */
  readonly messages: readonly ChatMessage[];
  /** All fields of its line. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly place: string;
}

/** Keys of a prompt, and of an answer, by rank. */
const PROMPT_KEYS = ["instruction", "prompt", "question", "input"];
const OUTPUT_KEYS = ["output", "answer", "response", "completion"];

/**
 * Reads prompts: objects with `instruction` (or `prompt`, `question`, `input`) or `messages`.
 * @throws QuernError that names the first item without a prompt
 */
export async function readJudgePrompts(path: string, signal?: AbortSignal): Promise<readonly JudgePrompt[]> {
  const items = await readJsonItems(path, signal);
  return items.map((item) => {
    const prompt = promptOf(item);
    if (prompt !== undefined) return prompt;
    throw new QuernError(`${item.place} has no "instruction", "prompt" or "messages"`);
  });
}

function promptOf({ value, place }: JsonItem): JudgePrompt | undefined {
  const { messages } = value;
  if (messages !== undefined) {
    const isTurn = (turn: unknown) =>
      typeof (turn as ChatMessage | null)?.role === "string" && typeof (turn as ChatMessage).content === "string";
    if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isTurn)) {
      throw new QuernError(
        `"messages" of ${place} must be a list of messages with role and text, not ${show(messages)}`,
      );
    }
    const turns = messages as readonly ChatMessage[];
    const instruction =
      turns.length === 1
        ? String(turns[0].content)
        : turns.map(({ role, content }) => `${role}: ${content}`).join("\n\n");
    return { instruction, messages: turns, fields: value, place };
  }
  const instruction = textOf(value, PROMPT_KEYS);
  if (instruction === undefined) return undefined;
  return { instruction, messages: [{ role: "user", content: instruction }], fields: value, place };
}

const textOf = (value: Readonly<Record<string, unknown>>, keys: readonly string[]) =>
  keys.map((key) => value[key]).find((found) => typeof found === "string") as string | undefined;

/** The answers of one generator to a list of prompts. */
export interface AnswerSet {
  readonly generator: string;
  /** By prompt; null where the file has none. */
  readonly outputs: readonly (string | null)[];
}

/**
 * Reads the answers to prompts: objects with `output` (or `answer`, `response`, `completion`). They belong to prompts by their
 * `instruction`; without any, by their order. The name is `generator`, else that of the file.
 * @throws QuernError for an item without an answer, several generators, answers to other prompts, or another number of answers
 */
export async function readAnswers(
  path: string,
  prompts: readonly JudgePrompt[],
  signal?: AbortSignal,
): Promise<AnswerSet> {
  const items = await readJsonItems(path, signal);
  const answers = items.map((item) => {
    const output = textOf(item.value, OUTPUT_KEYS);
    if (output === undefined) throw new QuernError(`${item.place} has no "output"`);
    return { output, instruction: promptOf(item)?.instruction };
  });
  const generator = generatorOf(items, path);
  if (answers.every(({ instruction }) => instruction === undefined)) {
    if (answers.length === prompts.length) return { generator, outputs: answers.map(({ output }) => output) };
    throw new QuernError(
      `${path} has ${answers.length} answers without an "instruction", but there are ${prompts.length} prompts`,
    );
  }
  // The k-th answer to a prompt that occurs several times belongs to its k-th occurrence.
  const byPrompt = new Map<string, string[]>();
  for (const { output, instruction } of answers) {
    if (instruction === undefined) continue;
    const list = byPrompt.get(instruction);
    if (list === undefined) byPrompt.set(instruction, [output]);
    else list.push(output);
  }
  const outputs = prompts.map(({ instruction }) => byPrompt.get(instruction)?.shift() ?? null);
  if (outputs.every((output) => output === null)) throw new QuernError(`${path} answers none of the prompts`);
  return { generator, outputs };
}

function generatorOf(items: readonly JsonItem[], path: string): string {
  const names = new Set(items.map(({ value: { generator } }) => generator));
  if (names.size > 1) {
    const [one, other] = names;
    throw new QuernError(`${path} has answers of several generators, such as ${show(one)} and ${show(other)}`);
  }
  const [name] = names;
  if (typeof name === "string" && name !== "") return name;
  return basename(path)
    .replace(/\.(gz|zst)$/, "")
    .replace(/\.(jsonl?|ndjson)$/, "");
}

/** Whether a name is that of a file with answers rather than a model. */
export const isAnswerFile = (name: string) => /\.(jsonl?|ndjson)(\.gz|\.zst)?$/i.test(name) && !/^\w+:\/\//.test(name);
