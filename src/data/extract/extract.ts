/**
 * @file Extracts text, title and other metadata from HTML. One pass builds a small tree (tree.ts) and one counts its text
 * (measure.ts). The page is classified by type (page-type.ts), boilerplate is marked (select.ts, trim.ts) and the rest is
 * written (write.ts). Nothing reads a clock: the same bytes always produce the same text. Time is bounded by the size of
 * the input, at most `LONGEST_PAGE`.
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
  /** Doubtful parts are left out with `precision` and kept with `recall`; `balanced`, the default, is in between. */
  readonly focus?: Focus;
  /** The address the page was fetched from: helps to classify the page and resolves relative links. */
  readonly url?: string;
  /** The HTTP header `Content-Type`; its charset is used if the page is given as bytes. */
  readonly contentType?: string;
  /** Overrides the detected page type. */
  readonly type?: PageType;
}

/** Source of the text. */
export type TextSource =
  /** The page's own markup. */
  | "page"
  /** The page including its `<noscript>` elements. */
  | "noscript"
  /** Data embedded in the page for its scripts to show. */
  | "data"
  /** No text found: scripts would have fetched or generated it. */
  | "scripts"
  /** No text found, and few scripts. */
  | "none";

export interface Extraction extends Metadata {
  readonly text: string;
  readonly type: PageType;
  readonly source: TextSource;
  /** Encoding of the bytes; null if the page was given as a string. */
  readonly charset: string | null;
  /** True if the page exceeded the limit on length or elements, so that only its beginning was read. */
  readonly cut: boolean;
}

/** Maximum bytes or characters to read of a page; `cut` is set if the page is longer. */
export const LONGEST_PAGE = 6 * 2 ** 20;

/** Characters of prose in the markup below which the page's data and `<noscript>` are searched too. */
const LITTLE_PROSE = 200;
/** Characters of script from which a page without text is reported as `scripts`. */
const MUCH_SCRIPT = 500;

/** Extracts a page. Never throws, whatever the page contains. */
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
    source: written === "" ? (tree.scriptChars >= MUCH_SCRIPT ? "scripts" : "none") : source,
    charset: decoded?.charset ?? null,
    cut,
  });
  let source: TextSource = "page";
  if (tree.root.prose < LITTLE_PROSE) {
    const data = embeddedContent(tree.root, entities);
    if (data !== "") {
      const shown = parseTree(data.slice(0, LONGEST_PAGE));
      measure(shown.root);
      return result(writeNodes([shown.root], format), "data");
    }
    const prose = tree.root.prose;
    measure(tree.root, { withNoscript: true });
    if (tree.root.prose > prose * 2 + LITTLE_PROSE) source = "noscript";
    else measure(tree.root);
  }
  const title = tree.title || metadata.title || "";
  const written = writeNodes(
    selectContent(tree.root, { type, focus, title, withNoscript: source === "noscript" }),
    format,
  );
  return result(type === "product" ? withDescription(written, metadata, entities) : written, source);
}

/** Puts schema.org's description of a product before the text, unless the text already contains it. */
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
