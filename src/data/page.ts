/**
 * @file What the data stage reads: a page, which is HTML with its bytes as they came or a text that needs no extraction,
 * and where it came from, to the byte.
 */

export interface Origin {
  /** The file, address or folder that the page was read from, as it was given. */
  readonly archive: string;
  /** Byte of the (packed) record in an archive, line of a JSONL file, row of a Parquet file; none of a file by itself. */
  readonly offset?: number;
  /** When it was fetched, ISO 8601, where that is known. */
  readonly time?: string;
}

export interface Page {
  readonly id: string;
  readonly url?: string;
  readonly source?: string;
  readonly origin: Origin;
  readonly content:
    | { readonly kind: "html"; readonly bytes: Uint8Array; readonly contentType?: string }
    | { readonly kind: "text"; readonly text: string };
}

/** A reader of pages. Iterate once; counts are complete when the iteration has ended. */
export interface PageReader extends AsyncIterable<Page> {
  /** What was not read as a page (records of other types, files of other kinds, damage): how many, by reason. */
  readonly skipped: ReadonlyMap<string, number>;
}
