/**
 * @file Reading documents from files and folders: text, JSON lines, JSON and Parquet, plain or compressed, as their content says.
 * What cannot be read is left out, counted by its reason, and named.
 */
import { stat } from "node:fs/promises";
import { basename, relative } from "node:path";
import { fileError, QuernError } from "../errors.js";
import {
  type Block,
  type BlockFile,
  documentsOf,
  type LinesBlock,
  type RowsBlock,
  TEXT_PADDING,
  type TextBlock,
  toDocument,
} from "./blocks.js";
import { type Compression, damageOf, readBytes, readShared } from "./compression.js";
import type { Document } from "./document.js";
import { type Format, kindOfFile, mayHoldDocuments } from "./file-kind.js";
import { filesUnder, isFolder } from "./files.js";
import { asJsonLines } from "./json-lines.js";
import { LONGEST_LINE, LONGEST_PACKED_TEXT } from "./limits.js";
import { type ParquetDamage, readParquetRows } from "./parquet.js";
import { nothingRead, ReadLog, type ReadReport, RefusedDamage, type Skip } from "./read-report.js";
import { bufferOf, checkText, isBlank, LONGEST_TEXT } from "./utf8.js";

/** How far the reading of files has come, in bytes as they lie on the disk: what a time left is reckoned by. */
export interface ReadBytes {
  readonly bytesRead: number;
  /** Of all files together; known once the reading has begun. */
  readonly bytesTotal: number;
}

export interface ReadDocumentsOptions {
  /** The key or column of the text; `a.b` is b in a. Default "text". */
  readonly textField?: string;
  /** The first damage is an error. */
  readonly strict?: boolean;
  readonly signal?: AbortSignal;
}

/** Documents one at a time, in the order of the paths given and of the names in folders. Iterate once. */
export interface DocumentReader extends AsyncIterable<Document>, ReadBytes {
  /** What was read and what was left out; complete when the iteration has ended. */
  readonly report: ReadReport;
  /** Documents given so far. */
  readonly documents: number;
  /**
   * The same documents in blocks, instead of the iteration. Whoever parses a block tells how many documents it had by
   * `found`, and what it left out by `skip`; in the end it calls `end`, which throws if there was no document.
   */
  blocks(): AsyncGenerator<Block>;
  found(documents: number): void;
  readonly skip: Skip;
  /** Adds what another thread left out. */
  merge(report: ReadReport): void;
  end(): void;
}

/** Bytes of JSONL, or UTF-16 units of rows, in a block, where a line or row is not longer. */
const BLOCK = 1 << 20;

interface Found extends BlockFile {
  readonly format: Format;
  readonly compression: Compression | undefined;
}

/**
 * Reads files and folders. A text or Markdown file is one document; a line of JSONL, an element of a JSON array or a row of
 * Parquet is one (`text`, or what `textField` names, and `id`, `url`, `source` where it has them). The iteration throws a
 * `QuernError` for a path that is not there, for damage with `strict`, and when there is no document at all; it throws the
 * signal's reason when that aborts.
 */
export function readDocuments(paths: readonly string[], options: ReadDocumentsOptions = {}): DocumentReader {
  const { textField = "text", strict, signal } = options;
  const log = new ReadLog({ strict });
  let bytesTotal = 0;
  /** Bytes of the files before the one that is open, and what counts those of that one. */
  let bytesBefore = 0;
  let opened: { readonly bytesRead: number } | undefined;
  const memory: TextMemory = { last: undefined };

  async function* blocks(): AsyncGenerator<Block> {
    if (paths.length === 0) throw new QuernError("no text was given; name a file or a folder", { exitCode: 2 });
    for (const { size } of await listFiles(paths)) bytesTotal += size;
    for (const path of paths) {
      for await (const file of find(path, log.skip)) {
        signal?.throwIfAborted();
        const onOpen = (counter: { readonly bytesRead: number }) => {
          opened = counter;
        };
        const context = { textField, signal, skip: log.skip, onOpen, memory };
        let isRead = false;
        for await (const block of blocksOf(file, context)) {
          signal?.throwIfAborted();
          if (block.kind === "text") log.texts += 1;
          if (!isRead) log.files += 1;
          isRead = true;
          yield block;
        }
        bytesBefore += opened?.bytesRead ?? 0;
        opened = undefined;
      }
    }
  }
  function end(): void {
    if (log.documents === 0) throw nothingRead(paths, log.report);
  }
  async function* read(): AsyncGenerator<Document> {
    for await (const block of blocks()) {
      for (const document of documentsOf(block, log.skip)) {
        signal?.throwIfAborted();
        log.documents += 1;
        yield document;
      }
    }
    end();
  }
  return {
    get report() {
      return log.report;
    },
    get documents() {
      return log.documents;
    },
    get bytesRead() {
      return bytesBefore + (opened?.bytesRead ?? 0);
    },
    get bytesTotal() {
      return bytesTotal;
    },
    blocks,
    found(more) {
      log.documents += more;
    },
    skip: log.skip,
    merge: (report) => log.merge(report),
    end,
    [Symbol.asyncIterator]: read,
  };
}

