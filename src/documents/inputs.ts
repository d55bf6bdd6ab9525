/**
 * @file Lists the files of a user's inputs in a fixed order: files as given, folders sorted by name, crawls by their path
 * list.
 */
import { stat } from "node:fs/promises";
import { basename, relative } from "node:path";
import { fileError, QuernError } from "../errors.js";
import type { Compression } from "./compression.js";
import { type Format, kindOfFile, mayHoldDocuments } from "./file-kind.js";
import { filesUnder, isFolder } from "./files.js";
import { expandLocation, isRemote, type LocationOptions } from "./location.js";
import type { Skip } from "./read-report.js";

/** One local or remote file. */
export interface InputFile {
  /** Its path or URL. */
  readonly location: string;
  /** `documents`: text, JSON or Parquet, decided by the content. */
  readonly kind: "documents" | "archive" | "html";
  /** Its path relative to the input folder; for an HTML file without .html or .gz. */
  readonly id: string;
  readonly source: string;
}

/** A unit of work: a file, or several small files of one source. */
export interface InputPart extends InputFile {
  /** All files of the part; the other properties then describe the first. */
  readonly files?: readonly InputFile[];
}

/** A file of documents with its local path and format. */
export interface OpenFile extends InputFile {
  readonly path: string;
  readonly format: Format;
  readonly compression: Compression | undefined;
}

export interface FindOptions extends LocationOptions {
  /**
   * Key or column that contains the text. JSON files in folders without it count as settings. Default "text"; null
   * accepts any JSON.
   */
  readonly textField?: string | null;
  /** Whether to read HTML as pages. Otherwise a file that the user names is read as text, whatever its extension. Default false. */
  readonly pages?: boolean;
  /** Called for each file in a folder that is skipped. */
  readonly skip?: Skip;
}

/**
 * Lists the files of inputs.
 * @throws QuernError if a path does not exist, a location cannot be listed or, with `pages`, a named file is of another kind
 */
export async function findInputs(inputs: readonly string[], options: FindOptions = {}): Promise<readonly InputFile[]> {
  const files: InputFile[] = [];
  for (const input of inputs) {
    if (isRemote(input)) await addRemote(files, input, options);
    else if (await isFolder(input)) await addFolder(files, input, options);
    else files.push(await namedFile(input, options));
  }
  return files;
}

async function addRemote(files: InputFile[], input: string, options: FindOptions): Promise<void> {
  for (const location of await expandLocation(input, options)) {
    const name = basename(new URL(location).pathname);
    // A URL without a known extension is a web page.
    const unknown = options.pages && !/\.json(\.gz|\.zst|\.zstd)?$|\.zstd?$/i.test(name) ? "html" : "documents";
    const kind = kindOf(name, options) ?? unknown;
    files.push({ location, kind, id: idOf(location, kind), source: input });
  }
}

async function addFolder(files: InputFile[], input: string, options: FindOptions): Promise<void> {
  const { textField = "text", skip = () => {}, signal } = options;
  for await (const path of filesUnder(input, skip)) {
    signal?.throwIfAborted();
    // The name may be ambiguous: settings are JSON too.
    const looksIn = mayHoldDocuments(basename(path));
    const kind = kindOf(path, options) ?? (looksIn ? await sniffed(path, textField ?? undefined, options) : undefined);
    if (kind === undefined) skip("other_kind", path);
    else files.push({ location: path, kind, id: idOf(relative(input, path), kind), source: basename(input) });
  }
}

async function namedFile(path: string, options: FindOptions): Promise<InputFile> {
  const found = kindOf(path, options) ?? (await sniffed(path, undefined, options));
  const kind = found ?? (options.pages ? undefined : "documents");
  if (kind === undefined) {
    throw new QuernError(
      `${path} is not an HTML page, web archive or document file; if it is one, give it the usual extension`,
      { exitCode: 2 },
    );
  }
  return { location: path, kind, id: idOf(basename(path), kind), source: basename(path) };
}

/** Detects the kind of a file by its content. */
async function sniffed(
  path: string,
  key: string | undefined,
  { pages, signal }: FindOptions,
): Promise<InputFile["kind"] | undefined> {
  try {
    const { format, other } = await kindOfFile(path, { key, signal });
    if (other === "archive" || (other === "html" && pages)) return other;
    return format === undefined ? undefined : "documents";
  } catch (error) {
    signal?.throwIfAborted();
    // The reader of the file reports the error.
    if (error instanceof Error && "syscall" in error) return "documents";
    throw error;
  }
}

const KINDS: readonly [RegExp, InputFile["kind"]][] = [
  [/\.(warc|arc|wet|wat)(\.wet|\.wat)?(\.gz|\.zst)?$/i, "archive"],
  [/\.x?html?(\.gz|\.zst)?$/i, "html"],
  [/\.(txt|text|md|markdown|jsonl|ndjson|parquet)(\.gz|\.zst|\.zstd)?$/i, "documents"],
];

function kindOf(name: string, { pages }: FindOptions): InputFile["kind"] | undefined {
  const kind = KINDS.find(([pattern]) => pattern.test(name))?.[1];
  return kind === "html" && !pages ? undefined : kind;
}

const idOf = (path: string, kind: InputFile["kind"]) =>
  kind === "html" ? path.replace(/\.(gz|zst)$/i, "").replace(/\.x?html?$/i, "") : path;

/** `findInputs` with each file's size in bytes and modification time in milliseconds; both are 0 for remote files. */
export async function listFiles(
  paths: readonly string[],
  options: FindOptions = {},
): Promise<readonly (InputFile & { readonly size: number; readonly modified: number })[]> {
  const listed: (InputFile & { size: number; modified: number })[] = [];
  for (const file of await findInputs(paths, options)) {
    if (isRemote(file.location)) listed.push({ ...file, size: 0, modified: 0 });
    else {
      const { size, mtimeMs } = await stat(file.location).catch((error: unknown) => {
        throw fileError(error, "read", file.location);
      });
      listed.push({ ...file, size, modified: mtimeMs });
    }
  }
  return listed;
}
