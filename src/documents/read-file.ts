/**
 * @file One file as blocks: text, JSON lines, JSON, Parquet or a web archive, plain or compressed, as the content says. What
 * cannot be read is left out, counted by its reason, and named.
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
import { type Compression, damageOf, packingOf, readBytes, readShared } from "./compression.js";
import { type Document, isPage } from "./document.js";
import { fetchedFile } from "./fetched.js";
import { type Format, kindOfFile } from "./file-kind.js";
import type { InputFile, OpenFile } from "./inputs.js";
import { asJsonLines } from "./json-lines.js";
import { LONGEST_LINE, LONGEST_PACKED_TEXT } from "./limits.js";
import { BLOCK, type ByteRange, linesOf, openPlain, sourceOf } from "./lines.js";
import { isRemote, type LocationOptions } from "./location.js";
import { type ParquetDamage, readParquetRows } from "./parquet.js";
import { type ReadLog, RefusedDamage, type Skip } from "./read-report.js";
import { checkTextFile, STREAMED_TEXT, textPieces } from "./text-pieces.js";
import { checkText, isBlank, LONGEST_TEXT } from "./utf8.js";

export interface ReadOptions extends LocationOptions {
  /** Counts what is read and left out. */
  readonly log: ReadLog;
  /** The key or column of the text; `a.b` is b in a. Default "text". */
  readonly textField?: string | null;
  /** Keeps what else a line or row says, and its language. Default false. */
  readonly fields?: boolean;
  /** Gives pages as well; without, they are counted as `not_extracted`. Default false. */
  readonly pages?: boolean;
  /** Lines that begin elsewhere are left out. Of files that cannot be read in stretches the first stands for all. */
  readonly range?: ByteRange;
  /** Documents, lines and pages that are longer, in bytes, are left out. Default: the limits of each format. */
  readonly largest?: number;
  /** UTF-16 units; a long text file comes in pieces of about that length at most, and may have any length. */
  readonly longest?: number;
  /** Names bad lines by their numbers instead of their bytes. Default false. */
  readonly countLines?: boolean;
  /** Is given what counts the file's own bytes. */
  readonly onOpen?: (counter: { readonly bytesRead: number }) => void;
  readonly memory?: TextMemory;
}

/** Where the last text was read to: the next one may be read over it. */
export interface TextMemory {
  last: SharedArrayBuffer | undefined;
}

const LARGEST_PAGE = 64 * 2 ** 20;

/** The blocks of a file, which is counted once it is read. Never throws for what is wrong with the input. */
export async function* blocksOf(file: InputFile, options: ReadOptions): AsyncGenerator<Block> {
  const { log, signal, range } = options;
  signal?.throwIfAborted();
  // A file that is read in stretches is counted with its first.
  let isCounted = range !== undefined && range.start > 0;
  const before = log.skippedFiles;
  const blocks = file.kind === "documents" ? documentBlocks(file, options) : archiveBlocks(file, options);
  for await (const block of blocks) {
    signal?.throwIfAborted();
    if (!isCounted) log.files += 1;
    isCounted = true;
    yield block;
  }
  // A file without any document was read all the same.
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
    // Only plain lines can be read in stretches; the first stands for all of another file.
    if (range !== undefined && range.start > 0 && (format !== "lines" || compression !== undefined)) return;
    if (found.format === "text") yield* textBlocks(found, options);
    else if (found.format === "parquet") yield* rowBlocks(found, options);
    else yield* lineBlocks(found, options);
  } catch (error) {
    signal?.throwIfAborted();
    skipFile(file.location, { format, compression }, error, log.skip);
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
    const of = file.compression ? " of the unpacked text" : "";
    return leaveOut(checked.reason, `${checked.problem}, at byte ${checked.offset}${of}`);
  }
  const bytes = whole.subarray(checked.start);
  if (isBlank(bytes)) return leaveOut("empty");
  yield { kind: "text", file: inputOf(file), bytes };
}

const inputOf = ({ location, kind, id, source }: InputFile): InputFile => ({ location, kind, id, source });

/** A file's bytes, decompressed, with padding behind them; undefined for one that is too long. */
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
    if (length > Math.min(largest, LONGEST_PACKED_TEXT)) return undefined;
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
  // Behind damage, the line that it cuts is none.
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

/** What a row without a text counts as towards the size of a block. */
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

/** Tells of damage in a Parquet file. @param row number of the last row that is lost */
export function skipDamage(damage: ParquetDamage, path: string, row: number, skip: Skip): void {
  const { reason, why: detail } = damage;
  if (damage.reason === "damaged_column") skip(reason, `${path}, column ${damage.column}`, { detail });
  else skip(reason, `${path}, up to row ${row}`, { count: damage.rows, detail });
}

/** Reasons that are told apart; an archive may name any number of types. */
const MOST_REASONS = 200;

/** A web archive or an HTML file. Where no pages are wanted, documents are gathered. */
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
    else skipFile(location, packingOf(location), error, log.skip);
  } finally {
    for (const [reason, times] of skipped) log.skip(reason, location, { count: times });
  }
  if (records.length > 0) yield { kind: "records", file, records };
}