/** The files that `readDocuments` would look into, in its order. */
export async function listFiles(
  paths: readonly string[],
): Promise<{ readonly path: string; readonly size: number; readonly modified: number }[]> {
  const files: { path: string; size: number; modified: number }[] = [];
  for (const given of paths) {
    for await (const { path } of find(given, () => {})) {
      const { size, mtimeMs } = await stat(path).catch((error: unknown) => {
        throw fileError(error, "read", path);
      });
      files.push({ path, size, modified: mtimeMs });
    }
  }
  return files;
}

interface FoundFile extends BlockFile {
  /** True when the caller named this very file: then it is text whatever it is called. */
  readonly named: boolean;
}

async function* find(path: string, skip: Skip): AsyncGenerator<FoundFile> {
  if (!(await isFolder(path))) {
    yield { path, named: true, source: basename(path), id: basename(path) };
    return;
  }
  for await (const found of filesUnder(path, skip)) {
    if (mayHoldDocuments(basename(found))) {
      yield { path: found, named: false, source: basename(path), id: relative(path, found) };
    } else skip("other_kind", found);
  }
}

/** Where the last text was read to: the next one may be read over it. */
interface TextMemory {
  last: SharedArrayBuffer | undefined;
}

interface Context {
  readonly textField: string;
  readonly signal: AbortSignal | undefined;
  readonly skip: Skip;
  readonly onOpen: (counter: { readonly bytesRead: number }) => void;
  readonly memory: TextMemory;
}

/** The blocks of a file; what is wrong with it is told by `skip`. */
async function* blocksOf(file: FoundFile, context: Context): AsyncGenerator<Block> {
  const { skip, signal, textField } = context;
  const { path, named } = file;
  let format: Format | undefined;
  let compression: Compression | undefined;
  try {
    const key = named ? undefined : textField;
    ({ format, compression } = await kindOfFile(path, { key, signal }));
    if (format === undefined && !named) return skip("other_kind", path);
    const found: Found = { ...file, format: format ?? "text", compression };
    if (found.format === "text") yield* readText(found, context);
    else if (found.format === "parquet") yield* readParquet(found, context);
    else yield* readLines(found, context);
  } catch (error) {
    signal?.throwIfAborted();
    skipFile(path, { format, compression }, error, skip);
  }
}

/** Tells of an error for which a file, or its rest, is left out. @throws what is no error of a file */
export function skipFile(
  path: string,
  { format, compression }: { readonly format?: Format; readonly compression?: Compression },
  error: unknown,
  skip: Skip,
): void {
  const told = fileError(error, "read", path);
  if (!(told instanceof QuernError) || told instanceof RefusedDamage) throw told;
  const detail = told.message.replace(path, "").replace(/^[ :,]+/, "");
  skip(reasonOf(told, format, compression), path, { detail, isFile: true });
}

function reasonOf(error: QuernError, format: Format | undefined, compression: Compression | undefined): string {
  if (error.cause instanceof Error && "syscall" in error.cause) return "unreadable";
  if (compression !== undefined && damageOf(error.cause) !== undefined) return `damaged_${compression}`;
  if (format !== "parquet") return "unreadable";
  // A column that is named wrongly is the call's fault.
  return error.exitCode === 2 ? "no_text" : "damaged_parquet";
}

async function* readText(file: Found, context: Context): AsyncGenerator<TextBlock> {
  const { skip } = context;
  const whole = await wholeFile(file, context);
  if (whole === undefined) return skip("file_too_long", file.path);
  const checked = checkText(whole);
  if ("problem" in checked) {
    const where = `${checked.problem}, at byte ${checked.offset}${file.compression ? " of the unpacked text" : ""}`;
    return skip(checked.reason, file.path, { detail: where });
  }
  const bytes = whole.subarray(checked.start);
  if (isBlank(bytes)) skip("empty", file.path);
  else yield { kind: "text", file, bytes };
}

