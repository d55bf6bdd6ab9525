/**
 * @file Examples of post-training data. A row's keys tell its form; they are those of TRL and the Hugging Face hub:
 *
 *     text         {"text": "…"}
 *     messages     {"messages": [{"role": "user", "content": "…"}, …]}
 *     completion   {"prompt": …, "completion": …}
 *     preference   {"prompt": …, "chosen": …, "rejected": …}, or without a prompt where both answers begin with it
 *     unpaired     {"prompt": …, "completion": …, "label": true}
 *     prompt       {"prompt": …}, with whatever else a reward needs
 *
 * A prompt or an answer is a text or a list of messages.
 */
import { type Row, type RowReader, readRows } from "../../documents/index.js";
import { QuernError } from "../../errors.js";
import { nearest, show } from "../../options.js";
import type { ChatMessage } from "../../tokenizer/index.js";

export type Turns = readonly ChatMessage[];
/** A text, or the messages of a conversation. */
export type Content = string | Turns;

export type Example = Row &
  (
    | { readonly form: "text"; readonly text: string }
    | { readonly form: "messages"; readonly messages: Turns; readonly tools?: readonly unknown[] }
    | { readonly form: "completion"; readonly prompt: Content; readonly completion: Content }
    | {
        readonly form: "preference";
        readonly prompt: Content;
        readonly chosen: Content;
        readonly rejected: Content;
        /** How much better the chosen answer is, in units of reward. */
        readonly margin?: number;
      }
    | { readonly form: "unpaired"; readonly prompt: Content; readonly completion: Content; readonly label: boolean }
    | { readonly form: "prompt"; readonly prompt: Content }
  );

export type Form = Example["form"];
export type ExampleOf<F extends Form> = Extract<Example, { readonly form: F }>;

/** Keys that a form needs, most specific form first. */
const KEYS: readonly (readonly [Form, readonly string[]])[] = [
  ["preference", ["chosen", "rejected"]],
  ["unpaired", ["prompt", "completion", "label"]],
  ["completion", ["prompt", "completion"]],
  ["messages", ["messages"]],
  ["prompt", ["prompt"]],
  ["text", ["text"]],
];

/**
 * Returns the form of a row. A form that the caller does not take may still be read as one that it does: a preference has
 * a prompt, and a completion may lack its label.
 * @throws QuernError that names the keys that are missing
 */
export function formOf({ fields, place }: Row, allowed: readonly Form[]): Form {
  const forms = KEYS.filter(([form]) => allowed.includes(form));
  const found = forms.find(([, keys]) => keys.every((key) => fields[key] !== undefined && fields[key] !== null));
  if (found !== undefined) return found[0];
  const keys = Object.keys(fields);
  const other = KEYS.find(([, wanted]) => wanted.every((key) => fields[key] !== undefined && fields[key] !== null));
  const needed = forms.map(([, wanted]) => wanted.join(", ")).join("; or ");
  const missing = [...new Set(forms.flatMap(([, wanted]) => wanted))].filter((key) => !keys.includes(key));
  const typo = missing.map((key) => [key, keys.find((own) => nearest(own, [key, "…"]) === key && similar(own, key))]);
  const hint = typo.find(([, own]) => own !== undefined);
  throw new QuernError(
    `${place}: ${other === undefined ? "the row has no known form" : `the row is a ${other[0]} example`}; ` +
      `its keys are ${keys.slice(0, 8).join(", ") || "none"}, and needed are ${needed}` +
      (hint === undefined ? "" : `; rename "${hint[1]}" to "${hint[0]}"`),
    { exitCode: 2 },
  );
}

/** Whether one name may be meant for the other: equal except for case, or a plural. */
function similar(own: string, key: string): boolean {
  const [a, b] = [own.toLowerCase(), key.toLowerCase()];
  return a === b || a === `${b}s` || `${a}s` === b || a.includes(b);
}

