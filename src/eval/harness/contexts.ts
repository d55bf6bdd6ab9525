/**
 * @file Builds the prompt before an answer: system text, description, few-shot examples and the question, as plain text or as
 * turns of a chat. Delimiters and white space are lm-eval 0.4's.
 */
import { QuernError } from "../../errors.js";
import type { TaskDocument } from "./functions.js";
import { endsWithSpace, isInteger, itemAt, startsWithSpace, textOf, typeOf } from "./python-values.js";
import type { LoadedTask } from "./registry.js";
import type { DocumentRules } from "./templates.js";

/** One turn for a chat template. */
export interface ChatTurn {
  readonly role: "system" | "user" | "assistant";
  readonly content: string;
}

/**
 * Renders turns by a model's chat template.
 * @param addGenerationPrompt false if the last turn is the start of an answer, which the model continues
 */
export type ChatRenderer = (turns: readonly ChatTurn[], addGenerationPrompt: boolean) => string | Promise<string>;

export interface PromptOptions {
  /** Renders the turns; without it the prompt is plain text. */
  readonly chat?: ChatRenderer;
  /** Text before the description. */
  readonly system?: string;
  /** Whether few-shot examples are turns of their own, instead of text in the first; default true. */
  readonly fewshotAsMultiturn?: boolean;
}

/** A turn, and the delimiter that follows it in plain text. */
interface Message extends ChatTurn {
  readonly delimiter: string;
}

/** What a task's first document shows of all. */
export interface TaskShape {
  /** The choices are inputs, and `doc_to_text` is the index of the right one, as in WinoGrande. */
  readonly hasManyInputs: boolean;
}

/** Joins two texts, with a delimiter if there is no white space between them. */
export function joined(prefix: string, suffix: string, delimiter: string): string {
  if (prefix === "" || suffix === "") return prefix + suffix;
  return prefix + (endsWithSpace(prefix) || startsWithSpace(suffix) ? "" : delimiter) + suffix;
}

/**
 * Returns the prompt of a document; one per choice if the choices are inputs.
 * @param examples few-shot examples, in order
 * @throws QuernError if a rule of the task gives something that is no text
 */
export async function promptsOf(
  task: LoadedTask,
  rules: DocumentRules,
  shape: TaskShape,
  document: TaskDocument,
  examples: readonly TaskDocument[],
  options: PromptOptions,
): Promise<string | readonly string[]> {
  const { config } = task;
  const prefix = textOrEmpty(rules.prefix(document));
  const description = textOrEmpty(rules.field(document, config.description, "description"));
  const system = joined(options.system ?? "", description, config.fewshotDelimiter);
  const before: Message[] = system === "" ? [] : [{ role: "system", content: system, delimiter: "" }];
  for (const example of examples) before.push(...exampleTurns(task, rules, shape, example));
  const render = (messages: readonly Message[]): string | Promise<string> => {
    if (options.chat === undefined) return plainText(messages);
    const turns = options.fewshotAsMultiturn === false ? asOneTurn(messages) : messages;
    return options.chat(
      turns.map(({ role, content }) => ({ role, content })),
      prefix === "",
    );
  };
  const question = rules.text(document);
  const choices = config.docToChoice === null ? null : rules.choices(document);
  if (shape.hasManyInputs) {
    const prompts: string[] = [];
    for (const input of choices ?? []) {
      prompts.push(await render([...before, ...turnsOf({ question: input, prefix, delimiter: "" }, task)]));
    }
    return prompts;
  }
  const last = turnsOf({ question, prefix, delimiter: config.targetDelimiter }, task);
  return render([...before, ...last]);
}

function exampleTurns(task: LoadedTask, rules: DocumentRules, shape: TaskShape, example: TaskDocument): Message[] {
  const { fewshot } = task.config;
  let question = rules.text(example, fewshot.docToText);
  let choices = fewshot.docToChoice === null ? null : rules.choices(example, fewshot.docToChoice);
  const answer = rules.target(example, fewshot.docToTarget);
  const prefix = textOrEmpty(rules.field(example, fewshot.genPrefix, "gen_prefix"));
  if (shape.hasManyInputs && choices !== null && isInteger(question)) {
    question = itemAt(choices, question);
    choices = null;
  }
  return turnsOf(
    {
      question,
      choices,
      answer,
      prefix,
      delimiter: fewshot.targetDelimiter,
      exampleDelimiter: fewshot.fewshotDelimiter,
    },
    task,
  );
}

interface QuestionAndAnswer {
  readonly question: unknown;
  readonly choices?: readonly unknown[] | null;
  /** A text, the index of a choice, or a list whose first item is the answer; none for the question to be answered. */
  readonly answer?: unknown;
  readonly prefix: string;
  readonly delimiter: string;
  readonly exampleDelimiter?: string;
}

function turnsOf(given: QuestionAndAnswer, task: LoadedTask): Message[] {
  const { question, choices = null, answer, prefix, delimiter, exampleDelimiter = "" } = given;
  if (typeof question !== "string")
    throw new QuernError(`${task.file}: doc_to_text gives ${typeOf(question)}, not text`);
  const hasAnswer = answer !== undefined && answer !== null && answer !== "";
  const isDelimited =
    prefix === "" ? hasAnswer : question !== "" && !endsWithSpace(question) && !startsWithSpace(prefix);
  const user: Message = { role: "user", content: question, delimiter: isDelimited ? delimiter : "" };
  if (!hasAnswer) {
    return prefix === "" ? [user] : [user, { role: "assistant", content: prefix, delimiter: "" }];
  }
  let text: unknown = answer;
  if (choices !== null && choices.length > 0 && isInteger(answer)) text = itemAt(choices, answer);
  else if (Array.isArray(answer)) text = answer[0];
  if (typeof text !== "string") {
    throw new QuernError(`${task.file}: the answer of a few-shot example is ${typeOf(text)}, not text`);
  }
  return [user, { role: "assistant", content: joined(prefix, text, " "), delimiter: exampleDelimiter }];
}

function plainText(messages: readonly Message[]): string {
  return messages.map(({ content, delimiter }) => content + delimiter).join("");
}

/** Puts all turns into one of the user, except the system's and the start of the answer. */
function asOneTurn(messages: readonly Message[]): ChatTurn[] {
  const system = messages[0].role === "system" ? [messages[0]] : [];
  const others = messages.slice(system.length);
  const opening = others.at(-1)!.role === "assistant" ? [others.at(-1)!] : [];
  const turns = others.slice(0, others.length - opening.length);
  const last = turns.at(-1)!;
  const content = plainText([...turns.slice(0, -1), { ...last, delimiter: "" }]);
  return [...system, { role: "user", content }, ...opening];
}

function textOrEmpty(value: unknown): string {
  return value === null || value === undefined ? "" : textOf(value);
}
