/** @file Reads JSON files of other programs for evaluation: plain or compressed, with the NaN that Python's `json` writes. */
import { compressionByName, parseJsonText, readBytes } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { parseJson } from "../json-file.js";
import { show } from "../options.js";

/** Annotations of 805 questions take 8 MB. */
const MOST_BYTES = 256 * 2 ** 20;

/**
 * Reads a text file, decompressed by its extension (.gz, .zst).
 * @throws QuernError if the file is missing, damaged, not UTF-8 or longer than 256 MiB
 */
export async function readTextInput(path: string, signal?: AbortSignal): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of readBytes(path, compressionByName(path).compression, signal)) {
    bytes += part.length;
    if (bytes > MOST_BYTES) throw new QuernError(`${path} is longer than ${MOST_BYTES / 2 ** 20} MiB; split it`);
    parts.push(part);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts));
  } catch (cause) {
    throw new QuernError(`${path} is not UTF-8 text`, { cause });
  }
}

/**
 * Reads a JSON file, plain or compressed. Bare `NaN`, `Infinity` and `-Infinity` become null.
 * @throws QuernError if the file cannot be read or is not JSON
 */
export async function readJsonInput(path: string, signal?: AbortSignal): Promise<unknown> {
  return parseJson(withoutNaN(await readTextInput(path, signal)), path);
}

/** A JSON object with its place in the file, for errors. */
export interface JsonItem {
  readonly value: Readonly<Record<string, unknown>>;
  /** Such as `line 3 of FILE` or `item 3 of FILE`. */
  readonly place: string;
}

/**
 * Reads a list of objects: one JSON array, or one object per line.
 * @throws QuernError that names the first item or line that is not an object; also for an empty list
 */
export async function readJsonItems(path: string, signal?: AbortSignal): Promise<readonly JsonItem[]> {
  const text = await readTextInput(path, signal);
  const items = text.trimStart().startsWith("[") ? itemsOfArray(text, path) : itemsOfLines(text, path);
  if (items.length === 0) throw new QuernError(`${path} contains no items`);
  return items;
}

function itemsOfArray(text: string, path: string): JsonItem[] {
  const list = parseJson(withoutNaN(text), path) as readonly unknown[];
  return list.map((value, index) => {
    const place = `item ${index + 1} of ${path}`;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new QuernError(`${place} must be an object, not ${show(value)}`);
    }
    return { value: value as Readonly<Record<string, unknown>>, place };
  });
}

function itemsOfLines(text: string, path: string): JsonItem[] {
  const items: JsonItem[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    const place = `line ${index + 1} of ${path}`;
    const parsed = parseJsonText(withoutNaN(line));
    if (parsed === undefined) continue;
    if ("reason" in parsed) {
      throw new QuernError(`${place} is not a JSON object (${parsed.detail ?? parsed.reason.replaceAll("_", " ")})`);
    }
    items.push({ value: parsed.value, place });
  }
  return items;
}

/** Returns the text at `key` of an item. */
export function textAt({ value, place }: JsonItem, key: string): string {
  const found = value[key];
  if (typeof found === "string") return found;
  throw new QuernError(
    found === undefined ? `${place} has no "${key}"` : `"${key}" of ${place} must be text, not ${show(found)}`,
  );
}

function withoutNaN(text: string): string {
  if (!/NaN|Infinity/.test(text)) return text;
  return text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b/g, (token) =>
    token[0] === '"' ? token : "null",
  );
}
