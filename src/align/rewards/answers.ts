/** @file The answer of an example and the answer of a completion: exact answers, numbers (GSM8K), and choices. */
import { QuernError } from "../../errors.js";
import { show } from "../../options.js";
import type { Content } from "../data/examples.js";
import { type Fields, textOf } from "./reward.js";

/**
 * Returns the right answers of an example: its field `answer`, or the first of `others` that it has. A list has several.
 * @throws QuernError if there is none
 */
export function rightAnswers(example: Fields, others: readonly string[] = []): readonly string[] {
  const key = ["answer", ...others].find((name) => example[name] !== undefined && example[name] !== null);
  const value = key === undefined ? undefined : example[key];
  const list = Array.isArray(value) ? value : [value];
  const texts = list.filter((one) => ["string", "number", "boolean", "bigint"].includes(typeof one)).map(String);
  if (texts.length > 0 && texts.length === list.length) return texts;
  const names = ["answer", ...others].join(" or ");
  throw new QuernError(
    key === undefined
      ? `the example has no field ${names}, which holds the right answer; its fields are ${Object.keys(example).join(", ")}`
      : `the field ${key} of the example must be a text, a number or a list of them, not ${show(value)}`,
    { exitCode: 2 },
  );
}

/** Returns the text of a completion after its thinking, which ends with `</think>`. */
export function spokenText(completion: Content): string {
  const text = textOf(completion);
  const end = text.lastIndexOf("</think>");
  return end < 0 ? text : text.slice(end + "</think>".length);
}

