/**
 * @file What holds documents already, as records: JSONL by its lines, Parquet by its rows, a text file as one. What cannot
 * be read is counted by its reason and the rest goes on: bytes that are not UTF-8, NULs, lines without end, broken JSON.
 */
import { closeSync, openSync, readSync } from "node:fs";
import {
  asJsonLines,
  type Compression,
  checkText,
  type Format,
  fieldAt,
  kindOfFile,
  LONGEST_LINE,
  type ParquetDamage,
  parseJsonLine,
  parseJsonText,
  type ReadLog,
  readBytes,
  readParquetRows,
  skipDamage,
  skipFile,
  textOf,
  untilDamage,
  wrongBytes,
} from "../documents/index.js";
import type { Page } from "./page.js";

/** A document as its file has it, with what else its line says. */
export interface TextRecord extends Page {
  readonly content: { readonly kind: "text"; readonly text: string };
  readonly language?: string;
  /** Other fields of a JSONL line or columns of a Parquet row, which are kept. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Its text was taken by `take`: `content` has none. */
  readonly taken?: boolean;
}

/** A stretch of a plain JSONL file: the lines that begin at these bytes. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Takes the text out of a JSON line of valid UTF-8, so that it need not become a string; undefined where it cannot. */
export type TakeText = (
  line: Uint8Array,
) => { readonly from: number; readonly to: number; readonly blank: boolean } | undefined;

export interface ReadOptions {
  readonly range?: ByteRange;
  /** Longer documents, lines and pages are left out, in bytes. */
  readonly largest: number;
  /** The key or column of the text; `a.b` is b in a. Default "text". */
  readonly textField?: string;
  readonly signal?: AbortSignal;
  /** Is offered the lines of JSONL files; what it took is the record's that comes next. */
  readonly take?: TakeText;
  /** Counts what is read and left out. */
  readonly log: ReadLog;
}

/** The documents of a file at `path`, in order; the log hears of what cannot be read. */
export async function* documentRecords(part: FilePart, path: string, options: ReadOptions): AsyncGenerator<TextRecord> {
  const { log, signal, range } = options;
  let format: Format | undefined;
  let compression: Compression | undefined;
  try {
    const found = await kindOfFile(path, { signal });
    ({ compression } = found);
    format = found.format ?? "text";
    const file = { ...part, path, format, compression };
    // Only plain lines can be read in stretches; the first stands for all of another file.
    if (range !== undefined && range.start > 0 && (format !== "lines" || compression !== undefined)) return;
    if (format === "parquet") yield* rows(file, options);
    else if (format === "text") yield* wholeText(file, options);
    else yield* jsonl(file, options);
  } catch (error) {
    signal?.throwIfAborted();
    skipFile(part.location, { format, compression }, error, log.skip);
  }
}

/** What documents of a file are told by where they do not say it themselves. */
interface FilePart {
  readonly location: string;
  readonly id: string;
  readonly source: string;
}

interface OpenFile extends FilePart {
  /** Where it lies on this disk. */
  readonly path: string;
  readonly format: Format;
  readonly compression: Compression | undefined;
}

async function* jsonl(file: OpenFile, options: ReadOptions): AsyncGenerator<TextRecord> {
  const { skip } = options.log;
  for await (const { bytes, offset } of linesOf(file, options)) {
    options.signal?.throwIfAborted();
    const record = recordOf(bytes, offset, file, options);
    if (record !== undefined && "reason" in record) {
      skip(record.reason, `${file.location}, byte ${offset}`, record);
    } else if (record !== undefined) yield record;
  }
}

interface Line {
  readonly bytes: Buffer;
  /** From the start of the (unpacked) file. */
  readonly offset: number;
}

/** Bytes that are read at once. */
const CHUNK = 1 << 18;

/** A plain file's bytes from one on, always in the same memory: new memory for each piece would keep the garbage collector busy. */
function* chunksOf(path: string, from: number): Generator<Buffer> {
  const file = openSync(path, "r");
  try {
    const chunk = Buffer.allocUnsafeSlow(CHUNK);
    for (let at = from; ; ) {
      const read = readSync(file, chunk, 0, CHUNK, at);
      if (read === 0) return;
      yield chunk.subarray(0, read);
      at += read;
    }
  } finally {
    closeSync(file);
  }
}

