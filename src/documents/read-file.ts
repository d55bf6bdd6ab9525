/**
 * @file Reads one file as blocks: text, JSON lines, JSON, Parquet or a web archive, plain or compressed, detected by content.
 * Unreadable parts are skipped, counted by reason, and reported with their place.
 */
import { stat } from "node:fs/promises";
import { fileError, QuernError } from "../errors.js";
import { archiveRecords, htmlPage } from "./archive-records.js";
import {
  type Block,
  documentFrom,
  type LinesBlock,
  type RecordOptions,
  type RecordsBlock,
  TEXT_PADDING,
  type TextBlock,
} from "./blocks.js";
import { type Compression, compressionByName, damageOf, readBytes, readShared } from "./compression.js";
import { type Document, isPage } from "./document.js";
import { fetchedFile } from "./fetched.js";
import { type Format, kindOfFile } from "./file-kind.js";
import type { InputFile, OpenFile } from "./inputs.js";
import { asJsonLines } from "./json-lines.js";
import { LONGEST_COMPRESSED_TEXT, LONGEST_LINE } from "./limits.js";
import { BLOCK, type ByteRange, linesOf, openPlain, sourceOf } from "./lines.js";
import { isRemote, type LocationOptions } from "./location.js";
import { type ParquetDamage, readParquetRows } from "./parquet.js";
import { type ReadLog, RefusedDamage, type Skip } from "./read-report.js";
import { checkTextFile, STREAMED_TEXT, textPieces } from "./text-pieces.js";
import { checkText, isBlank, LONGEST_TEXT } from "./utf8.js";

export interface ReadOptions extends LocationOptions {
  /** Counts what is read and skipped. */
  readonly log: ReadLog;
  /** Key or column that contains the text; `a.b` is b in a. Default "text". */
  readonly textField?: string | null;
  /** Whether to keep the language and other values of a line or row. Default false. */
  readonly fields?: boolean;
  /** Whether to yield pages too; otherwise they are counted as `not_extracted`. Default false. */
  readonly pages?: boolean;
  /** Reads only lines that begin in this range. A file that cannot be divided is read as a whole with its first range. */
  readonly range?: ByteRange;
  /** Longest document, line or page in bytes; longer ones are skipped. Default: the limits of each format. */
  readonly largest?: number;
  /** UTF-16 units. If set, text files may have any length; long ones come in pieces of at most about this length. */
  readonly longest?: number;
  /** Reports bad lines by line number instead of byte offset. Default false. */
  readonly countLines?: boolean;
  /** Called with a counter of the bytes read from disk. */
  readonly onOpen?: (counter: { readonly bytesRead: number }) => void;
  readonly memory?: TextMemory;
}

/** The buffer of the last text file, which the next one may overwrite. */
export interface TextMemory {
  last: SharedArrayBuffer | undefined;
}

const LARGEST_PAGE = 64 * 2 ** 20;

/** Yields the blocks of a file, and counts the file once. Never throws for faulty input. */
export async function* blocksOf(file: InputFile, options: ReadOptions): AsyncGenerator<Block> {
  const { log, signal, range } = options;
  signal?.throwIfAborted();
  // A file that is read in ranges is counted with its first range.
  let isCounted = range !== undefined && range.start > 0;
  const before = log.skippedFiles;
  const blocks = file.kind === "documents" ? documentBlocks(file, options) : archiveBlocks(file, options);
  for await (const block of blocks) {
    signal?.throwIfAborted();
    if (!isCounted) log.files += 1;
    isCounted = true;
    yield block;
  }
  // A file without documents still counts as read.
  if (!isCounted && file.kind === "documents" && log.skippedFiles === before) log.files += 1;
}

async function* documentBlocks(file: InputFile, options: ReadOptions): AsyncGenerator<Block> {
  const { log, signal, range } = options;
  let format: Format | undefined;
  let compression: Compression | undefined;
  try {
    const path = isRemote(file.location) ? await fetchedFile(file.location, options) : file.location;
    ({ format, compression } = await kindOfFile(path, { signal }));
    const found: OpenFile = { ...file, path, format: format ?? "text", compression };
    // Only plain lines can be read in ranges; other files are read as a whole with the first range.
    if (range !== undefined && range.start > 0 && (format !== "lines" || compression !== undefined)) return;
    if (found.format === "text") yield* textBlocks(found, options);
    else if (found.format === "parquet") yield* rowBlocks(found, options);
    else yield* lineBlocks(found, options);
  } catch (error) {
    signal?.throwIfAborted();
    skipFile(file.location, { format, compression }, error, log.skip);
  }
}

