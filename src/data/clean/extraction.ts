/**
 * @file Pages become text before the first step. The extractor is loaded by the first page, since most inputs are text
 * already.
 */
import { decodeBytes } from "../../documents/index.js";

type Extractor = typeof import("../extract/extract.js");

let extractor: Extractor | undefined;

export async function loadExtractor(): Promise<void> {
  extractor ??= await import("../extract/extract.js");
}

export type Extracted = {
  /** The page's beginning as it is shown beside its text. */
  readonly shown: () => string;
} & ({ readonly text: string } | { readonly reason: "text_only_from_scripts" | "no_text" });

/** Bytes of a page from which its beginning is shown; scripts, which are not, may be most of them. */
const LOOKED_AT = 1 << 18;

/** A page's text, or why it has none. `loadExtractor` must have been awaited. */
export function extractText(
  bytes: Uint8Array,
  contentType: string | undefined,
  format: "text" | "markdown" = "text",
  url?: string,
): Extracted {
  if (extractor === undefined) throw new Error("loadExtractor() comes first");
  const { text, source, charset } = extractor.extract(bytes, {
    format,
    ...(contentType === undefined ? {} : { contentType }),
    ...(url === undefined ? {} : { url }),
  });
  const shown = () =>
    decodeBytes(bytes.subarray(0, LOOKED_AT), charset ?? "utf-8").replace(
      /<script\b[^>]*>[\s\S]*?(?:<\/script\s*>|$)/gi,
      "",
    );
  if (text.trim() !== "") return { text, shown };
  return { reason: source === "scripts" ? "text_only_from_scripts" : "no_text", shown };
}