/** Lower case, no accents of compatibility, single spaces, no quotes around it and no full stop at its end. */
export function normalizeAnswer(text: string): string {
  return text
    .normalize("NFKC")
    .toLowerCase()
    .replace(/\s+/g, " ")
    .trim()
    .replace(/^["'“”‘’`*]+|["'“”‘’`*]+$/g, "")
    .replace(/[.!?…]+$/, "")
    .replace(/["'“”‘’`*]+$/, "")
    .trim();
}

/** 1 if the completion is the answer, both normalised; inside of `<answer>…</answer>` if it has that. */
export function exactAnswer(completion: Content, example: Fields): number {
  const text = spokenText(completion);
  const marked = [...text.matchAll(/<answer>(.*?)<\/answer>/gs)].at(-1)?.[1];
  const given = normalizeAnswer(marked ?? text);
  return rightAnswers(example).some((answer) => normalizeAnswer(answer) === given) ? 1 : 0;
}

/** A number in running text: with a currency, thousands separated by commas, decimals, or a fraction of whole numbers. */
const NUMBER =
  /(?<![\w.])[-−+]?\s?[$€£]?\s?(?:\d{1,3}(?:,\d{2,3})*,\d{3}(?!\d)|\d+)?(?:\.\d+|(?<=\d)\.?)(?:\s?\/\s?\d+(?:\.\d+)?)?/g;

/** Returns the value of a number as texts write it: `$1,234.50`, `-3/4`, `12 %`; null if it is none. */
export function numberOf(text: string): number | null {
  const plain = text
    .replace(/[\s,$€£%]/g, "")
    .replace("−", "-")
    .replace(/\.$/, "");
  const [, over, under] = /^([-+]?(?:\d+\.?\d*|\.\d+))(?:\/(\d+\.?\d*))?$/.exec(plain) ?? [];
  if (over === undefined) return null;
  const value = Number(over) / (under === undefined ? 1 : Number(under));
  return Number.isFinite(value) ? value : null;
}

/** All numbers of a text, in its order. A hyphen after a word or number is no sign. */
function numbersIn(text: string): readonly number[] {
  return [...text.matchAll(NUMBER)].flatMap(([found]) => numberOf(found) ?? []);
}

/**
 * Returns the final number of a solution by GSM8K's convention (Cobbe et al. 2021): the one after the last `####`, else the
 * last one of the text. Units, currencies, percent signs and commas do not count.
 * @param strict whether only a number after `####` counts
 */
export function finalNumber(text: string, strict = false): number | null {
  const marked = text.lastIndexOf("####");
  if (marked >= 0) return numbersIn(text.slice(marked + 4).split("\n")[0])[0] ?? null;
  return strict ? null : (numbersIn(text).at(-1) ?? null);
}

/** Whether two numbers are equal up to the rounding of their decimal digits. */
export const isSameNumber = (a: number, b: number) => Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));

/** 1 if the final number of the completion is that of the answer. */
export function numericAnswer(completion: Content, example: Fields, strict = false): number {
  const given = finalNumber(spokenText(completion), strict);
  const right = rightAnswers(example).map((answer) => {
    const value = finalNumber(answer);
    if (value === null) throw new QuernError(`the answer ${show(answer)} has no number`, { exitCode: 2 });
    return value;
  });
  return given !== null && right.some((value) => isSameNumber(value, given)) ? 1 : 0;
}

/**
 * Returns the index of the choice that a completion names: a letter after "answer", in a box, in parentheses, at its
 * beginning, or alone on its last line; else the only choice whose text it contains. Null if it names none.
 */
export function chosenIndex(text: string, choices: readonly string[] | null): number | null {
  const last = String.fromCharCode(64 + (choices?.length ?? 26));
  const letter = `([A-${last}])`;
  const lower = `([A-${last}a-${last.toLowerCase()}])`;
  const said = "\\b[Aa]nswer\\b\\s*(?:is\\b|:|=)*\\s*(?:option|choice)?\\s*\\**\\s*";
  const patterns = [
    new RegExp(`\\\\boxed\\{\\s*(?:\\\\text\\w*\\{)?\\s*\\(?${lower}\\)?\\s*\\}`, "g"),
    new RegExp(`${said}(?:\\(${lower}\\)|${letter}(?![\\w'’])|${lower}(?=\\**\\s*(?:[).,\\n]|$)))`, "g"),
    new RegExp(`\\(${letter}\\)`, "g"),
    new RegExp(`^\\s*\\**\\s*${lower}\\s*\\**\\s*(?:[.):,]|$)`, "g"),
    new RegExp(`(?:^|\\n|:)\\s*${letter}\\s*\\.?\\s*$`, "g"),
  ];
  for (const pattern of patterns) {
    const found = [...text.matchAll(pattern)].at(-1);
    const name = found?.slice(1).find((group) => group !== undefined);
    if (name !== undefined) return name.toUpperCase().charCodeAt(0) - 65;
  }
  const plain = normalizeAnswer(text);
  const exact = (choices ?? []).findIndex((choice) => normalizeAnswer(choice) === plain);
  if (exact >= 0) return exact;
  const within = (choices ?? []).flatMap((choice, index) => (plain.includes(normalizeAnswer(choice)) ? [index] : []));
  return within.length === 1 ? within[0] : null;
}

/** 1 if the completion names the right choice: the answer is its letter, its text, or its index in `choices`. */
export function choiceAnswer(completion: Content, example: Fields): number {
  const choices = choicesOf(example.choices ?? example.options);
  const right = rightAnswers(example, ["answerKey", "label"]).map((answer) => rightIndex(answer, choices));
  const given = chosenIndex(spokenText(completion), choices);
  return given !== null && right.includes(given) ? 1 : 0;
}

/** Choices as data sets hold them: a list of texts, or an object with the list `text`. */
function choicesOf(value: unknown): readonly string[] | null {
  const list: unknown = Array.isArray(value) ? value : (value as { readonly text?: unknown } | null | undefined)?.text;
  return Array.isArray(list) && list.length > 0 && list.length <= 26 ? list.map(String) : null;
}

function rightIndex(answer: string, choices: readonly string[] | null): number {
  const named = /^\s*\(?([A-Za-z])\)?\.?\s*$/.exec(answer)?.[1];
  if (named !== undefined) return named.toUpperCase().charCodeAt(0) - 65;
  const byText = choices?.findIndex((choice) => normalizeAnswer(choice) === normalizeAnswer(answer)) ?? -1;
  if (byText >= 0) return byText;
  if (/^\d+$/.test(answer) && choices !== null && Number(answer) < choices.length) return Number(answer);
  throw new QuernError(
    `the answer ${show(answer)} is not a letter, and not the text or the index of one of the example's choices`,
    { exitCode: 2 },
  );
}