/** Reports the error for which a file, or its rest, is skipped. @throws the error if it is not about the file */
export function skipFile(
  path: string,
  { format, compression }: { readonly format?: Format; readonly compression?: Compression },
  error: unknown,
  skip: Skip,
): void {
  const failure = fileError(error, "read", path);
  if (!(failure instanceof QuernError) || failure instanceof RefusedDamage) throw failure;
  const detail = failure.message.replace(path, "").replace(/^[ :,]+/, "");
  skip(reasonOf(failure, format, compression), path, { detail, isFile: true });
}

function reasonOf(error: QuernError, format: Format | undefined, compression: Compression | undefined): string {
  if (error.cause instanceof Error && "syscall" in error.cause) return "unreadable";
  if (compression !== undefined && damageOf(error.cause) !== undefined) return `damaged_${compression}`;
  if (format !== "parquet") return "unreadable";
  // Exit code 2: the call named a wrong column.
  return error.exitCode === 2 ? "no_text" : "damaged_parquet";
}

/** A text file is one document. */
async function* textBlocks(file: OpenFile, options: ReadOptions): AsyncGenerator<TextBlock | RecordsBlock<Document>> {
  const { skip } = options.log;
  const leaveOut = (reason: string, detail?: string) =>
    skip(reason, file.location, { detail, id: file.id, isFile: true });
  const { largest, longest, signal } = options;
  if (longest !== undefined && (file.compression !== undefined || (await stat(file.path)).size > STREAMED_TEXT)) {
    const wrong = await checkTextFile(file, signal);
    if (wrong !== undefined) return leaveOut(wrong.reason, wrong.detail);
    const own = inputOf(file);
    let isContinued = false;
    for await (const piece of textPieces(file, longest, options)) {
      yield { kind: "records", file: own, records: [piece], isContinued };
      isContinued = true;
    }
    return;
  }
  const whole = await wholeFile(file, options);
  if (whole === undefined || (largest !== undefined && whole.length > largest)) {
    return leaveOut("file_too_long", largest === undefined ? undefined : `more than ${largest} bytes`);
  }
  const checked = checkText(whole);
  if ("problem" in checked) {
    const of = file.compression ? " of the decompressed text" : "";
    return leaveOut(checked.reason, `${checked.problem}, at byte ${checked.offset}${of}`);
  }
  const bytes = whole.subarray(checked.start);
  if (isBlank(bytes)) return leaveOut("empty");
  yield { kind: "text", file: inputOf(file), bytes };
}

const inputOf = ({ location, kind, id, source }: InputFile): InputFile => ({ location, kind, id, source });

