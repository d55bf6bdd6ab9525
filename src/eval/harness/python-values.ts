/** @file Small parts of Python's str for building prompts. */
import { PythonFloat, pythonText } from "../../tokenizer/index.js";

/** The characters that `str.isspace` and `str.strip` know. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: Python counts separators 1C to 1F as white space
const SPACE = /[\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;

/** Python's `text.strip()`. */
export function stripped(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && SPACE.test(text[from])) from++;
  while (to > from && SPACE.test(text[to - 1])) to--;
  return text.slice(from, to);
}

/** Whether a text begins with white space. */
export const startsWithSpace = (text: string): boolean => text !== "" && SPACE.test(text[0]);

/** Whether a text ends with white space. */
export const endsWithSpace = (text: string): boolean => text !== "" && SPACE.test(text[text.length - 1]);

/** Python's `text.capitalize()`. */
export function capitalized(text: string): string {
  const [first = ""] = text;
  // The title case of a letter differs from its upper case in digraphs and ligatures only.
  const upper = first.toUpperCase();
  const title = upper.length > first.length ? upper[0] + upper.slice(1).toLowerCase() : upper;
  return title + text.slice(first.length).toLowerCase();
}

/** Whether a value is a Python int; a bool is one. */
export function isInteger(value: unknown): value is number | bigint | boolean {
  return (
    typeof value === "bigint" || typeof value === "boolean" || (typeof value === "number" && Number.isInteger(value))
  );
}

/** Python's `items[index]`: negative indices count from the end; undefined beyond the ends. */
export function itemAt<T>(items: readonly T[], index: number | bigint | boolean): T | undefined {
  const at = Number(index);
  return items[at < 0 ? at + items.length : at];
}

/** Python's `str(value)`. */
export const textOf = (value: unknown): string => (typeof value === "string" ? value : pythonText(value));

/** The name of a value's Python type, for errors. */
export function typeOf(value: unknown): string {
  if (value === null || value === undefined) return "None";
  if (Array.isArray(value)) return "a list";
  if (value instanceof PythonFloat || (typeof value === "number" && !Number.isInteger(value))) return "a float";
  if (typeof value === "number" || typeof value === "bigint") return "an int";
  return typeof value === "string" ? "a str" : typeof value === "boolean" ? "a bool" : "a dict";
}
