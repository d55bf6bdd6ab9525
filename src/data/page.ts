/**
 * @file What the data stage reads: a page, which is HTML with its bytes as they came or a text that needs no extraction,
 * and where it came from, to the byte.
 */

import type { Origin } from "../documents/index.js";

export type { Origin };

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
