/** @file Python's json.dumps, as called by the `tojson` filter of chat templates. */
import { checkText, fail } from "./failure.js";
import { floatText, intText } from "./numbers.js";
import { Dict, isList, isText, lessThan, Tuple, textOf, typeName, type Value } from "./values.js";

export interface JsonOptions {
  readonly ensureAscii: boolean;
  /** Indentation per level; undefined puts everything on one line. */
  readonly indent?: string;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\f": "\\f",
  "\b": "\\b",
};

/** Writes a JSON string as Python does. */
function jsonString(text: string, ensureAscii: boolean): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: JSON escapes these
  const escaped = text.replace(ensureAscii ? /[^ !#-[\]-~]/g : /[\0-\x1f"\\]/g, (unit) => {
    return ESCAPES[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return `"${escaped}"`;
}

function floatJson(value: number): string {
  if (Number.isFinite(value)) return floatText(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

function keyText(key: Value): string {
  if (isText(key)) return textOf(key);
  if (key === null) return "null";
  if (typeof key === "boolean") return key ? "true" : "false";
  if (typeof key === "bigint") return intText(key);
  if (typeof key === "number") return floatJson(key);
  return fail(`keys of JSON must be str, int, float, bool or None, not ${typeName(key)}`);
}

/** @throws TemplateFailure for a value that JSON cannot represent, including undefined */
export function toJson(value: Value, options: JsonOptions, level = 0): string {
  const { ensureAscii, indent, itemSeparator, keySeparator, sortKeys } = options;
  if (value === null) return "null";
  if (typeof value === "boolean") return value ? "true" : "false";
  if (typeof value === "bigint") return intText(value);
  if (typeof value === "number") return floatJson(value);
  if (isText(value)) return jsonString(textOf(value), ensureAscii);
  const wrapped = (open: string, parts: readonly string[], close: string): string => {
    if (parts.length === 0) return open + close;
    const line = indent === undefined ? "" : `\n${indent.repeat(level + 1)}`;
    checkText(parts.reduce((sum, part) => sum + part.length + line.length + itemSeparator.length, 0));
    return `${open}${line}${parts.join(itemSeparator + line)}${indent === undefined ? "" : `\n${indent.repeat(level)}`}${close}`;
  };
  if (isList(value))
    return wrapped(
      "[",
      value.map((item) => toJson(item, options, level + 1)),
      "]",
    );
  if (value instanceof Tuple)
    return wrapped(
      "[",
      value.items.map((item) => toJson(item, options, level + 1)),
      "]",
    );
  if (value instanceof Dict) {
    const entries = [...value.entries()];
    if (sortKeys) entries.sort(([a], [b]) => (lessThan(a, b) ? -1 : lessThan(b, a) ? 1 : 0));
    const parts = entries.map(
      ([key, item]) => jsonString(keyText(key), ensureAscii) + keySeparator + toJson(item, options, level + 1),
    );
    return wrapped("{", parts, "}");
  }
  return fail(`a value of type ${typeName(value)} cannot be written as JSON`);
}