/** Reads a file's decompressed bytes, followed by padding; undefined if it is too long. */
async function wholeFile(
  file: OpenFile,
  { signal, onOpen, largest = LONGEST_TEXT, memory = { last: undefined } }: ReadOptions,
): Promise<Uint8Array<SharedArrayBuffer> | undefined> {
  if (file.compression === undefined) {
    const most = Math.min(largest, LONGEST_TEXT);
    const bytes = await readShared(file.path, most + 1, TEXT_PADDING, memory.last, signal, onOpen);
    memory.last = bytes.buffer;
    return bytes.length > most ? undefined : bytes;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readBytes(file.path, file.compression, signal, onOpen)) {
    length += chunk.length;
    if (length > Math.min(largest, LONGEST_COMPRESSED_TEXT)) return undefined;
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(new SharedArrayBuffer(length + TEXT_PADDING)).subarray(0, length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

const recordOptions = ({ textField = "text", fields = false, largest }: ReadOptions): RecordOptions => ({
  ...{ textField, fields },
  largest: Math.min(largest ?? LONGEST_LINE, LONGEST_LINE),
});

async function* lineBlocks(file: OpenFile, options: ReadOptions): AsyncGenerator<LinesBlock> {
  const { signal, onOpen, log, countLines } = options;
  const { format, compression, location, path } = file;
  const isPlain = format === "lines" && compression === undefined;
  const range = isPlain ? options.range : undefined;
  const record = recordOptions(options);
  // The line in which the damage begins is dropped.
  let isDamaged = false;
  async function* decompressed(): AsyncGenerator<Buffer> {
    try {
      yield* readBytes(path, compression, signal, onOpen);
    } catch (error) {
      signal?.throwIfAborted();
      isDamaged = true;
      skipFile(location, file, error, log.skip);
    }
  }
  const source = isPlain
    ? await openPlain(path, Math.max(0, (range?.start ?? 0) - 1), signal, onOpen)
    : sourceOf(format === "json" ? asJsonLines(decompressed()) : decompressed());
  const tooLong = (byte: number, line: number | undefined) =>
    log.skip("line_too_long", `${location}, ${line === undefined ? `byte ${byte}` : `line ${line}`}`, {
      detail: `more than ${record.largest} bytes`,
    });
  try {
    const lines = linesOf(source, {
      ...{ range, largest: record.largest, counted: countLines, tooLong },
      isDamaged: () => isDamaged,
    });
    for await (const block of lines) yield { kind: "lines", file: inputOf(file), options: record, ...block };
  } finally {
    await source.close();
  }
}

/** Units that a row without text adds to the size of a block. */
const ROW_UNITS = 4096;

async function* rowBlocks(file: OpenFile, options: ReadOptions): AsyncGenerator<RecordsBlock<Document>> {
  const { signal, log, onOpen, largest, fields, textField = "text" } = options;
  const { location, path, compression } = file;
  const own = inputOf(file);
  let row = 0;
  let records: Document[] = [];
  let units = 0;
  const onDamage = (damage: ParquetDamage) => {
    if (damage.reason !== "damaged_column") row += damage.rows;
    skipDamage(damage, location, row, log.skip);
  };
  const columns = fields || textField === null ? undefined : ["id", "url", "source", "origin"];
  const rows = readParquetRows(path, { columns, required: textField, compression, signal, onOpen, onDamage });
  for await (const value of rows) {
    row += 1;
    const where = `${location}, row ${row}`;
    const place = { number: row, origin: { archive: location, row }, where: () => where };
    const document = documentFrom(value, own, place, { textField, fields: fields ?? false });
    if ("reason" in document) log.skip(document.reason, where, { detail: document.detail, id: document.id });
    else if (largest !== undefined && Buffer.byteLength(document.text) > largest) {
      log.skip("text_too_long", where, { detail: `more than ${largest} bytes`, id: document.id });
    } else {
      records.push(document);
      units += textField === null ? ROW_UNITS : document.text.length;
    }
    if (units < BLOCK) continue;
    yield { kind: "records", file: own, records, isRows: true };
    records = [];
    units = 0;
  }
  if (records.length > 0) yield { kind: "records", file: own, records, isRows: true };
}

/** Reports damage in a Parquet file. @param row number of the last lost row */
export function skipDamage(damage: ParquetDamage, path: string, row: number, skip: Skip): void {
  const { reason, why: detail } = damage;
  if (damage.reason === "damaged_column") skip(reason, `${path}, column ${damage.column}`, { detail });
  else skip(reason, `${path}, up to row ${row}`, { count: damage.rows, detail });
}

/** Number of reasons that are counted separately; an archive may contain any number of types. */
const MOST_REASONS = 200;

/** Reads a web archive or an HTML file. Without `pages`, documents are gathered into larger blocks. */
async function* archiveBlocks(file: InputFile, options: ReadOptions): AsyncGenerator<RecordsBlock> {
  const { log, signal, largest = LARGEST_PAGE, pages } = options;
  const { location } = file;
  const skipped = new Map<string, number>();
  const count = (reason: string, times: number) => {
    const name = skipped.has(reason) || skipped.size < MOST_REASONS ? reason : "(others)";
    skipped.set(name, (skipped.get(name) ?? 0) + times);
  };
  const reading = { ...options, largest, count };
  let records: Document[] = [];
  let units = 0;
  try {
    if (file.kind === "html") {
      const page = await htmlPage(file, reading);
      if (page !== undefined) yield { kind: "records", file, records: [page] };
      return;
    }
    for await (const record of archiveRecords(file, reading)) {
      if (pages) yield { kind: "records", file, records: [record] };
      else if (isPage(record)) log.skip("not_extracted", location, { id: record.id });
      else if (record.text.trim() === "") log.skip("empty", location, { id: record.id });
      else {
        records.push(record);
        units += record.text.length;
      }
      if (units < BLOCK) continue;
      yield { kind: "records", file, records };
      records = [];
      units = 0;
    }
  } catch (error) {
    signal?.throwIfAborted();
    if (!(error instanceof QuernError) || error instanceof RefusedDamage) throw error;
    if (file.kind === "archive" && !isRemote(location))
      log.skip("damaged_archive", location, { detail: error.message.replace(location, "").trim() });
    else skipFile(location, compressionByName(location), error, log.skip);
  } finally {
    for (const [reason, times] of skipped) log.skip(reason, location, { count: times });
  }
  if (records.length > 0) yield { kind: "records", file, records };
}