/** Lines by their bytes, each valid until the next; of one that is too long nothing is kept but the reason. */
async function* linesOf(file: OpenFile, options: ReadOptions): AsyncGenerator<Line> {
  const { path, format, compression, location } = file;
  const { signal, log } = options;
  const plain = format === "lines" && compression === undefined;
  const range = plain ? options.range : undefined;
  const largest = Math.min(options.largest, LONGEST_LINE);
  const tooLong = (at: number) =>
    log.skip("line_too_long", `${location}, byte ${at}`, { detail: `more than ${largest} bytes` });
  // A line belongs to the range in which it begins, so reading starts one byte early, at what may be the line end before it.
  const from = range === undefined || range.start === 0 ? 0 : range.start - 1;
  const end = range?.end ?? Number.POSITIVE_INFINITY;
  // Behind damage, the line that it cuts is none.
  const state = { isDamaged: false };
  const unpacked = () =>
    untilDamage(file.location, file, readBytes(path, compression, signal), log.skip, signal, state);
  const source = plain ? chunksOf(path, from) : format === "json" ? asJsonLines(unpacked()) : unpacked();
  let position = from;
  let begun = from === 0;
  let parts: Buffer[] = [];
  let length = 0;
  let lineStart = from;
  for await (const chunk of source) {
    let at = 0;
    for (;;) {
      // A small packed file may hold a billion empty lines.
      if (begun && length === 0 && chunk[at] === 10) {
        while (chunk[at] === 10) at += 1;
        lineStart = position + at;
        if (lineStart >= end) return;
      }
      const stop = chunk.indexOf(10, at);
      if (stop < 0) break;
      const rest = chunk.subarray(at, stop);
      if (!begun) begun = true;
      else if (length + rest.length > largest) tooLong(lineStart);
      else yield { bytes: parts.length === 0 ? rest : Buffer.concat([...parts, rest]), offset: lineStart };
      parts = [];
      length = 0;
      at = stop + 1;
      lineStart = position + at;
      if (lineStart >= end) return;
    }
    const rest = chunk.subarray(at);
    length += rest.length;
    if (length <= largest && begun) parts.push(Buffer.from(rest));
    else parts = [];
    position += chunk.length;
  }
  if (!begun || length === 0 || state.isDamaged) return;
  if (length > largest) tooLong(lineStart);
  else yield { bytes: Buffer.concat(parts), offset: lineStart };
}

/** Why there is no document. */
interface Unread {
  readonly reason: string;
  readonly detail?: string;
  readonly id?: string;
}

/** The document of a line; undefined for an empty line, the reason for one that is none. */
function recordOf(
  bytes: Buffer,
  offset: number,
  part: FilePart,
  { take, textField = "text" }: ReadOptions,
): TextRecord | Unread | undefined {
  const taken = textField === "text" && wrongBytes(bytes) === undefined ? take?.(bytes) : undefined;
  const parsed =
    taken === undefined
      ? parseJsonLine(bytes)
      : parseJsonText(`${textOf(bytes.subarray(0, taken.from))}""${textOf(bytes.subarray(taken.to))}`);
  if (parsed === undefined || "reason" in parsed) return parsed;
  return recordWith(parsed.value, offset, part, textField, taken?.blank);
}

/**
 * @param offset byte of the line, or number of the row from 1
 * @param blank whether the text is that was taken
 */
function recordWith(
  value: Readonly<Record<string, unknown>>,
  offset: number,
  part: FilePart,
  textField: string,
  blank?: boolean,
): TextRecord | Unread {
  const { text: _, [textField]: __, id, url, source, language, ...fields } = value;
  const text = fieldAt(value, textField);
  const own = typeof id === "string" || typeof id === "number" ? String(id) : undefined;
  const named = own === undefined ? {} : { id: own };
  if (typeof text !== "string") {
    const keys = Object.keys(value).slice(0, 5).join(", ");
    const detail = `has no "${textField}" that is a string; its keys are ${keys === "" ? "none" : keys}`;
    return { reason: "no_text", detail, ...named };
  }
  if (blank ?? text.trim() === "") return { reason: "empty", ...named };
  return {
    id: own ?? `${part.id}:${offset}`,
    ...(typeof url === "string" ? { url } : {}),
    source: typeof source === "string" ? source : part.source,
    ...(typeof language === "string" && language !== "" ? { language } : {}),
    origin: { archive: part.location, offset },
    content: { kind: "text", text },
    ...(Object.keys(fields).length > 0 ? { fields } : {}),
    ...(blank === undefined ? {} : { taken: true }),
  };
}

async function* rows(
  file: OpenFile,
  { largest, textField = "text", signal, log }: ReadOptions,
): AsyncGenerator<TextRecord> {
  let number = 0;
  const onDamage = (damage: ParquetDamage) => {
    if (damage.reason !== "damaged_column") number += damage.rows;
    skipDamage(damage, file.location, number, log.skip);
  };
  const { compression } = file;
  for await (const row of readParquetRows(file.path, { required: textField, compression, signal, onDamage })) {
    signal?.throwIfAborted();
    number += 1;
    const record = recordWith(row, number, file, textField);
    const where = `${file.location}, row ${number}`;
    if ("reason" in record) log.skip(record.reason, where, record);
    else if (Buffer.byteLength(record.content.text) > largest) {
      log.skip("text_too_long", where, { detail: `more than ${largest} bytes`, id: record.id });
    } else yield record;
  }
}

/** A text file is one document. */
async function* wholeText(file: OpenFile, { largest, signal, log }: ReadOptions): AsyncGenerator<TextRecord> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of readBytes(file.path, file.compression, signal)) {
    length += chunk.length;
    if (length > largest) {
      return log.skip("file_too_long", file.location, {
        detail: `more than ${largest} bytes`,
        id: file.id,
        isFile: true,
      });
    }
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const checked = checkText(bytes);
  if ("problem" in checked) {
    const detail = `${checked.problem}, at byte ${checked.offset}`;
    return log.skip(checked.reason, file.location, { detail, id: file.id, isFile: true });
  }
  const text = textOf(bytes.subarray(checked.start));
  if (text.trim() === "") return log.skip("empty", file.location, { id: file.id, isFile: true });
  log.texts += 1;
  yield {
    id: file.id,
    source: file.source,
    origin: { archive: file.location, offset: 0 },
    content: { kind: "text", text },
  };
}
