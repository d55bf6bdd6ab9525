/** @file Reads JSON files from untrusted sources: checks their size and depth before parsing. */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { type ErrorExitCode, fileError, QuernError } from "./errors.js";
import { quoted } from "./printable.js";

export interface JsonLimits {
  /** Largest file in bytes. Default 64 MiB. */
  readonly bytes?: number;
  /** Deepest nesting of objects and lists. Default 128. */
  readonly depth?: number;
  /** Exit code of the error for a file that is too large, too deep or not JSON. Default 1. */
  readonly exitCode?: ErrorExitCode;
}

/** A config.json takes a few kilobytes, the index of a model with 100,000 tensors about 10 MB. */
const BYTES = 64 * 2 ** 20;
/** Code that walks the parsed value recurses once per level. */
const DEPTH = 128;

/**
 * Reads a JSON file.
 * @throws QuernError if the file is missing, not a regular file, too large, too deep, or not JSON
 */
export async function readJsonFile(path: string, limits: JsonLimits = {}): Promise<unknown> {
  const { bytes = BYTES, exitCode } = limits;
  let text: string;
  try {
    const found = await stat(path);
    // A pipe or a device may never end.
    if (!found.isFile() && !found.isDirectory()) throw new QuernError(`${path} is not a regular file`, { exitCode });
    if (found.size > bytes) {
      const most = `${(bytes / 2 ** 20).toFixed(0)} MiB`;
      throw new QuernError(`${path} has ${found.size} bytes; the limit for this JSON file is ${most}`, { exitCode });
    }
    text = await readFile(path, "utf8");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  return parseJson(text, path, limits);
}

/**
 * Parses JSON of bounded depth.
 * @param name of the file, for errors
 * @throws QuernError if the text is not JSON or too deep
 */
export function parseJson(text: string, name: string, { depth = DEPTH, exitCode }: JsonLimits = {}): unknown {
  if (isDeeper(text, depth)) throw new QuernError(`${name} nests more than ${depth} levels deep`, { exitCode });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new QuernError(`${name} is not JSON: ${quoted((cause as Error).message)}`, { exitCode, cause });
  }
}

/** Tracks the depth of brackets outside of strings, in one pass. */
function isDeeper(text: string, most: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === 0x5c) i++;
      else if (code === 0x22) inString = false;
    } else if (code === 0x22) inString = true;
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > most) return true;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return false;
}

const sealOf = (json: string) => createHash("sha256").update(json).digest("hex");

/** Writes an object as a line of JSON with a checksum, for files that only Quern writes and reads. */
export function sealed(value: object): string {
  return `${JSON.stringify({ ...value, seal: sealOf(JSON.stringify(value)) })}\n`;
}

/** Reads what `sealed` wrote; undefined if it was damaged or changed. */
export function openSealed<T extends object>(text: string): T | undefined {
  try {
    const { seal, ...value } = JSON.parse(text) as { readonly seal?: unknown };
    return seal === sealOf(JSON.stringify(value)) ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}
