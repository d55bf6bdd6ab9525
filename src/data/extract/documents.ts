/** @file Turns pages into documents by running the extractor over a reader of pages. */
import { type Document, isPage, type Page } from "../../documents/index.js";
import type { OnProgress } from "../../progress.js";
import { type Extraction, type ExtractOptions, extract } from "./extract.js";

/** A page's text with the page's metadata. A document that was text already has no metadata. */
export type ExtractedDocument = Document & { readonly fields: ExtractedFields };

export interface ExtractedFields extends Readonly<Record<string, unknown>> {
  readonly title: string | null;
  readonly author: string | null;
  readonly date: string | null;
  readonly type: Extraction["type"] | "text";
  /** Source of the text; `scripts` and `none` mean that there is no text. */
  readonly from: Extraction["source"] | "text";
  readonly charset: string | null;
  readonly cut: boolean;
}

export interface ExtractionCounts {
  pages: number;
  /** Bytes of pages read. */
  bytes: number;
  /** Number of pages by source of their text. */
  readonly from: Map<string, number>;
  readonly types: Map<string, number>;
  /** Pages too long to be read in full. */
  cut: number;
}

const NOT_EXTRACTED: ExtractedFields = {
  ...{ title: null, author: null, date: null, type: "text", from: "text", charset: null, cut: false },
};

/** Extracts one page; passes a document through unchanged. */
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
    // The address it was fetched from is more reliable than the address that the page declares.
    url: page.url ?? found.url ?? undefined,
    language: found.language ?? undefined,
    fields: { title, author, date, type, from: found.source, charset, cut },
  };
}

export interface ExtractPagesOptions extends Pick<ExtractOptions, "format" | "focus"> {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** Extracts pages in order. Iterate only once; `counts` is updated during the iteration. */
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
