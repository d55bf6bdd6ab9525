/** @file Word lists, given inline or in the user's files, one word per line; lines that begin with `#` are comments. */
import { readFile } from "node:fs/promises";
import { fileError, QuernError } from "../../errors.js";

/** Words, a file of words, or both. */
export type WordList = readonly string[] | { readonly file: string; readonly words?: readonly string[] };

/** Throws a `QuernError` when the file cannot be read. */
export async function readWordList(list: WordList | undefined): Promise<string[]> {
  if (list === undefined) return [];
  if (!("file" in list)) return [...list];
  try {
    const lines = (await readFile(list.file, "utf8")).split("\n").map((line) => line.trim());
    return [...lines.filter((line) => line !== "" && !line.startsWith("#")), ...(list.words ?? [])];
  } catch (error) {
    throw fileError(error, "read", list.file);
  }
}

/** Finds every file named in settings, at any depth: the contents are part of a run's identity. */
export function filesOf(settings: unknown): string[] {
  if (typeof settings !== "object" || settings === null) return [];
  const own = "file" in settings && typeof settings.file === "string" ? [settings.file] : [];
  return [...own, ...Object.values(settings).flatMap(filesOf)];
}

/**
 * Finds any of these words or phrases in lower-case text: as whole words, or anywhere in languages written without
 * spaces. Letters, digits and underscores form words.
 * @throws QuernError for words that are too long or too many
 */
export function wordPattern(words: readonly string[], anywhere = false): RegExp | undefined {
  // With the flag u, an escaped hyphen outside a class is a syntax error.
  const escaped = words.map((word) => word.toLowerCase().replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  if (escaped.length === 0) return undefined;
  // Longest first, so that a phrase is found before its first word.
  escaped.sort((a, b) => b.length - a.length || (a < b ? -1 : 1));
  const any = escaped.join("|");
  try {
    const pattern = new RegExp(anywhere ? any : `(?<![\\p{L}\\p{M}\\p{N}_])(?:${any})(?![\\p{L}\\p{M}\\p{N}_])`, "gu");
    // The engine compiles the expression on first use; only then does it reject one that is too large.
    pattern.test("");
    return pattern;
  } catch (cause) {
    const longest = escaped[0].length;
    throw new QuernError(
      `a list of ${words.length} words, the longest with ${longest} characters, is too large; put one word on each line`,
      { exitCode: 2, cause },
    );
  }
}
