/**
 * @file Turns pages into text before the first step. The extractor is loaded with the first page, since most inputs are
 * already text.
 */
import { decodeBytes } from "../../documents/index.js";

type Extractor = typeof import("../extract/extract.js");

let extractor: Extractor | undefined;

export async function loadExtractor(): Promise<void> {
  extractor ??= await import("../extract/extract.js");
}

export type Extracted = {
  /** Returns the beginning of the page, which the report shows next to its text. */
  readonly shown: () => string;
} & ({ readonly text: string } | { readonly reason: "text_only_from_scripts" | "no_text" });

/** Bytes of a page that are decoded to show its beginning. Scripts may fill most of them and are not shown. */
const SHOWN_BYTES = 1 << 18;

/** Returns a page's text, or the reason why it has none. Await `loadExtractor` first. */
export function extractText(
  bytes: Uint8Array,
  contentType: string | undefined,
  format: "text" | "markdown" = "text",
  url?: string,
): Extracted {
  if (extractor === undefined) throw new Error("call loadExtractor() first");
  const { text, source, charset } = extractor.extract(bytes, {
    format,
    ...(contentType === undefined ? {} : { contentType }),
    ...(url === undefined ? {} : { url }),
  });
  const shown = () =>
    decodeBytes(bytes.subarray(0, SHOWN_BYTES), charset ?? "utf-8").replace(
      /<script\b[^>]*>[\s\S]*?(?:<\/script\s*>|$)/gi,
      "",
    );
  if (text.trim() !== "") return { text, shown };
  return { reason: source === "scripts" ? "text_only_from_scripts" : "no_text", shown };
}
