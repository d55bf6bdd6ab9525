/** @file What a document is. */

/** One text that belongs together: a page, a speech, a chapter, a file. */
export interface Document {
  readonly text: string;
  /** What tells it from the others of its source: a path, a number. */
  readonly id?: string;
  readonly url?: string;
  /** Where it comes from: a data set, a crawl, a folder. */
  readonly source?: string;
}
