/**
 * @file What a folder of task files defines, kept in the cache (`tasks`) so that 14,000 files are not parsed on every call. An
 * index is used only while every file that it comes from, and Quern's own code, are as they were.
 *
 * This file loads nothing heavy: where an index is cached, neither a YAML parser nor templates are needed.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder, tagCacheFolder } from "../../cache-folder.js";
import { fileError, QuernError } from "../../errors.js";
import { version } from "../../version.js";
import { stateOfCode, stateOfFiles, yamlFilesUnder } from "./folder-state.js";
import { asciiJson, type ListedLine, linesOfText, textOfLines } from "./listed-lines.js";
import type { BrokenFile, FolderIndex } from "./registry.js";

export interface IndexOptions {
  /** Whether to use and keep cached indexes. Default true. */
  readonly cache?: boolean;
  /** Called if an index cannot be kept. */
  readonly onWarning?: (warning: string) => void;
}

/** Smaller folders are read again: they take less than a tenth of a second. */
const FEWEST_FILES = 200;

/** The first line of a file of the cache; the lines of the list follow. */
interface CacheHead {
  readonly root: string;
  /** State of Quern's code that made it. */
  readonly code: string;
  /** State of the task files. */
  readonly digest: string;
  /** Other files that task files include, and their state. */
  readonly included: readonly string[];
  readonly includedDigest: string;
  readonly files: number;
  /** Number of lines that follow. */
  readonly lines: number;
  readonly broken: readonly BrokenFile[];
}

/**
 * Returns what a folder of task files defines.
 * @throws QuernError if the folder cannot be read
 */
export async function indexOfFolder(folder: string, options: IndexOptions = {}): Promise<FolderIndex> {
  const root = resolve(folder);
  const start = Date.now();
  const paths = yamlFilesUnder(root);
  if (options.cache === false || paths.length < FEWEST_FILES) return (await make(root)).index;
  // Taken before the files are read: a change while they are read leads to another state.
  const { digest, isSettled } = stateOfFiles(paths, start);
  const code = codeState();
  const place = join(cacheFolder(), "tasks", createHash("sha256").update(root).digest("hex").slice(0, 32));
  const cached = readCached(place, (head) => {
    const isSame = head.root === root && head.code === code && head.digest === digest;
    return isSame && stateOfFiles(head.included, start).digest === head.includedDigest;
  });
  if (cached !== undefined) return cached;
  const { index, included, unreadable } = await make(root);
  const others = included.filter((path) => !paths.includes(path));
  // Which files are included is known only now, so none may have changed since the start.
  const state = stateOfFiles(others, start);
  if (isSettled && state.isSettled && state.missing.every((path) => unreadable.includes(path))) {
    const { files, lines, broken } = index;
    const head = {
      root,
      code,
      digest,
      included: others,
      includedDigest: state.digest,
      files,
      lines: lines.length,
      broken,
    };
    await keep(place, head, lines, options);
  }
  return index;
}

const make = async (root: string) => (await import("./listed-tasks.js")).readFolder(root);

/** The index depends on the code of task files and their functions, and of templates. */
function codeState(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  return [version, stateOfCode(here), stateOfCode(join(here, "..", "..", "tokenizer"))].join(" ");
}

/** Returns a cached index; undefined if there is none, it is damaged, or its state is not current. */
function readCached(place: string, isCurrent: (head: CacheHead) => boolean): FolderIndex | undefined {
  try {
    const text = readFileSync(place, "latin1");
    const end = text.indexOf("\n");
    const head = JSON.parse(text.slice(0, end)) as CacheHead;
    if (!isCurrent(head)) return undefined;
    const lines = linesOfText(text.slice(end + 1));
    return lines.length === head.lines ? { files: head.files, lines, broken: head.broken } : undefined;
  } catch (error) {
    // Damaged, or the head of another version.
    if (error instanceof SyntaxError || error instanceof TypeError || (error as { code?: string }).code)
      return undefined;
    throw error;
  }
}

/** Writes an index whole, so that other processes see the old one or the new one. */
async function keep(
  place: string,
  head: CacheHead,
  lines: readonly ListedLine[],
  { onWarning }: IndexOptions,
): Promise<void> {
  const { makeFolder, writeFileAtomic } = await import("../../documents/index.js");
  try {
    await makeFolder(dirname(place));
    await tagCacheFolder(dirname(place));
    await writeFileAtomic(place, `${asciiJson(JSON.stringify(head))}\n${textOfLines(lines)}`);
  } catch (error) {
    const explained = fileError(error, "write", place);
    if (!(explained instanceof QuernError)) throw error;
    onWarning?.(`the list of tasks is not cached: ${explained.message}`);
  }
}