/**
 * Reads a row as an example of a form.
 * @throws QuernError for a key with a value of the wrong type, or an answer without text
 */
export function exampleOf(row: Row, form: Form): Example {
  const { fields, place } = row;
  const text = (key: string) => textAt(fields, key, place);
  const content = (key: string) => contentAt(fields, key, place);
  const base = { fields, place };
  switch (form) {
    case "text":
      return { ...base, form, text: text("text") };
    case "messages":
      return {
        ...base,
        form,
        messages: turnsAt(fields.messages, "messages", place),
        ...toolsOf(fields.tools, place),
      };
    case "completion":
      return { ...base, form, prompt: content("prompt"), completion: content("completion") };
    case "preference":
      return { ...base, form, ...preferenceAt(fields, place) };
    case "unpaired": {
      const { label } = fields;
      if (label !== true && label !== false && label !== 1 && label !== 0) {
        throw wrong(place, `label must be true or false, not ${show(label)}`);
      }
      return { ...base, form, prompt: content("prompt"), completion: content("completion"), label: Boolean(label) };
    }
    case "prompt":
      return { ...base, form, prompt: content("prompt") };
    default:
      return form satisfies never;
  }
}

function toolsOf(tools: unknown, place: string): { tools?: readonly unknown[] } {
  if (tools === undefined || tools === null) return {};
  let list: unknown = tools;
  if (typeof tools === "string") {
    try {
      list = JSON.parse(tools);
    } catch {
      throw wrong(place, `tools must be a list or its JSON, not ${show(tools)}`);
    }
  }
  if (!Array.isArray(list)) throw wrong(place, `tools must be a list, not ${show(tools)}`);
  return list.length === 0 ? {} : { tools: list };
}

/** A preference; where it has no prompt, what both answers begin with is the prompt. */
function preferenceAt(fields: Row["fields"], place: string) {
  const chosen = contentAt(fields, "chosen", place);
  const rejected = contentAt(fields, "rejected", place);
  if ((typeof chosen === "string") !== (typeof rejected === "string")) {
    throw wrong(place, "chosen and rejected must both be texts or both be messages");
  }
  const { margin } = fields;
  if (margin !== undefined && margin !== null && (typeof margin !== "number" || !Number.isFinite(margin))) {
    throw wrong(place, `margin must be a number, not ${show(margin)}`);
  }
  const more = typeof margin === "number" ? { margin } : {};
  if (fields.prompt !== undefined && fields.prompt !== null) {
    return { prompt: contentAt(fields, "prompt", place), chosen, rejected, ...more };
  }
  return { ...withoutPrompt(chosen, rejected), ...more };
}

/**
 * Splits two answers with a common beginning into a prompt and the two rests, as TRL does: messages up to the first that
 * differs, a text up to the first character that differs, less a space before it.
 */
export function withoutPrompt(
  chosen: Content,
  rejected: Content,
): { readonly prompt: Content; readonly chosen: Content; readonly rejected: Content } {
  const most = Math.min(chosen.length, rejected.length);
  let same = 0;
  if (typeof chosen === "string" || typeof rejected === "string") {
    while (same < most && chosen[same] === rejected[same]) same += 1;
    if (same < most && same > 0 && chosen[same - 1] === " ") same -= 1;
  } else {
    while (same < most && isSame(chosen[same], rejected[same])) same += 1;
  }
  // Where one answer is the beginning of the other, its last part stays an answer.
  if (same === most) same = Math.max(0, most - 1);
  return { prompt: chosen.slice(0, same), chosen: chosen.slice(same), rejected: rejected.slice(same) };
}

const isSame = (a: ChatMessage, b: ChatMessage) => JSON.stringify(a) === JSON.stringify(b);

function textAt(fields: Row["fields"], key: string, place: string): string {
  const value = fields[key];
  if (typeof value !== "string") throw wrong(place, `${key} must be a text, not ${show(value)}`);
  return value;
}

/** Keys whose value the model learns to say. */
const ANSWERS: readonly string[] = ["completion", "chosen", "rejected"];

