/**
 * @file Reading documents from files and folders: text, Markdown and JSONL, each plain, gzipped or zstd-packed, and
 * Parquet. A file that was named must be readable; one that was found in a folder and is none of these is skipped and
 * named.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { fileError, QuernError } from "../errors.js";
import { type Compression, packingOf, readBytes } from "./compression.js";
import type { Document } from "./document.js";
import { readParquetRows } from "./parquet.js";
import { decodeText, LONGEST_TEXT } from "./utf8.js";

export interface SkippedFile {
  readonly path: string;
  readonly reason: string;
}

/** How far the reading of files has come, in bytes as they lie on the disk: what a time left is reckoned by. */
export interface ReadBytes {
  readonly bytesRead: number;
  /** Of all files together; known once the reading has begun. */
  readonly bytesTotal: number;
}

/** Documents one at a time, in the order of the paths given and of the names in folders. Iterate once. */
export interface DocumentReader extends AsyncIterable<Document>, ReadBytes {
  /** What was left out, and why; complete when the iteration has ended. */
  readonly skipped: readonly SkippedFile[];
  /** Files read so far. */
  readonly files: number;
  /** Documents given so far. */
  readonly documents: number;
}

const TEXT_EXTENSIONS = new Set([".txt", ".text", ".md", ".markdown"]);
const JSONL_EXTENSIONS = new Set([".jsonl", ".ndjson"]);

type Format = "text" | "jsonl" | "parquet";

interface Found {
  readonly path: string;
  readonly format: Format;
  readonly compression: Compression | undefined;
  /** True when the caller named this very file: then it is refused, not skipped, when it is no text. */
  readonly named: boolean;
  readonly source: string;
  readonly id: string;
}

/**
 * Reads files and folders (their sub-folders too; hidden ones are left alone). A text or Markdown file is one document,
 * a JSONL line or a Parquet row is one (`text`, and `id`, `url`, `source` where it has them). The iteration throws a `QuernError` for a
 * path that is not there, a named file that is no text (with the byte offset), a bad JSONL line (with its number), and
 * when there is no document at all; it throws the signal's reason when that aborts.
 */
export function readDocuments(
  paths: readonly string[],
  { signal }: { readonly signal?: AbortSignal } = {},
): DocumentReader {
  const skipped: SkippedFile[] = [];
  let files = 0;
  let documents = 0;
  let bytesTotal = 0;
  /** Bytes of the files before the one that is open, and what counts those of that one. */
  let bytesBefore = 0;
  let opened: { readonly bytesRead: number } | undefined;

  async function* read(): AsyncGenerator<Document> {
    if (paths.length === 0) throw new QuernError("no text was given; name a file or a folder", { exitCode: 2 });
    for (const { size } of await listFiles(paths)) bytesTotal += size;
    for (const path of paths) {
      for await (const file of find(path, skipped)) {
        signal?.throwIfAborted();
        let any = false;
        const onOpen = (counter: { readonly bytesRead: number }) => {
          opened = counter;
        };
        for await (const document of readFile(file, signal, skipped, onOpen)) {
          signal?.throwIfAborted();
          any = true;
          documents += 1;
          yield document;
        }
        bytesBefore += opened?.bytesRead ?? 0;
        opened = undefined;
        if (any) files += 1;
      }
    }
    if (documents === 0) throw nothingFound(paths, skipped);
  }
  return {
    skipped,
    get files() {
      return files;
    },
    get documents() {
      return documents;
    },
    get bytesRead() {
      return bytesBefore + (opened?.bytesRead ?? 0);
    },
    get bytesTotal() {
      return bytesTotal;
    },
    [Symbol.asyncIterator]: read,
  };
}

/** The files that `readDocuments` would read, in its order. */
export async function listFiles(
  paths: readonly string[],
): Promise<{ readonly path: string; readonly size: number; readonly modified: number }[]> {
  const files: { path: string; size: number; modified: number }[] = [];
  for (const given of paths) {
    for await (const { path } of find(given, [])) {
      const { size, mtimeMs } = await stat(path).catch((error: unknown) => {
        throw fileError(error, "read", path);
      });
      files.push({ path, size, modified: mtimeMs });
    }
  }
  return files;
}

type OnOpen = (counter: { readonly bytesRead: number }) => void;

function readFile(
  file: Found,
  signal: AbortSignal | undefined,
  skipped: SkippedFile[],
  onOpen: OnOpen,
): AsyncGenerator<Document> {
  if (file.format === "jsonl") return readJsonl(file, signal, onOpen);
  return file.format === "parquet" ? readParquet(file, onOpen) : readText(file, signal, skipped, onOpen);
}

function nothingFound(paths: readonly string[], skipped: readonly SkippedFile[]): QuernError {
  const shown = skipped.slice(0, 3).map(({ path, reason }) => `${path} (${reason})`);
  if (skipped.length > shown.length) shown.push(`and ${skipped.length - shown.length} more`);
  const why = skipped.length === 0 ? "it holds no .txt, .md, .jsonl or .parquet file" : `skipped ${shown.join(", ")}`;
  return new QuernError(`no text in ${paths.join(", ")}: ${why}`, { exitCode: 2 });
}

async function* find(path: string, skipped: SkippedFile[]): AsyncGenerator<Found> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (error) {
    throw fileError(error, "read", path);
  }
  if (!isFolder) {
    // A file that was named is text whatever it is called, unless its name says that it is JSONL.
    const { format, compression } = formatOf(path);
    yield { path, format: format ?? "text", compression, named: true, source: basename(path), id: basename(path) };
    return;
  }
  yield* findIn(path, path, skipped);
}

