/**
 * @file Keeps a model's answers in a folder, one JSON line each, so that an interrupted evaluation can resume. The key is a
 * hash of the model and of everything that the answer depends on.
 */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, truncateSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fileError, QuernError } from "../../errors.js";

/** One answer per repeat. */
export type CachedAnswers = readonly unknown[];

export interface RequestCache {
  get(key: string): CachedAnswers | undefined;
  /** Adds answers and writes them to the disk before it returns. */
  add(entries: Iterable<readonly [key: string, answers: CachedAnswers]>): void;
  close(): void;
}

/** Returns the key of a request. Equal requests of one model have equal keys. */
export function requestKey(model: string, type: string, ...parts: readonly unknown[]): string {
  return createHash("sha256")
    .update(JSON.stringify([model, type, ...parts]))
    .digest("base64url");
}

/**
 * Opens the cache of a folder, which is made if it is missing. A line that a killed process left unfinished is removed.
 * @throws QuernError if the folder cannot be used, or holds something else
 */
export function openRequestCache(folder: string): RequestCache {
  const path = join(folder, "answers.jsonl");
  const known = new Map<string, CachedAnswers>();
  let file: number;
  try {
    mkdirSync(folder, { recursive: true });
    file = openSync(path, "a");
    const bytes = readFileSync(path);
    const end = bytes.lastIndexOf(10) + 1;
    if (end < bytes.length) truncateSync(path, end);
    for (const [index, line] of bytes.toString("utf8", 0, end).split("\n").entries()) {
      if (line !== "") readEntry(line, known, `${path} line ${index + 1}`);
    }
  } catch (error) {
    throw error instanceof QuernError ? error : fileError(error, "open", path);
  }
  return {
    get: (key) => known.get(key),
    add(entries) {
      const lines: string[] = [];
      for (const [key, answers] of entries) {
        known.set(key, answers);
        lines.push(`${JSON.stringify([key, answers])}\n`);
      }
      writeSync(file, lines.join(""));
      fsyncSync(file);
    },
    close: () => closeSync(file),
  };
}

function readEntry(line: string, known: Map<string, CachedAnswers>, where: string): void {
  try {
    const [key, answers] = JSON.parse(line) as [unknown, unknown];
    if (typeof key === "string" && Array.isArray(answers)) {
      known.set(key, answers);
      return;
    }
  } catch {
    // Said below.
  }
  throw new QuernError(`${where} is no answer of a model; give another folder with --cache, or delete the file`);
}
