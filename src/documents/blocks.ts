/**
 * @file A corpus in blocks: stretches of files that can be handed to a worker thread as they are, to be parsed there, some
 * megabyte each.
 */
import { QuernError } from "../errors.js";
import type { Document, Origin } from "./document.js";
import { bufferOf, decodeText, textOf } from "./utf8.js";

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

/** The documents of a block, each parsed when it is asked for. @throws QuernError for a line that is none */
export function* documentsOf(block: Block): Generator<Document> {
  if (block.kind === "rows") yield* block.documents;
  else if (block.kind === "text") {
    yield { text: textOf(block.bytes), id: block.file.id, source: block.file.source };
  } else {
    const { file } = block;
    const bytes = bufferOf(block.bytes);
    let number = block.firstLine;
    for (let start = 0; start < bytes.length; number++) {
      const stop = bytes.indexOf(10, start);
      const end = stop < 0 ? bytes.length : stop;
      const document = parseLine(bytes.subarray(start, end), file, number);
      if (document !== undefined) yield document;
      start = end + 1;
    }
  }
}

function parseLine(bytes: Uint8Array, file: BlockFile, number: number): Document | undefined {
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

/** The document of a JSONL record or a Parquet row; undefined for one without text. */
export function toDocument(
  record: Readonly<Record<string, unknown>>,
  file: BlockFile,
  number: number,
  wrong: (what: string) => QuernError,
): Document | undefined {
  const { text, id, url, source, origin } = record;
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
    ...(isOrigin(origin) ? { origin } : {}),
  };
}

const isOrigin = (value: unknown): value is Origin =>
  typeof value === "object" && value !== null && "archive" in value && typeof value.archive === "string";
