/**
 * @file What holds documents already, as records: JSONL by its lines, Parquet by its rows, a text file as one. What cannot
 * be read is counted by its reason and the rest goes on: bytes that are not UTF-8, NULs, lines without end, broken JSON.
 */
import { isUtf8 } from "node:buffer";
import { closeSync, openSync, readSync } from "node:fs";
import { packingOf, readBytes, readParquetRows } from "../documents/index.js";
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
  readonly signal?: AbortSignal;
  /** Is offered the lines of JSONL files; what it took is the record's that comes next. */
  readonly take?: TakeText;
  /** Called with the reason of everything that is left out, and where it is. */
  readonly skip: (reason: string, where: string) => void;
}

/** The documents of a file at `path`, in order. Throws only where the file as a whole cannot be read. */
export function documentRecords(part: FilePart, path: string, options: ReadOptions): AsyncGenerator<TextRecord> {
  const { extension } = packingOf(path);
  if (extension === ".jsonl" || extension === ".ndjson") return jsonl(part, path, options);
  return extension === ".parquet" ? rows(part, path, options) : wholeText(part, path, options);
}

/** What documents of a file are told by where they do not say it themselves. */
interface FilePart {
  readonly location: string;
  readonly id: string;
  readonly source: string;
}

async function* jsonl(part: FilePart, path: string, options: ReadOptions): AsyncGenerator<TextRecord> {
  for await (const { bytes, offset } of linesOf(path, options)) {
    options.signal?.throwIfAborted();
    const record = recordOf(bytes, offset, part, options.take);
    if (typeof record === "string") options.skip(record, `${part.location}, byte ${offset}`);
    else if (record !== undefined) yield record;
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
async function* linesOf(path: string, { range, largest, signal, skip }: ReadOptions): AsyncGenerator<Line> {
  const { compression } = packingOf(path);
  // A line belongs to the range in which it begins, so reading starts one byte early, at what may be the line end before it.
  const from = range === undefined || range.start === 0 ? 0 : range.start - 1;
  const end = range?.end ?? Number.POSITIVE_INFINITY;
  const source = compression === undefined ? chunksOf(path, from) : readBytes(path, compression, signal);
  let position = from;
  let begun = from === 0;
  let parts: Buffer[] = [];
  let length = 0;
  let lineStart = from;
  for await (const chunk of source) {
    let at = 0;
    for (let stop = chunk.indexOf(10); stop >= 0; stop = chunk.indexOf(10, at)) {
      const rest = chunk.subarray(at, stop);
      if (!begun) begun = true;
      else if (length + rest.length > largest) skip("line_too_long", `${path}, byte ${lineStart}`);
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
  if (!begun || length === 0) return;
  if (length > largest) skip("line_too_long", `${path}, byte ${lineStart}`);
  else yield { bytes: Buffer.concat(parts), offset: lineStart };
}

/** The document of a line; undefined for an empty line, the reason for one that is none. */
function recordOf(bytes: Buffer, offset: number, part: FilePart, take?: TakeText): TextRecord | string | undefined {
  if (bytes.length === 0 || (bytes.length === 1 && bytes[0] === 13)) return undefined;
  if (bytes.includes(0)) return "nul_byte";
  if (!isUtf8(bytes)) return "not_utf8";
  let value: unknown;
  const taken = take?.(bytes);
  try {
    const bom = offset === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
    const line =
      taken === undefined
        ? bytes.toString("utf8", bom)
        : `${bytes.toString("utf8", 0, taken.from)}""${bytes.toString("utf8", taken.to)}`;
    if (line.trim() === "") return undefined;
    value = JSON.parse(line);
  } catch {
    return "not_json";
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return "not_an_object";
  return recordWith(value as Record<string, unknown>, offset, part, taken?.blank);
}

/**
 * @param offset byte of the line, or number of the row from 1
 * @param blank whether the text is that was taken
 */
function recordWith(
  value: Readonly<Record<string, unknown>>,
  offset: number,
  part: FilePart,
  blank?: boolean,
): TextRecord | string {
  const { text, id, url, source, language, ...fields } = value;
  if (typeof text !== "string") return "no_text";
  if (blank ?? text.trim() === "") return "empty";
  return {
    id: typeof id === "string" || typeof id === "number" ? String(id) : `${part.id}:${offset}`,
    ...(typeof url === "string" ? { url } : {}),
    source: typeof source === "string" ? source : part.source,
    ...(typeof language === "string" && language !== "" ? { language } : {}),
    origin: { archive: part.location, offset },
    content: { kind: "text", text },
    ...(Object.keys(fields).length > 0 ? { fields } : {}),
    ...(blank === undefined ? {} : { taken: true }),
  };
}

async function* rows(part: FilePart, path: string, { largest, signal, skip }: ReadOptions): AsyncGenerator<TextRecord> {
  let number = 0;
  const onDamage = (damaged: number, reason: string) => {
    for (let i = 0; i < damaged; i++) skip(`damaged_row: ${reason}`, `${part.location}, row ${number + 1 + i}`);
    number += damaged;
  };
  for await (const row of readParquetRows(path, { required: "text", onDamage })) {
    signal?.throwIfAborted();
    number += 1;
    const record = recordWith(plain(row) as Record<string, unknown>, number, part);
    const where = `${part.location}, row ${number}`;
    if (typeof record === "string") skip(record, where);
    else if (Buffer.byteLength(record.content.text) > largest) skip("text_too_long", where);
    else yield record;
  }
}

/** A value of Parquet as JSON has it: large integers that a number cannot hold as their digits, dates as ISO 8601, bytes as base64. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as Iterable<unknown>, plain);
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plain(inner)]));
}

/** A text file is one document. */
async function* wholeText(
  part: FilePart,
  path: string,
  { largest, signal, skip }: ReadOptions,
): AsyncGenerator<TextRecord> {
  const chunks: Buffer[] = [];
  let length = 0;
  const { compression } = packingOf(path);
  for await (const chunk of readBytes(path, compression, signal)) {
    length += chunk.length;
    if (length > largest) return skip("file_too_long", part.location);
    chunks.push(chunk as Buffer);
  }
  const bytes = Buffer.concat(chunks);
  if (bytes.includes(0)) return skip("nul_byte", part.location);
  if (!isUtf8(bytes)) return skip("not_utf8", part.location);
  const text = bytes.toString("utf8").replace(/^\ufeff/, "");
  if (text.trim() === "") return skip("empty", part.location);
  yield {
    id: part.id,
    source: part.source,
    origin: { archive: part.location, offset: 0 },
    content: { kind: "text", text },
  };
}