function contentAt(fields: Row["fields"], key: string, place: string): Content {
  const value = fields[key];
  if (typeof value === "string") return value;
  const turns = turnsAt(value, key, place);
  if (!ANSWERS.includes(key)) return turns;
  const last = turns.at(-1);
  if (last === undefined) throw wrong(place, `${key} has no messages`);
  if (last.role === "assistant") return turns;
  throw wrong(place, `${key} ends with a message of the role "${last.role}"; an answer ends with one of the assistant`);
}

function turnsAt(value: unknown, key: string, place: string): Turns {
  if (!Array.isArray(value))
    throw wrong(
      place,
      `${key} must be ${key === "messages" ? "" : "a text or "}a list of messages, not ${show(value)}`,
    );
  for (const [i, message] of value.entries()) {
    const problem = problemOf(message);
    if (problem !== null) throw wrong(place, `message ${i + 1} of ${key} ${problem}`);
  }
  return value as Turns;
}

/** Roles that chat templates know. */
const ROLES: readonly string[] = [
  ...["system", "developer", "user", "assistant", "tool", "function", "ipython"],
  ...["observation", "environment"],
];
/** Roles of other formats, such as ShareGPT's. */
const OTHER_ROLES: Readonly<Record<string, string>> = {
  human: "user",
  gpt: "assistant",
  bot: "assistant",
  model: "assistant",
};

/** What is wrong with a message; null for nothing. */
function problemOf(message: unknown): string | null {
  const { role, content, ...more } = (message ?? {}) as Partial<ChatMessage>;
  if (typeof role !== "string" || Array.isArray(message)) {
    return `is not an object with a role, but ${show(message)}`;
  }
  if (!ROLES.includes(role)) {
    const meant = OTHER_ROLES[role.toLowerCase()] ?? ROLES.find((known) => known === role.toLowerCase().trim());
    const hint = meant === undefined ? `known are ${ROLES.join(", ")}` : `did you mean "${meant}"?`;
    return `has the role ${show(role)}; ${hint}`;
  }
  if (content === undefined || content === null) {
    return role === "assistant" && Object.keys(more).length > 0 ? null : "has no content";
  }
  return typeof content === "string" || Array.isArray(content)
    ? null
    : `has the content ${show(content)}, which is no text`;
}

/** Whether an answer of an example has no text and calls no tool, so that the model learns to say nothing. */
export function hasEmptyAnswer(example: Example): boolean {
  const isEmpty = ({ role, content, ...more }: ChatMessage) =>
    role === "assistant" && typeof content === "string" && content.trim() === "" && Object.keys(more).length === 0;
  if (example.form === "messages") return example.messages.some(isEmpty);
  const answers = example.form === "preference" ? [example.chosen, example.rejected] : [];
  if (example.form === "completion" || example.form === "unpaired") answers.push(example.completion);
  return answers.some((answer) => (typeof answer === "string" ? answer.trim() === "" : answer.some(isEmpty)));
}

const wrong = (place: string, problem: string) => new QuernError(`${place}: ${problem}`, { exitCode: 2 });

export interface Examples {
  readonly form: Form;
  readonly examples: readonly Example[];
  readonly report: RowReader["report"];
}

/**
 * Reads all examples of some files. The first row decides their form.
 * @param allowed forms that the caller can use
 * @throws QuernError for files without rows, rows of another form, or values of the wrong type
 */
export async function readExamples(
  paths: readonly string[],
  allowed: readonly Form[],
  options: { readonly strict?: boolean; readonly signal?: AbortSignal } = {},
): Promise<Examples> {
  const reader = readRows(paths, options);
  const examples: Example[] = [];
  let form: Form | undefined;
  for await (const row of reader) {
    form ??= formOf(row, allowed);
    const own = formOf(row, [form]);
    examples.push(exampleOf(row, own));
  }
  return { form: form as Form, examples, report: reader.report };
}
