/** @file Lists the files of folders in order of their names, except pipes, devices and Quern's own outputs. */
import { constants } from "node:fs";
import { access, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileError, QuernError } from "../errors.js";
import type { Skip } from "./read-report.js";

/** True for a folder. @throws QuernError if the path does not exist, or is a pipe, socket or device */
export async function isFolder(path: string): Promise<boolean> {
  let found: Awaited<ReturnType<typeof stat>>;
  try {
    found = await stat(path);
  } catch (error) {
    throw fileError(error, "read", path);
  }
  if (found.isDirectory()) return true;
  if (found.isFile()) return false;
  const what = found.isFIFO() ? "a pipe" : found.isSocket() ? "a socket" : "a device";
  throw new QuernError(`${path} is ${what}, not a file; save its data to a file first`, { exitCode: 2 });
}

/**
 * Yields the files under a folder, recursively, except hidden ones. Follows links to files, but not to folders, which may
 * form a cycle.
 */
export async function* filesUnder(folder: string, skip: Skip): AsyncGenerator<string> {
  yield* under(folder, skip, true);
}

async function* under(folder: string, skip: Skip, isRoot: boolean): AsyncGenerator<string> {
  let entries: Awaited<ReturnType<typeof entriesOf>>;
  try {
    entries = await entriesOf(folder);
  } catch (error) {
    const failure = fileError(error, "read", folder);
    if (isRoot || !(failure instanceof QuernError)) throw failure;
    return skip("unreadable", folder);
  }
  const own = await ownOutput(folder, new Set(entries.map(({ name }) => name)), isRoot);
  if (own === "run" || (own === "data" && !isRoot)) return skip("own_output", folder);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) {
      // Apart from its documents, a finished stage contains only reports about them.
      if (own === "data" && entry.name !== "documents") skip("own_output", path);
      else yield* under(path, skip, false);
      continue;
    }
    if (own === "data") continue;
    const problem = await problemOf(entry, path);
    if (problem === undefined) yield path;
    else skip(problem, path);
  }
}

async function entriesOf(folder: string) {
  const entries = await readdir(folder, { withFileTypes: true });
  // Sorted by code unit, so that the order does not depend on the locale.
  return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

type Entry = Awaited<ReturnType<typeof entriesOf>>[number];

/** Returns why a file is skipped; undefined if it is read. */
async function problemOf(entry: Entry, path: string): Promise<string | undefined> {
  try {
    if (!entry.isFile() && !(entry.isSymbolicLink() && (await stat(path)).isFile())) return "not_a_file";
    await access(path, constants.R_OK);
    return undefined;
  } catch {
    return "unreadable";
  }
}

/** Detects by its file names whether Quern wrote a folder: `run` (training run, shards, tokenizer) or `data` (a data stage). */
async function ownOutput(
  folder: string,
  names: ReadonlySet<string>,
  isRoot: boolean,
): Promise<"run" | "data" | undefined> {
  if (names.has("run.json") && (names.has("metrics.jsonl") || names.has("checkpoints"))) return "run";
  if (names.has("shards.json")) return "run";
  if (!isRoot && names.has("tokenizer.json") && names.has("tokenizer_config.json")) return "run";
  if (names.has("documents") && STAGES.some((name) => names.has(name))) return "data";
  if (!names.has(".quern.json")) return undefined;
  // output-claim.ts writes this record. A crawl's output is meant to be read.
  const verb = await readFile(join(folder, ".quern.json"), "utf8").then(
    (text) => /"verb":\s*"([^"]*)"/.exec(text)?.[1],
    () => undefined,
  );
  return verb === undefined || verb === "data crawl" ? undefined : names.has("documents") ? "data" : "run";
}

/** Files that data stages write next to their documents. */
const STAGES = ["funnel.json", "deduplicate.json", "decontaminate.json", "mix.json"];
