/** @file What a document is. */

/** Where a document was first read. */
export interface Origin {
  /** The file, address or folder that it was read from, as it was given. */
  readonly archive: string;
  /** Byte of the (packed) record in an archive, line of a JSONL file, row of a Parquet file; none of a file by itself. */
  readonly offset?: number;
  /** When it was fetched, ISO 8601, where that is known. */
  readonly time?: string;
}

/** One text that belongs together: a page, a speech, a chapter, a file. */
export interface Document {
  readonly text: string;
  /** What tells it from the others of its source: a path, a number. */
  readonly id?: string;
  readonly url?: string;
  /** Where it comes from: a data set, a crawl, a folder. */
  readonly source?: string;
  /** What an earlier stage wrote down. */
  readonly origin?: Origin;
}
