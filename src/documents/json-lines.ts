/**
 * @file Parses JSON documents: one value per line, concatenated values, or one array. Integers beyond 2^53 become strings, to
 * keep all digits: ids have up to 20.
 */
import { isUtf8 } from "node:buffer";
import { DEEPEST_JSON, MOST_JSON_VALUES } from "./limits.js";

/** The object of a line, or why there is none. */
export type ParsedLine =
  | { readonly value: Readonly<Record<string, unknown>> }
  | { readonly reason: string; readonly detail?: string };

/** Parses the bytes of a line, without its byte order mark; undefined for a blank line. */
export function parseJsonLine(bytes: Buffer): ParsedLine | undefined {
  if (bytes.length === 0 || (bytes.length === 1 && bytes[0] === 13)) return undefined;
  const wrong = wrongBytes(bytes);
  if (wrong !== undefined) return wrong;
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  return parseJsonText(bytes.toString("utf8", start));
}

/** Returns why bytes cannot be text; undefined if they are UTF-8 without NUL. */
export function wrongBytes(bytes: Buffer): { readonly reason: string } | undefined {
  if (bytes.includes(0)) return { reason: "nul_byte" };
  return isUtf8(bytes) ? undefined : { reason: "not_utf8" };
}

/** Parses a line given as a string; undefined for a blank line. */
export function parseJsonText(line: string): ParsedLine | undefined {
  if (line.trim() === "") return undefined;
  if (isTooDeep(line)) return { reason: "too_deep", detail: `more than ${DEEPEST_JSON} nested brackets` };
  if (isTooLarge(line)) return { reason: "too_large", detail: `more than ${MOST_JSON_VALUES} commas and brackets` };
  let value: unknown;
  try {
    value = JSON.parse(line);
    if (hasLargeInteger(value)) value = JSON.parse(withQuotedIntegers(line));
  } catch (error) {
    return { reason: "not_json", detail: (error as Error).message.slice(0, 100) };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return { reason: "not_an_object" };
  return { value: value as Readonly<Record<string, unknown>> };
}

function isTooLarge(line: string): boolean {
  if (line.length <= 2 * MOST_JSON_VALUES) return false;
  let values = 0;
  for (let at = 0; at < line.length; at++) {
    const unit = line.charCodeAt(at);
    if (unit === 0x2c || unit === 0x7b || unit === 0x5b) values++;
  }
  return values > MOST_JSON_VALUES;
}

/** Counts brackets first: few lines have enough of them to need a depth check. */
function isTooDeep(line: string): boolean {
  if (line.length <= DEEPEST_JSON) return false;
  let brackets = 0;
  for (const bracket of ["{", "["]) {
    for (let at = line.indexOf(bracket); at >= 0 && brackets <= DEEPEST_JSON; at = line.indexOf(bracket, at + 1))
      brackets++;
  }
  if (brackets <= DEEPEST_JSON) return false;
  let depth = 0;
  for (let at = 0; at < line.length; at++) {
    const unit = line.charCodeAt(at);
    if (unit === 0x22) at = stringEnd(line, at);
    else if (unit === 0x7b || unit === 0x5b) depth++;
    else if (unit === 0x7d || unit === 0x5d) depth--;
    if (depth > DEEPEST_JSON) return true;
  }
  return false;
}

/** Returns the position of the quotation mark that closes the string opened at `start`, else of the last character. */
function stringEnd(line: string, start: number): number {
  for (let end = line.indexOf('"', start + 1); end >= 0; end = line.indexOf('"', end + 1)) {
    let slashes = 0;
    while (line.charCodeAt(end - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return end;
  }
  return line.length - 1;
}

function hasLargeInteger(value: unknown): boolean {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  if (typeof value !== "object" || value === null) return false;
  for (const key in value) if (hasLargeInteger((value as Record<string, unknown>)[key])) return true;
  return false;
}

const INTEGER = /-?\d+(?:[.eE][\d.eE+-]*)?/y;

/** Turns integers beyond 2^53 into strings. */
function withQuotedIntegers(line: string): string {
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < line.length; at++) {
    const unit = line.charCodeAt(at);
    if (unit === 0x22) at = stringEnd(line, at);
    else if (unit === 0x2d || (unit >= 0x30 && unit <= 0x39)) {
      INTEGER.lastIndex = at;
      const number = INTEGER.exec(line)?.[0] ?? "-";
      if (/^-?\d+$/.test(number) && !Number.isSafeInteger(Number(number))) {
        parts.push(line.slice(from, at), `"${number}"`);
        from = at + number.length;
      }
      at += number.length - 1;
    }
  }
  parts.push(line.slice(from));
  return parts.join("");
}

/**
 * Converts concatenated JSON values, which may span several lines, or one array of values into one value per line. Invalid
 * JSON becomes invalid lines.
 */
export async function* asJsonLines(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  /** Open brackets, except that of the outer array. */
  let depth = 0;
  let inString = false;
  let isEscaped = false;
  let begun = false;
  let isArray = false;
  for await (const chunk of chunks) {
    const bytes = Buffer.from(chunk);
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at];
      if (inString) {
        if (isEscaped) isEscaped = false;
        else if (byte === 0x5c) isEscaped = true;
        else if (byte === 0x22) inString = false;
        // A string cannot span lines, so an unclosed one ends with its line.
        else if (byte === 10) inString = false;
        continue;
      }
      if (byte === 0x22) inString = true;
      else if (byte === 10 || byte === 13) bytes[at] = depth > 0 ? 0x20 : byte;
      else if (byte === 0x5b && !begun) {
        isArray = true;
        bytes[at] = 0x20;
      } else if (byte === 0x7b || byte === 0x5b) depth++;
      else if (byte === 0x7d || byte === 0x5d) {
        if (depth > 0) depth--;
        else if (isArray && byte === 0x5d) bytes[at] = 0x20;
      } else if (byte === 0x2c && depth === 0) bytes[at] = 10;
      if (byte > 0x20 && !(byte === 0xef || byte === 0xbb || byte === 0xbf)) begun = true;
    }
    yield bytes;
  }
}