/** A file's bytes, unpacked, with padding behind them; undefined for one that is too long. */
async function wholeFile(
  file: Found,
  { signal, onOpen, memory }: Context,
): Promise<Uint8Array<SharedArrayBuffer> | undefined> {
  if (file.compression === undefined) {
    const bytes = await readShared(file.path, LONGEST_TEXT + 1, TEXT_PADDING, memory.last, signal, onOpen);
    memory.last = bytes.buffer;
    return bytes.length > LONGEST_TEXT ? undefined : bytes;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readBytes(file.path, file.compression, signal, onOpen)) {
    length += chunk.length;
    if (length > LONGEST_PACKED_TEXT) return undefined;
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(new SharedArrayBuffer(length + TEXT_PADDING)).subarray(0, length);
  fill(bytes, chunks);
  return bytes;
}

async function* readLines(file: Found, { signal, skip, onOpen, textField }: Context): AsyncGenerator<LinesBlock> {
  let chunks: Uint8Array[] = [];
  let length = 0;
  let firstLine = 1;
  /** Inside a line that is too long. */
  let isSkipping = false;
  const block = (): LinesBlock => ({ kind: "lines", file, bytes: joined(chunks, length), firstLine, textField });
  function* wholeLines(): Generator<LinesBlock> {
    const { bytes, ...lines } = block();
    const end = bufferOf(bytes).lastIndexOf(10) + 1;
    if (end > 0) yield { ...lines, bytes: bytes.slice(0, end) };
  }
  const start = () => {
    chunks = [];
    length = 0;
  };
  // Behind damage, the line that it cuts is none.
  const state = { isDamaged: false };
  const source = untilDamage(
    file.path,
    file,
    readBytes(file.path, file.compression, signal, onOpen),
    skip,
    signal,
    state,
  );
  for await (const read of file.format === "json" ? asJsonLines(source) : source) {
    let chunk: Uint8Array = read;
    if (isSkipping) {
      const end = bufferOf(chunk).indexOf(10) + 1;
      if (end === 0) continue;
      isSkipping = false;
      firstLine += 1;
      chunk = chunk.subarray(end);
    }
    // A block ends with its last line feed; what follows begins the next one.
    const stop = length + chunk.length < BLOCK ? 0 : bufferOf(chunk).lastIndexOf(10) + 1;
    if (stop > 0) {
      chunks.push(chunk.subarray(0, stop));
      length += stop;
      const lines = block();
      // Counted before it is given away: its bytes may leave for another thread.
      firstLine += lineFeeds(lines.bytes);
      yield lines;
      start();
    }
    chunks.push(chunk.subarray(stop));
    length += chunk.length - stop;
    if (length > LONGEST_LINE) {
      for (const lines of wholeLines()) {
        firstLine += lineFeeds(lines.bytes);
        yield lines;
      }
      skip("line_too_long", `${file.path}, line ${firstLine}`, { detail: `more than ${LONGEST_LINE >> 20} MiB` });
      start();
      isSkipping = true;
    }
  }
  if (length > 0 && !state.isDamaged) yield block();
  else if (state.isDamaged) yield* wholeLines();
}

/** The bytes of a file up to damage, which is reported to `skip` and noted in `state`. */
export async function* untilDamage(
  path: string,
  kind: Parameters<typeof skipFile>[1],
  bytes: AsyncIterable<Buffer>,
  skip: Skip,
  signal: AbortSignal | undefined,
  state: { isDamaged: boolean },
): AsyncGenerator<Buffer> {
  try {
    yield* bytes;
  } catch (error) {
    signal?.throwIfAborted();
    state.isDamaged = true;
    skipFile(path, kind, error, skip);
  }
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

const ROW = ["id", "url", "source", "origin"];

async function* readParquet(file: Found, { signal, skip, onOpen, textField }: Context): AsyncGenerator<RowsBlock> {
  let number = 0;
  let documents: Document[] = [];
  let units = 0;
  const onDamage = (damage: ParquetDamage) => {
    if (damage.reason !== "damaged_column") number += damage.rows;
    skipDamage(damage, file.path, number, skip);
  };
  const { compression } = file;
  for await (const row of readParquetRows(file.path, {
    columns: ROW,
    required: textField,
    compression,
    signal,
    onOpen,
    onDamage,
  })) {
    number += 1;
    const document = toDocument(row, { file, number, unit: "row", textField }, skip);
    if (document === undefined) continue;
    documents.push(document);
    units += document.text.length;
    if (units >= BLOCK) {
      yield { kind: "rows", file, documents };
      documents = [];
      units = 0;
    }
  }
  yield { kind: "rows", file, documents };
}

/** Tells of damage in a Parquet file. @param row number of the last row that is lost */
export function skipDamage(damage: ParquetDamage, path: string, row: number, skip: Skip): void {
  const { reason, why: detail } = damage;
  if (damage.reason === "damaged_column") skip(reason, `${path}, column ${damage.column}`, { detail });
  else skip(reason, `${path}, up to row ${row}`, { count: damage.rows, detail });
}
