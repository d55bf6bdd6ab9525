/**
 * @file A page's text: HTML in, title, text and what else the page tells about itself out. One pass builds a small tree
 * (tree.ts), one counts it (measure.ts), the page's type is found (page-type.ts), what is not content is marked (select.ts,
 * trim.ts) and the rest is written (write.ts). Nothing reads a clock: the same bytes give the same text, and work is bounded
 * by the size of what is read, at most `LONGEST_PAGE`.
 */
import { type Decoded, decodePage } from "../../documents/index.js";
import { embeddedContent } from "./embedded.js";
import { type Entity, readEntities } from "./linked-data.js";
import { measure } from "./measure.js";
import { type Metadata, readMetadata } from "./metadata.js";
import { type PageType, pageTypeOf, takeInventory } from "./page-type.js";
import { type Focus, selectContent } from "./select.js";
import { parseTree } from "./tree.js";
import { type Format, writeNodes } from "./write.js";

export interface ExtractOptions {
  /** Plain text, or Markdown with headings, lists, tables, fences and emphasis marked. Default `text`. */
  readonly format?: Format;
  /** What to do in doubt: leave out (`precision`), keep (`recall`), or neither (`balanced`, the default). */
  readonly focus?: Focus;
  /** The address the page was fetched from: helps to tell its type and makes links absolute. */
  readonly url?: string;
  /** The HTTP header `Content-Type`, whose charset is heeded when bytes are given. */
  readonly contentType?: string;
  /** The page's type, where the caller knows better. */
  readonly type?: PageType;
}

/** Where the text came from. */
export type TextSource =
  /** The page's own markup. */
  | "page"
  /** `<noscript>`: the page without its scripts. */
  | "noscript"
  /** Data inside the page that its scripts would have shown. */
  | "data"
  /** Nowhere: scripts would have fetched or made it. */
  | "scripts"
  /** Nowhere: the page has no text. */
  | "none";

export interface Extraction extends Metadata {
  readonly text: string;
  readonly type: PageType;
  readonly source: TextSource;
  /** The encoding that the bytes were in; null for a string. */
  readonly charset: string | null;
  /** True when the page was longer, or had more elements, than is read. */
  readonly cut: boolean;
}

/** Bytes or characters of a page that are read; the rest is left out and `cut` says so. */
export const LONGEST_PAGE = 6 * 2 ** 20;

/** Characters of prose below which a page's text is looked for elsewhere in it. */
const POOR = 200;
/** Characters of scripts that make an empty page one of scripts. */
const SCRIPTED = 500;

/** Extracts a page. Never throws for what a page holds. */
export function extract(html: string | Uint8Array, options: ExtractOptions = {}): Extraction {
  const { format = "text", focus = "balanced", url = "" } = options;
  let cut = html.length > LONGEST_PAGE;
  let decoded: Decoded | undefined;
  let text: string;
  if (typeof html === "string") text = cut ? html.slice(0, LONGEST_PAGE) : html;
  else {
    decoded = decodePage(cut ? html.subarray(0, LONGEST_PAGE) : html, options.contentType);
    text = decoded.text;
  }
  const tree = parseTree(text);
  cut ||= tree.cut;
  measure(tree.root);
  const entities = readEntities(tree.linkedData);
  const metadata = readMetadata(tree, entities, url);
  const inventory = takeInventory(tree.root);
  const type = options.type ?? pageTypeOf({ tree, entities, inventory, url: url || metadata.url || "" });
  const result = (written: string, source: TextSource): Extraction => ({
    ...metadata,
    text: written,
    type,
    source: written === "" ? (tree.scriptChars >= SCRIPTED ? "scripts" : "none") : source,
    charset: decoded?.charset ?? null,
    cut,
  });
  let source: TextSource = "page";
  if (tree.root.prose < POOR) {
    const data = embeddedContent(tree.root, entities);
    if (data !== "") {
      const shown = parseTree(data.slice(0, LONGEST_PAGE));
      measure(shown.root);
      return result(writeNodes([shown.root], format), "data");
    }
    const prose = tree.root.prose;
    measure(tree.root, true);
    if (tree.root.prose > prose * 2 + POOR) source = "noscript";
    else measure(tree.root);
  }
  const title = tree.title || metadata.title || "";
  const written = writeNodes(selectContent(tree.root, { type, focus, title, bare: source === "noscript" }), format);
  return result(type === "product" ? withDescription(written, metadata, entities) : written, source);
}

/** A product's own description, where the page shows it by script only: schema.org's goes before what else was found. */
function withDescription(text: string, metadata: Metadata, entities: readonly Entity[]): string {
  const product = entities.find(
    ({ types, description }) => description !== "" && types.some((type) => PRODUCT.test(type)),
  );
  const description =
    product?.description
      .replace(/<[^>]*>/g, " ")
      .replace(/\s+/g, " ")
      .trim() ?? "";
  if (description.length < 80) return text;
  const squeezed = text.replace(/\s+/g, " ");
  if (squeezed.includes(description.slice(0, 40)) || squeezed.includes(description.slice(-40))) return text;
  const title = metadata.title ?? "";
  return [squeezed.includes(title) ? "" : title, description, text].filter((part) => part !== "").join("\n\n");
}

const PRODUCT = /^(?:Product|ProductGroup|IndividualProduct|SomeProducts)$/;
