/**
 * @file Writes JSON as Python's `json.dumps` does, byte for byte. Hashes of documents and prompts in lm-eval's samples are
 * hashes of this text.
 */
import { QuernError } from "../../errors.js";
import { quoted } from "../../printable.js";
import { PythonFloat } from "../../tokenizer/index.js";

export { PythonFloat };

export interface PythonJsonOptions {
  /** Escape everything beyond ASCII. Default true. */
  readonly ensureAscii?: boolean;
  /** Spaces per level; null writes one line. Default null. */
  readonly indent?: number | null;
  /** Between items, and between key and value. Default `", "` (`","` with an indent) and `": "`. */
  readonly separators?: readonly [item: string, key: string];
  readonly sortKeys?: boolean;
  /** Replaces a value that JSON has no form for. Default: an error. */
  readonly fallback?: (value: unknown) => unknown;
}

/**
 * Returns `value` as JSON text. Whole numbers are written as Python's int; wrap a number in `PythonFloat` to write `1.0`.
 * A `Map` keeps the order of keys that look like numbers, which a JavaScript object does not.
 *
 * @throws QuernError for a value without a form in JSON, or one that contains itself
 */
export function pythonJson(value: unknown, options: PythonJsonOptions = {}): string {
  const { ensureAscii = true, indent = null, sortKeys = false, fallback } = options;
  const [itemSeparator, keySeparator] = options.separators ?? [indent === null ? ", " : ",", ": "];
  const escaped = ensureAscii ? asciiString : unicodeString;
  const open: unknown[] = [];

  const bracketed = (brackets: string, parts: readonly string[]): string => {
    if (parts.length === 0) return brackets;
    if (indent === null) return brackets[0] + parts.join(itemSeparator) + brackets[1];
    const line = "\n" + " ".repeat(indent * open.length);
    const outer = "\n" + " ".repeat(indent * (open.length - 1));
    return brackets[0] + line + parts.join(itemSeparator + line) + outer + brackets[1];
  };
  const container = (item: object, brackets: string, parts: () => string[]): string => {
    if (open.includes(item)) throw new QuernError("cannot write a value that contains itself as JSON");
    open.push(item);
    const text = bracketed(brackets, parts());
    open.pop();
    return text;
  };
  const write = (item: unknown): string => {
    if (typeof item === "string") return escaped(item);
    if (item === null) return "null";
    if (typeof item === "boolean") return item ? "true" : "false";
    if (typeof item === "bigint") return item.toString();
    if (typeof item === "number") return pythonNumber(item);
    if (item instanceof PythonFloat) return jsonFloat(item.value);
    if (Array.isArray(item)) return container(item, "[]", () => item.map(write));
    if (item instanceof Map || isPlainObject(item)) {
      const entries = item instanceof Map ? [...item] : Object.entries(item);
      if (sortKeys) entries.sort(([a], [b]) => compareCodePoints(String(a), String(b)));
      return container(item, "{}", () => entries.map(([key, v]) => escaped(keyText(key)) + keySeparator + write(v)));
    }
    if (fallback !== undefined) return write(fallback(item));
    throw new QuernError(`cannot write ${quoted(String(item))} as JSON`);
  };
  return write(value);
}

/** Returns `repr` of a float: the shortest digits that give the same number, with an exponent below 1e-4 and from 1e16 on. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (value === 0) return Object.is(value, -0) ? "-0.0" : "0.0";
  const [mantissa, exponentText] = Math.abs(value).toExponential().split("e") as [string, string];
  const digits = mantissa.replace(".", "");
  const exponent = Number(exponentText);
  const sign = value < 0 ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : "";
    const size = String(Math.abs(exponent)).padStart(2, "0");
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? "-" : "+"}${size}`;
  }
  if (exponent < 0) return `${sign}0.${"0".repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, "0");
  return `${sign}${whole}.${digits.slice(exponent + 1) || "0"}`;
}

/** Compares two texts as Python does, by code point. */
export function compareCodePoints(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // A surrogate belongs to a code point above all others.
    const xWide = x >= 0xd800 && x <= 0xdfff;
    const yWide = y >= 0xd800 && y <= 0xdfff;
    return xWide === yWide ? x - y : xWide ? 1 : -1;
  }
  return a.length - b.length;
}

function pythonNumber(value: number): string {
  return Number.isInteger(value) && !Object.is(value, -0) ? BigInt(value).toString() : jsonFloat(value);
}

function jsonFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "Infinity" : "-Infinity";
  return pythonFloat(value);
}

function keyText(key: unknown): string {
  if (typeof key === "string") return key;
  if (typeof key === "number") return pythonNumber(key);
  if (typeof key === "bigint" || key instanceof PythonFloat) return key.toString();
  if (typeof key === "boolean") return key ? "true" : "false";
  if (key === null) return "null";
  throw new QuernError("a key of a JSON object must be text, a number, a truth value or null");
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value) as unknown;
  return prototype === Object.prototype || prototype === null;
}

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

function escapeUnit(unit: string): string {
  return SHORT[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function asciiString(text: string): string {
  return `"${text.replace(/["\\]|[^ -~]/g, escapeUnit)}"`;
}

function unicodeString(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes control characters.
  return `"${text.replace(/["\\\u0000-\u001f]/g, escapeUnit)}"`;
}
