/** @file The document, which every stage from the reader to the token shards hands to the next, and its line of JSONL. */

/** Where a document was first read. */
export interface Origin {
  /** The file or address that it was read from, as it was given. */
  readonly archive: string;
  /** Byte of its record: in an archive as it lies on the disk, in a JSONL file or a text once decompressed. */
  readonly offset?: number;
  /** Row of a Parquet file, from 1, which has no byte of its own. */
  readonly row?: number;
  /** When it was fetched, ISO 8601, where that is known. */
  readonly time?: string;
}

/** One text that belongs together: a page, a speech, a chapter, a file. */
export interface Document {
  readonly text: string;
  /** Tells it from the others of its source: its own, else its file's path with the byte or row after a colon. */
  readonly id: string;
  /** A data set, a crawl, a folder. */
  readonly source: string;
  readonly origin: Origin;
  readonly url?: string;
  /** ISO 639-1 where there is one. */
  readonly language?: string;
  /** What else its line or row says. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** A document of a caller's own: only the text must be there. */
export type GivenDocument = Pick<Document, "text"> & Partial<Document>;

/** A web page as it was fetched: it becomes a document when its text is extracted. */
export interface Page extends Omit<Document, "text" | "language" | "fields"> {
  readonly bytes: Uint8Array;
  readonly contentType?: string;
}

export const isPage = (record: Document | Page): record is Page => "bytes" in record;

export const isOrigin = (value: unknown): value is Origin =>
  typeof value === "object" && value !== null && "archive" in value && typeof value.archive === "string";

/** A document's line of JSONL, without its end. */
export function documentLine({ id, url, source, language, origin, fields, text }: Document): string {
  return JSON.stringify({ id, url, source, language, origin, ...fields, text });
}
