/**
 * @file Reading documents from files and folders: text, Markdown and JSONL, each plain, gzipped or zstd-packed, and
 * Parquet. A file that was named must be readable; one that was found in a folder and is none of these is skipped and
 * named.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { fileError, QuernError } from "../errors.js";
import {
  type Block,
  documentsOf,
  type LinesBlock,
  type RowsBlock,
  TEXT_PADDING,
  type TextBlock,
  toDocument,
} from "./blocks.js";
import { type Compression, packingOf, readBytes, readShared } from "./compression.js";
import type { Document } from "./document.js";
import { readParquetRows } from "./parquet.js";
import { bufferOf, checkText, isBlank, LONGEST_TEXT } from "./utf8.js";

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
  /** Files that gave documents so far; not counted where blocks are read. */
  readonly files: number;
  /** Documents given so far. */
  readonly documents: number;
  /**
   * The same documents in blocks, instead of the iteration. Whoever parses a block tells how many documents it had by
   * `found`, and in the end calls `end`, which throws if there was none.
   */
  blocks(): AsyncGenerator<Block>;
  found(documents: number): void;
  end(): void;
}

/** Bytes of JSONL, or UTF-16 units of rows, in a block, where a line or row is not longer. */
const BLOCK = 1 << 20;

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
  const memory: TextMemory = { last: undefined };

  async function* blocks(): AsyncGenerator<Block> {
    if (paths.length === 0) throw new QuernError("no text was given; name a file or a folder", { exitCode: 2 });
    for (const { size } of await listFiles(paths)) bytesTotal += size;
    for (const path of paths) {
      for await (const file of find(path, skipped)) {
        signal?.throwIfAborted();
        const onOpen = (counter: { readonly bytesRead: number }) => {
          opened = counter;
        };
        for await (const block of blocksOf(file, signal, skipped, onOpen, memory)) {
          signal?.throwIfAborted();
          yield block;
        }
        bytesBefore += opened?.bytesRead ?? 0;
        opened = undefined;
      }
    }
  }
  function end(): void {
    if (documents === 0) throw nothingFound(paths, skipped);
  }
  async function* read(): AsyncGenerator<Document> {
    let last: Block["file"] | undefined;
    for await (const block of blocks()) {
      for (const document of documentsOf(block)) {
        signal?.throwIfAborted();
        documents += 1;
        if (block.file !== last) files += 1;
        last = block.file;
        yield document;
      }
    }
    end();
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
    blocks,
    found(more) {
      documents += more;
    },
    end,
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

/** Where the last text was read to: the next one may be read over it. */
interface TextMemory {
  last: SharedArrayBuffer | undefined;
}

function blocksOf(
  file: Found,
  signal: AbortSignal | undefined,
  skipped: SkippedFile[],
  onOpen: OnOpen,
  memory: TextMemory,
): AsyncGenerator<Block> {
  if (file.format === "jsonl") return readLines(file, signal, onOpen);
  return file.format === "parquet" ? readParquet(file, onOpen) : readText(file, signal, skipped, onOpen, memory);
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
  memory: TextMemory,
): AsyncGenerator<TextBlock> {
  const whole = await wholeFile(file, signal, onOpen, memory);
  const checked = checkText(whole);
  if ("problem" in checked) {
    const where = `${checked.problem}, at byte ${checked.offset}${file.compression ? " of the unpacked text" : ""}`;
    if (file.named) throw new QuernError(`cannot read ${file.path} as text: ${where}`, { exitCode: 2 });
    skipped.push({ path: file.path, reason: where });
    return;
  }
  const bytes = whole.subarray(checked.start);
  if (isBlank(bytes)) skipped.push({ path: file.path, reason: "empty" });
  else yield { kind: "text", file, bytes };
}

/** A file's bytes, unpacked, with padding behind them; of one that is too long only the beginning. */
async function wholeFile(
  file: Found,
  signal: AbortSignal | undefined,
  onOpen: OnOpen,
  memory: TextMemory,
): Promise<Uint8Array<SharedArrayBuffer>> {
  if (file.compression === undefined) {
    const bytes = await readShared(file.path, LONGEST_TEXT + 1, TEXT_PADDING, memory.last, signal, onOpen);
    memory.last = bytes.buffer;
    return bytes;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readBytes(file.path, file.compression, signal, onOpen)) {
    length += chunk.length;
    chunks.push(chunk);
    if (length > LONGEST_TEXT) break;
  }
  const bytes = new Uint8Array(new SharedArrayBuffer(length + TEXT_PADDING)).subarray(0, length);
  fill(bytes, chunks);
  return bytes;
}

async function* readLines(file: Found, signal: AbortSignal | undefined, onOpen: OnOpen): AsyncGenerator<LinesBlock> {
  let chunks: Uint8Array[] = [];
  let length = 0;
  let firstLine = 1;
  const block = (): LinesBlock => ({ kind: "lines", file, bytes: joined(chunks, length), firstLine });
  for await (const chunk of readBytes(file.path, file.compression, signal, onOpen)) {
    // A block ends with its last line feed; what follows begins the next one.
    const stop = length + chunk.length < BLOCK ? 0 : bufferOf(chunk).lastIndexOf(10) + 1;
    if (stop > 0) {
      chunks.push(chunk.subarray(0, stop));
      length += stop;
      const lines = block();
      // Counted before it is given away: its bytes may leave for another thread.
      firstLine += lineFeeds(lines.bytes);
      yield lines;
      chunks = [];
      length = 0;
    }
    chunks.push(chunk.subarray(stop));
    length += chunk.length - stop;
  }
  if (length > 0) yield block();
}

/** The chunks one behind the other, in memory of their own. */
function joined(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  fill(bytes, chunks);
  return bytes;
}

function fill(bytes: Uint8Array, chunks: readonly Uint8Array[]): void {
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
}

function lineFeeds(block: Uint8Array): number {
  const bytes = bufferOf(block);
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++;
  return count;
}

const ROW = ["text", "id", "url", "source"];

async function* readParquet(file: Found, onOpen: OnOpen): AsyncGenerator<RowsBlock> {
  let number = 0;
  let documents: Document[] = [];
  let units = 0;
  for await (const row of readParquetRows(file.path, { columns: ROW, required: "text", onOpen })) {
    number += 1;
    const wrong = (what: string) => new QuernError(`${file.path}, row ${number}: ${what}`, { exitCode: 2 });
    const document = toDocument(row, file, number, wrong);
    if (document === undefined) continue;
    documents.push(document);
    units += document.text.length;
    if (units >= BLOCK) {
      yield { kind: "rows", file, documents };
      documents = [];
      units = 0;
    }
  }
  if (documents.length > 0) yield { kind: "rows", file, documents };
}
