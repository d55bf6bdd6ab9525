/** @file Pages in, documents out: the extractor over a reader of pages. */
import { type Document, isPage, type Page } from "../../documents/index.js";
import type { OnProgress } from "../../progress.js";
import { type Extraction, type ExtractOptions, extract } from "./extract.js";

/** A page's text with what the page tells about itself. Of a document that was text already nothing else is known. */
export type ExtractedDocument = Document & { readonly fields: ExtractedFields };

export interface ExtractedFields extends Readonly<Record<string, unknown>> {
  readonly title: string | null;
  readonly author: string | null;
  readonly date: string | null;
  readonly type: Extraction["type"] | "text";
  /** Where the text came from; `scripts` and `none` have no text. */
  readonly from: Extraction["source"] | "text";
  readonly charset: string | null;
  readonly cut: boolean;
}

export interface ExtractionCounts {
  pages: number;
  /** Bytes of pages read. */
  bytes: number;
  /** Pages by where their text came from. */
  readonly from: Map<string, number>;
  readonly types: Map<string, number>;
  /** Pages of which only the beginning was read. */
  cut: number;
}

const NOT_EXTRACTED: ExtractedFields = {
  ...{ title: null, author: null, date: null, type: "text", from: "text", charset: null, cut: false },
};

/** The document of one page. */
export function extractPage(
  page: Document | Page,
  options: Pick<ExtractOptions, "format" | "focus"> = {},
): ExtractedDocument {
  if (!isPage(page)) return { ...page, fields: NOT_EXTRACTED };
  const { id, source, origin, contentType } = page;
  const { title, author, date, type, charset, cut, ...found } = extract(page.bytes, {
    ...options,
    ...(page.url === undefined ? {} : { url: page.url }),
    ...(contentType === undefined ? {} : { contentType }),
  });
  return {
    ...{ id, source, origin, text: found.text },
    // Where the page was fetched is known better than what it calls itself.
    url: page.url ?? found.url ?? undefined,
    language: found.language ?? undefined,
    fields: { title, author, date, type, from: found.source, charset, cut },
  };
}

export interface ExtractPagesOptions extends Pick<ExtractOptions, "format" | "focus"> {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** The documents of pages, in the pages' order. Iterate once; counts grow as the iteration goes on. */
export function extractPages(
  pages: AsyncIterable<Document | Page>,
  { signal, onProgress, ...options }: ExtractPagesOptions = {},
): AsyncIterable<ExtractedDocument> & { readonly counts: ExtractionCounts } {
  const counts: ExtractionCounts = { pages: 0, bytes: 0, from: new Map(), types: new Map(), cut: 0 };
  const add = (map: Map<string, number>, key: string): void => void map.set(key, (map.get(key) ?? 0) + 1);
  async function* read(): AsyncGenerator<ExtractedDocument> {
    for await (const page of pages) {
      signal?.throwIfAborted();
      const document = extractPage(page, options);
      counts.pages++;
      counts.bytes += isPage(page) ? page.bytes.length : page.text.length;
      const { from, type, cut } = document.fields;
      add(counts.from, from);
      add(counts.types, type);
      if (cut) counts.cut++;
      onProgress?.({ task: "extract", done: counts.pages, unit: "page" });
      yield document;
    }
  }
  return { counts, [Symbol.asyncIterator]: read };
}
