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

/** Python's `text.capitalize()`: the first letter in title case, which is not always its upper case, the others in lower case. */
export function capitalized(text: string): string {
  const [first = ""] = text;
  // A final sigma depends on the letters before it, so the whole text is lowered.
  return titled(first) + text.toLowerCase().slice(first.toLowerCase().length);
}

/** Letters that stand for two, by their title case. */
const DIGRAPHS = ["\u01c5", "\u01c8", "\u01cb", "\u01f2"];

/** The title case of a letter. */
function titled(letter: string): string {
  // Georgian writes titles in its only common case.
  if (/^[\u10d0-\u10ff]$/.test(letter)) return letter;
  const upper = letter.toUpperCase();
  const digraph = DIGRAPHS.find((each) => each.toUpperCase() === upper);
  if (digraph !== undefined) return digraph;
  // Iota below a Greek letter stays below; it stands beside only in upper case.
  if (upper.length > 1 && letter.normalize("NFD").includes("\u0345")) {
    const title = `${upper.slice(0, -1)}\u0345`;
    return title.length === 2 ? title.normalize("NFC") : title;
  }
  if (letter === "\u0149") return upper;
  // Ligatures and others that upper case spells out.
  return upper.length > letter.length ? upper[0] + upper.slice(1).toLowerCase() : upper;
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
