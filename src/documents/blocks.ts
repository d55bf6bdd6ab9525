/**
 * @file A corpus in blocks: stretches of files that can be handed to a worker thread as they are, to be parsed there, some
 * megabyte each.
 */
import type { Document, Origin } from "./document.js";
import { parseJsonLine } from "./json-lines.js";
import type { Skip } from "./read-report.js";
import { bufferOf, textOf } from "./utf8.js";

/** What the documents of a file are told by. */
export interface BlockFile {
  readonly path: string;
  readonly source: string;
  readonly id: string;
}

/** Whole lines of a JSONL file, the last perhaps without its line feed. */
export interface LinesBlock {
  readonly kind: "lines";
  readonly file: BlockFile;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Number of the first line, from 1. */
  readonly firstLine: number;
  /** Under which key the text is. */
  readonly textField: string;
}

/**
 * A text file: one document of valid UTF-8 without a byte order mark, and not blank. Its bytes are good until the next block
 * is asked for.
 */
export interface TextBlock {
  readonly kind: "text";
  readonly file: BlockFile;
  /** With TEXT_PADDING more bytes in their buffer behind them. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
}

/** Bytes that can be read behind a text. */
export const TEXT_PADDING = 8;

/** Documents that are parsed already. */
export interface RowsBlock {
  readonly kind: "rows";
  readonly file: BlockFile;
  readonly documents: readonly Document[];
}

export type Block = LinesBlock | TextBlock | RowsBlock;

/** The documents of a block, each parsed when it is asked for; `skip` hears of lines that are none. */
export function* documentsOf(block: Block, skip: Skip): Generator<Document> {
  if (block.kind === "rows") yield* block.documents;
  else if (block.kind === "text") {
    yield { text: textOf(block.bytes), id: block.file.id, source: block.file.source };
  } else {
    const { file, textField } = block;
    const bytes = bufferOf(block.bytes);
    let number = block.firstLine;
    for (let start = 0; start < bytes.length; number++) {
      const stop = bytes.indexOf(10, start);
      const end = stop < 0 ? bytes.length : stop;
      const parsed = parseJsonLine(bytes.subarray(start, end));
      start = end + 1;
      if (parsed === undefined) continue;
      const place = { file, number, unit: "line", textField } as const;
      if ("reason" in parsed) skip(parsed.reason, placeOf(place), { detail: parsed.detail });
      else {
        const document = toDocument(parsed.value, place, skip);
        if (document !== undefined) yield document;
      }
    }
  }
}

interface Place {
  readonly file: BlockFile;
  readonly number: number;
  readonly unit: "line" | "row";
  readonly textField: string;
}

const placeOf = ({ file, number, unit }: Place) => `${file.path}, ${unit} ${number}`;

/** The document of a JSONL record or a Parquet row; undefined for one without text, of which `skip` hears. */
export function toDocument(record: Readonly<Record<string, unknown>>, place: Place, skip: Skip): Document | undefined {
  const { id, url, source, origin } = record;
  const { file, textField } = place;
  const own = typeof id === "string" || typeof id === "number" ? String(id) : undefined;
  const text = fieldAt(record, textField);
  if (typeof text !== "string") {
    const keys = Object.keys(record).slice(0, 5).join(", ");
    const detail = `has no "${textField}" that is a string; its keys are ${keys === "" ? "none" : keys}`;
    skip("no_text", placeOf(place), { detail, id: own });
    return undefined;
  }
  if (text.trim() === "") {
    skip("empty", placeOf(place), { id: own });
    return undefined;
  }
  return {
    text,
    id: own ?? `${file.id}:${place.number}`,
    ...(typeof url === "string" ? { url } : {}),
    source: typeof source === "string" ? source : file.source,
    ...(isOrigin(origin) ? { origin } : {}),
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

const isOrigin = (value: unknown): value is Origin =>
  typeof value === "object" && value !== null && "archive" in value && typeof value.archive === "string";
