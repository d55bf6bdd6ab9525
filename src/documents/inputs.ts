/**
 * @file The files that a user's inputs stand for, in a fixed order: files as given, folders by the order of their names,
 * crawls by their path list.
 */
import { stat } from "node:fs/promises";
import { basename, relative } from "node:path";
import { fileError, QuernError } from "../errors.js";
import type { Compression } from "./compression.js";
import { type Format, kindOfFile, mayHoldDocuments } from "./file-kind.js";
import { filesUnder, isFolder } from "./files.js";
import { expandLocation, isRemote, type LocationOptions } from "./location.js";
import type { Skip } from "./read-report.js";

/** One file, or remote file, to be read by itself. */
export interface InputFile {
  /** Its path or address. */
  readonly location: string;
  /** `documents` are text, JSON or Parquet, as the content says. */
  readonly kind: "documents" | "archive" | "html";
  /** Its path under the folder that was given; of an HTML file without .html or .gz. */
  readonly id: string;
  readonly source: string;
}

/** What work is divided into: a file, or small files of one source that are read one after the other. */
export interface InputPart extends InputFile {
  /** The rest is then the first one's. */
  readonly files?: readonly InputFile[];
}

/** A file of documents, where it lies on this disk, and what it holds. */
export interface OpenFile extends InputFile {
  readonly path: string;
  readonly format: Format;
  readonly compression: Compression | undefined;
}

export interface FindOptions extends LocationOptions {
  /** The key or column of the text: JSON in a folder that lacks it is settings. Default "text"; null takes any JSON. */
  readonly textField?: string | null;
  /** Whether HTML is wanted; without, a file that is named is text whatever it is called. Default false. */
  readonly pages?: boolean;
  /** Hears of what is left out in folders. */
  readonly skip?: Skip;
}

/**
 * Lists the files of inputs.
 * @throws QuernError for a path that is not there, a location that cannot be listed and, where pages are wanted, a named file
 * of another kind
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
    // An address without a known ending is a page of the web.
    const unknown = options.pages && !/\.json(\.gz|\.zst|\.zstd)?$|\.zstd?$/i.test(name) ? "html" : "documents";
    const kind = kindOf(name, options) ?? unknown;
    files.push({ location, kind, id: idOf(location, kind), source: input });
  }
}

async function addFolder(files: InputFile[], input: string, options: FindOptions): Promise<void> {
  const { textField = "text", skip = () => {}, signal } = options;
  for await (const path of filesUnder(input, skip)) {
    signal?.throwIfAborted();
    // A name that does not say what is in a file: settings are JSON as well.
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
    throw new QuernError(`${path} is no page, archive or document file; its name must say what it is`, { exitCode: 2 });
  }
  return { location: path, kind, id: idOf(basename(path), kind), source: basename(path) };
}

/** What the content of a file says that it is. */
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
    // Who reads it tells what is wrong.
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

/** The same with sizes in bytes and times of change in milliseconds; 0 for both of a remote file. */
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
