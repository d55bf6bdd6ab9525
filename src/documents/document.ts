/** @file The document, which all stages from the reader to the token shards pass on, and its line of JSONL. */

/** Where a document was first read. */
export interface Origin {
  /** File path or URL, as the user gave it. */
  readonly archive: string;
  /** Byte offset of its record: in an archive as stored on disk; in JSONL or text files after decompression. */
  readonly offset?: number;
  /** Row of a Parquet file, from 1; rows have no byte offset. */
  readonly row?: number;
  /** Fetch time, ISO 8601, if known. */
  readonly time?: string;
}

/** One coherent text: a page, a speech, a chapter, a file. */
export interface Document {
  readonly text: string;
  /** Unique within its source: the record's own id, or the file's path, `:`, and the byte or row. */
  readonly id: string;
  /** Its dataset, crawl or folder. */
  readonly source: string;
  readonly origin: Origin;
  readonly url?: string;
  /** ISO 639-1 code, if the language has one. */
  readonly language?: string;
  /** The other values of its line or row. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** A document that a library caller passes in: only the text is required. */
export type GivenDocument = Pick<Document, "text"> & Partial<Document>;

/** A web page as fetched; extracting its text makes it a document. */
export interface Page extends Omit<Document, "text" | "language" | "fields"> {
  readonly bytes: Uint8Array;
  readonly contentType?: string;
}

export const isPage = (record: Document | Page): record is Page => "bytes" in record;

export const isOrigin = (value: unknown): value is Origin =>
  typeof value === "object" && value !== null && "archive" in value && typeof value.archive === "string";

/** Returns a document's line of JSONL, without the line end. */
export function documentLine({ id, url, source, language, origin, fields, text }: Document): string {
  return JSON.stringify({ id, url, source, language, origin, ...fields, text });
}
