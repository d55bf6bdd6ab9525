/**
 * @file What files hold, in blocks of some megabyte: stretches that can be handed to a worker thread as they are and parsed
 * there. The bytes of a block are good until the next one is asked for.
 */
import { type Document, isOrigin, isPage, type Page } from "./document.js";
import type { InputFile } from "./inputs.js";
import { parseJsonLine, parseJsonText, wrongBytes } from "./json-lines.js";
import type { Lines } from "./lines.js";
import type { Skip } from "./read-report.js";
import { bufferOf, textOf } from "./utf8.js";

/** How the documents of lines and rows are made. */
export interface RecordOptions {
  /** The key or column of the text; `a.b` is b in a. Null for rows without one: `fields` is the whole row, `id` its place. */
  readonly textField: string | null;
  /** Whether `fields` keeps what else a line or row says. */
  readonly fields: boolean;
  /** Bytes of a line at most. */
  readonly largest: number;
}

/** Lines of JSON. */
export interface LinesBlock extends Lines {
  readonly kind: "lines";
  readonly file: InputFile;
  readonly options: RecordOptions;
}

/** A text file: one document of valid UTF-8 without a byte order mark, and not blank. */
export interface TextBlock {
  readonly kind: "text";
  readonly file: InputFile;
  /** With TEXT_PADDING more bytes in their buffer behind them. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

/** Bytes that can be read behind a text. */
export const TEXT_PADDING = 8;

/** Documents that are parsed already, and pages. */
export interface RecordsBlock<T extends Document | Page = Document | Page> {
  readonly kind: "records";
  readonly file: InputFile;
  readonly records: readonly T[];
  /** Whether they are rows of Parquet. */
  readonly isRows?: boolean;
  /** Whether they go on with the document of the block before. */
  readonly isContinued?: boolean;
}

export type Block = LinesBlock | TextBlock | RecordsBlock;

/** Takes the text out of a JSON line of valid UTF-8, so that it need not become a string; undefined where it cannot. */
export type TakeText = (
  line: Uint8Array,
) => { readonly from: number; readonly to: number; readonly blank: boolean } | undefined;

/** A document whose text was taken has an empty one. */
export type TakenDocument = Document & { readonly taken?: true };

/** The documents and pages of a block, each made when it is asked for; `skip` hears of lines that are none. */
export function* recordsOf(block: Block, skip: Skip, take?: TakeText): Generator<TakenDocument | Page> {
  if (block.kind === "records") yield* block.records;
  else if (block.kind === "text") yield textDocument(block);
  else yield* lineDocuments(block, skip, take);
}

/** The documents of a block. */
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

/** Why there is no document. */
interface Unread {
  readonly reason: string;
  readonly detail?: string;
  readonly id?: string;
}

/**
 * The document of a line or row, or why there is none. Its origin is what an earlier stage wrote down, else where it is now.
 * @param blank whether the text is that was taken
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

/** The value under a key, or under keys in one another with dots between them. */
export function fieldAt(record: Readonly<Record<string, unknown>>, field: string): unknown {
  if (Object.hasOwn(record, field) || !field.includes(".")) return record[field];
  let value: unknown = record;
  for (const key of field.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
