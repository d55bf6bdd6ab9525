/** @file JSON files that may come from anyone: their size and depth are bounded before they are parsed. */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { type ErrorExitCode, fileError, QuernError } from "./errors.js";
import { quoted } from "./printable.js";

export interface JsonLimits {
  /** The largest file, in bytes. */
  readonly bytes?: number;
  /** How deep objects and lists may lie in one another. */
  readonly depth?: number;
  /** Of the error for a file that is too large, too deep or not JSON; 1 unless given. */
  readonly exitCode?: ErrorExitCode;
}

/** A config.json takes a few kilobytes, the index of a model with 100,000 tensors about 10 MB. */
const BYTES = 64 * 2 ** 20;
/** Code that walks what was parsed calls itself once a level. */
const DEPTH = 128;

/**
 * The value of a JSON file.
 * @throws QuernError for a file that is missing, no regular file, too large, too deep, or not JSON
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
      throw new QuernError(`${path} has ${found.size} bytes; a JSON file of this kind may have ${most}`, { exitCode });
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
 * @throws QuernError for a text that is not JSON or too deep
 */
export function parseJson(text: string, name: string, { depth = DEPTH, exitCode }: JsonLimits = {}): unknown {
  if (isDeeper(text, depth)) throw new QuernError(`${name} nests more than ${depth} levels deep`, { exitCode });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new QuernError(`${name} is not JSON: ${quoted((cause as Error).message)}`, { exitCode, cause });
  }
}

/** Counts brackets outside of strings; one pass. */
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

/** An object as a line of JSON with a checksum: for files that Quern alone writes and reads again. */
export function sealed(value: object): string {
  return `${JSON.stringify({ ...value, seal: sealOf(JSON.stringify(value)) })}\n`;
}

/** What `sealed` wrote; undefined where it was damaged or changed since. */
export function openSealed<T extends object>(text: string): T | undefined {
  try {
    const { seal, ...value } = JSON.parse(text) as { readonly seal?: unknown };
    return seal === sealOf(JSON.stringify(value)) ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}
