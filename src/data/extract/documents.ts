/** @file Pages in, documents out: the extractor over a reader of pages. */
import type { OnProgress } from "../../progress.js";
import type { Page } from "../page.js";
import { type Extraction, type ExtractOptions, extract } from "./extract.js";

/** A page's text with what the page tells about itself. Of a page that was text already only the text is known. */
export interface ExtractedDocument {
  readonly id: string;
  readonly url: string | null;
  readonly title: string | null;
  readonly text: string;
  readonly author: string | null;
  readonly date: string | null;
  readonly language: string | null;
  readonly type: Extraction["type"] | "text";
  /** Where the text came from; `scripts` and `none` have no text. */
  readonly from: Extraction["source"] | "text";
  readonly charset: string | null;
  readonly cut: boolean;
  readonly origin: Page["origin"];
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

/** The document of one page. */
export function extractPage(page: Page, options: Pick<ExtractOptions, "format" | "focus"> = {}): ExtractedDocument {
  const { id, origin, content } = page;
  if (content.kind === "text") {
    return {
      id,
      url: page.url ?? null,
      title: null,
      text: content.text,
      author: null,
      date: null,
      language: null,
      type: "text",
      from: "text",
      charset: null,
      cut: false,
      origin,
    };
  }
  const { contentType } = content;
  const found = extract(content.bytes, {
    ...options,
    ...(page.url === undefined ? {} : { url: page.url }),
    ...(contentType === undefined ? {} : { contentType }),
  });
  return {
    id,
    // Where the page was fetched is known better than what it calls itself.
    url: page.url ?? found.url,
    title: found.title,
    text: found.text,
    author: found.author,
    date: found.date,
    language: found.language,
    type: found.type,
    from: found.source,
    charset: found.charset,
    cut: found.cut,
    origin,
  };
}

export interface ExtractPagesOptions extends Pick<ExtractOptions, "format" | "focus"> {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/** The documents of pages, in the pages' order. Iterate once; counts grow as the iteration goes on. */
export function extractPages(
  pages: AsyncIterable<Page>,
  { signal, onProgress, ...options }: ExtractPagesOptions = {},
): AsyncIterable<ExtractedDocument> & { readonly counts: ExtractionCounts } {
  const counts: ExtractionCounts = { pages: 0, bytes: 0, from: new Map(), types: new Map(), cut: 0 };
  const add = (map: Map<string, number>, key: string): void => void map.set(key, (map.get(key) ?? 0) + 1);
  async function* read(): AsyncGenerator<ExtractedDocument> {
    for await (const page of pages) {
      signal?.throwIfAborted();
      const document = extractPage(page, options);
      counts.pages++;
      counts.bytes += page.content.kind === "html" ? page.content.bytes.length : page.content.text.length;
      add(counts.from, document.from);
      add(counts.types, document.type);
      if (document.cut) counts.cut++;
      onProgress?.({ task: "extract", done: counts.pages, unit: "page" });
      yield document;
    }
  }
  return { counts, [Symbol.asyncIterator]: read };
}
