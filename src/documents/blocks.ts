/**
 * @file Blocks of about a megabyte of a file's content, which can be sent to a worker thread and parsed there. The bytes of a
 * block are valid until the next one is requested.
 */
import { type Document, isOrigin, isPage, type Page } from "./document.js";
import type { InputFile } from "./inputs.js";
import { parseJsonLine, parseJsonText, wrongBytes } from "./json-lines.js";
import type { Lines } from "./lines.js";
import type { Skip } from "./read-report.js";
import { bufferOf, textOf } from "./utf8.js";

/** How lines and rows become documents. */
export interface RecordOptions {
  /** Key or column that contains the text; `a.b` is b in a. Null for rows without text: `fields` is the whole row, `id` its place. */
  readonly textField: string | null;
  /** Whether to keep the other values of a line or row, as `fields`. */
  readonly fields: boolean;
  /** Longest line, in bytes. */
  readonly largest: number;
}

/** Lines of JSON. */
export interface LinesBlock extends Lines {
  readonly kind: "lines";
  readonly file: InputFile;
  readonly options: RecordOptions;
}

/** A text file: one document, valid UTF-8, without a byte order mark, not blank. */
export interface TextBlock {
  readonly kind: "text";
  readonly file: InputFile;
  /** At least TEXT_PADDING more bytes follow in the buffer. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

/** Number of readable bytes after a text. */
export const TEXT_PADDING = 8;

/** Parsed documents, or pages. */
export interface RecordsBlock<T extends Document | Page = Document | Page> {
  readonly kind: "records";
  readonly file: InputFile;
  readonly records: readonly T[];
  /** Whether they are rows of Parquet. */
  readonly isRows?: boolean;
  /** Whether they continue the document of the previous block. */
  readonly isContinued?: boolean;
}

export type Block = LinesBlock | TextBlock | RecordsBlock;

/**
 * Extracts the text of a JSON line (valid UTF-8) as bytes, which avoids making a string. Returns the range that the text's
 * literal occupies in the line, and whether the text is blank; undefined if it cannot.
 */
export type TakeText = (
  line: Uint8Array,
) => { readonly from: number; readonly to: number; readonly blank: boolean } | undefined;

/** A document whose text `TakeText` extracted has `taken` and an empty `text`. */
export type TakenDocument = Document & { readonly taken?: true };

/** Yields the documents and pages of a block, lazily. @param skip called for each line that is not a document */
export function* recordsOf(block: Block, skip: Skip, take?: TakeText): Generator<TakenDocument | Page> {
  if (block.kind === "records") yield* block.records;
  else if (block.kind === "text") yield textDocument(block);
  else yield* lineDocuments(block, skip, take);
}

/** Yields the documents of a block, without its pages. */
export function* documentsOf(block: Block, skip: Skip): Generator<Document> {
  for (const record of recordsOf(block, skip)) if (!isPage(record)) yield record;
}

const textDocument = ({ file, bytes }: TextBlock): Document => ({
  text: textOf(bytes),
  id: file.id,
  source: file.source,
  origin: { archive: file.location, offset: 0 },
});

function* lineDocuments(block: LinesBlock, skip: Skip, take: TakeText | undefined): Generator<TakenDocument> {
  const { file, options, start, firstLine } = block;
  const bytes = bufferOf(block.bytes);
  let line = firstLine ?? 0;
  for (let from = 0; from < bytes.length; line++) {
    // A small compressed file may hold a billion empty lines.
    if (bytes[from] === 10) {
      from += 1;
      continue;
    }
    const stop = bytes.indexOf(10, from);
    const end = stop < 0 ? bytes.length : stop;
    const offset = start + from;
    const json = bytes.subarray(from, end);
    from = end + 1;
    const where = () => `${file.location}, ${firstLine === undefined ? `byte ${offset}` : `line ${line}`}`;
    if (json.length > options.largest) {
      skip("line_too_long", where(), { detail: `more than ${options.largest} bytes` });
      continue;
    }
    const taken =
      take !== undefined && options.textField === "text" && wrongBytes(json) === undefined ? take(json) : undefined;
    const parsed =
      taken === undefined
        ? parseJsonLine(json)
        : parseJsonText(`${textOf(json.subarray(0, taken.from))}""${textOf(json.subarray(taken.to))}`);
    if (parsed === undefined) continue;
    const place = { number: offset, origin: { archive: file.location, offset }, where };
    const document: TakenDocument | Unread =
      "reason" in parsed ? parsed : documentFrom(parsed.value, file, place, options, taken?.blank);
    if ("reason" in document) skip(document.reason, where(), { detail: document.detail, id: document.id });
    else yield document;
  }
}

/** Why a line or row is not a document. */
interface Unread {
  readonly reason: string;
  readonly detail?: string;
  readonly id?: string;
}

/**
 * Returns the document of a line or row, or why there is none. Its origin is the one that an earlier stage recorded, else
 * this line or row.
 * @param blank set if `TakeText` extracted the text: whether that is blank
 */
export function documentFrom(
  value: Readonly<Record<string, unknown>>,
  file: InputFile,
  place: { readonly number: number; readonly origin: Document["origin"]; readonly where: () => string },
  { textField, fields: keepsFields }: Omit<RecordOptions, "largest">,
  blank?: boolean,
): TakenDocument | Unread {
  if (textField === null) {
    return { text: "", id: place.where(), source: file.source, origin: place.origin, fields: value };
  }
  const { text: _, [textField]: __, id, url, source, language, origin, ...others } = value;
  const text = fieldAt(value, textField);
  const own = typeof id === "string" || typeof id === "number" ? String(id) : undefined;
  if (typeof text !== "string") {
    const keys = Object.keys(value).slice(0, 5).join(", ");
    const detail = `has no "${textField}" that is a string; its keys are ${keys === "" ? "none" : keys}`;
    return { reason: "no_text", detail, id: own };
  }
  if (blank ?? text.trim() === "") return { reason: "empty", id: own };
  return {
    text,
    id: own ?? `${file.id}:${place.number}`,
    ...(typeof url === "string" ? { url } : {}),
    source: typeof source === "string" ? source : file.source,
    ...(keepsFields && typeof language === "string" && language !== "" ? { language } : {}),
    origin: isOrigin(origin) ? origin : place.origin,
    ...(keepsFields && Object.keys(others).length > 0 ? { fields: others } : {}),
    ...(blank === undefined ? {} : { taken: true }),
  };
}

/** Returns the value of a key, or of nested keys with dots between them. */
export function fieldAt(record: Readonly<Record<string, unknown>>, field: string): unknown {
  if (Object.hasOwn(record, field) || !field.includes(".")) return record[field];
  let value: unknown = record;
  for (const key of field.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