async function* findIn(folder: string, root: string, skipped: SkippedFile[]): AsyncGenerator<Found> {
  let entries: Awaited<ReturnType<typeof namesIn>>;
  try {
    entries = await namesIn(folder);
  } catch (error) {
    throw fileError(error, "read", folder);
  }
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".")) continue;
    if (entry.isDirectory()) {
      yield* findIn(path, root, skipped);
      continue;
    }
    // A link to a folder may lead back here, so only links to files are followed.
    const isFile = entry.isFile() || (entry.isSymbolicLink() && (await linksToFile(path)));
    const { format, compression } = formatOf(entry.name);
    if (!isFile) skipped.push({ path, reason: "not a regular file" });
    else if (format === undefined) skipped.push({ path, reason: "not a text, Markdown, JSONL or Parquet file" });
    else yield { path, format, compression, named: false, source: basename(root), id: relative(root, path) };
  }
}

async function namesIn(folder: string) {
  const entries = await readdir(folder, { withFileTypes: true });
  // By code unit, so that the order is the same in every locale.
  return entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

async function linksToFile(path: string): Promise<boolean> {
  return stat(path).then(
    (target) => target.isFile(),
    () => false,
  );
}

function formatOf(name: string): {
  readonly format: Format | undefined;
  readonly compression: Compression | undefined;
} {
  const { compression, extension } = packingOf(name);
  if (TEXT_EXTENSIONS.has(extension)) return { format: "text", compression };
  if (JSONL_EXTENSIONS.has(extension)) return { format: "jsonl", compression };
  // Parquet packs its own pages; a packed one could not be read from its end.
  return { format: extension === ".parquet" && compression === undefined ? "parquet" : undefined, compression };
}

async function* readText(
  file: Found,
  signal: AbortSignal | undefined,
  skipped: SkippedFile[],
  onOpen: OnOpen,
): AsyncGenerator<Document> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readBytes(file.path, file.compression, signal, onOpen)) {
    length += chunk.length;
    chunks.push(chunk);
    if (length > LONGEST_TEXT) break;
  }
  const decoded = decodeText(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
  if ("problem" in decoded) {
    const where = `${decoded.problem}, at byte ${decoded.offset}${file.compression ? " of the unpacked text" : ""}`;
    if (file.named) throw new QuernError(`cannot read ${file.path} as text: ${where}`, { exitCode: 2 });
    skipped.push({ path: file.path, reason: where });
  } else if (decoded.text.trim() === "") {
    skipped.push({ path: file.path, reason: "empty" });
  } else {
    yield { text: decoded.text, id: file.id, source: file.source };
  }
}

async function* readJsonl(file: Found, signal: AbortSignal | undefined, onOpen: OnOpen): AsyncGenerator<Document> {
  let rest: Uint8Array[] = [];
  let number = 0;
  for await (const chunk of readBytes(file.path, file.compression, signal, onOpen)) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      rest.push(chunk.subarray(start, end));
      number += 1;
      const document = parseLine(Buffer.concat(rest), file, number);
      if (document !== undefined) yield document;
      rest = [];
      start = end + 1;
    }
    rest.push(chunk.subarray(start));
  }
  const document = parseLine(Buffer.concat(rest), file, number + 1);
  if (document !== undefined) yield document;
}

function parseLine(bytes: Buffer, file: Found, number: number): Document | undefined {
  const wrong = (what: string) => new QuernError(`${file.path}, line ${number}: ${what}`, { exitCode: 2 });
  const decoded = decodeText(bytes);
  if ("problem" in decoded) throw wrong(`${decoded.problem}, at byte ${decoded.offset} of the line`);
  if (decoded.text.trim() === "") return undefined;
  let record: unknown;
  try {
    record = JSON.parse(decoded.text);
  } catch (error) {
    throw wrong(`not valid JSON (${(error as Error).message})`);
  }
  if (typeof record !== "object" || record === null || Array.isArray(record)) throw wrong("must be a JSON object");
  return toDocument(record as Readonly<Record<string, unknown>>, file, number, wrong);
}

async function* readParquet(file: Found, onOpen: OnOpen): AsyncGenerator<Document> {
  let number = 0;
  for await (const row of readParquetRows(file.path, ["text", "id", "url", "source"], "text", onOpen)) {
    number += 1;
    const wrong = (what: string) => new QuernError(`${file.path}, row ${number}: ${what}`, { exitCode: 2 });
    const document = toDocument(row, file, number, wrong);
    if (document !== undefined) yield document;
  }
}

function toDocument(
  record: Readonly<Record<string, unknown>>,
  file: Found,
  number: number,
  wrong: (what: string) => QuernError,
): Document | undefined {
  const { text, id, url, source } = record;
  if (typeof text !== "string") {
    const keys = Object.keys(record).slice(0, 5).join(", ");
    throw wrong(`has no "text" that is a string; its keys are ${keys === "" ? "none" : keys}`);
  }
  if (text.trim() === "") return undefined;
  return {
    text,
    id: ["string", "number", "bigint"].includes(typeof id) ? String(id) : `${file.id}:${number}`,
    ...(typeof url === "string" ? { url } : {}),
    source: typeof source === "string" ? source : file.source,
  };
}
