/**
 * @file Pages become text before the first step. The extractor is loaded by the first page, since most inputs are text
 * already.
 */
type Extractor = typeof import("../extract/extract.js");

let extractor: Extractor | undefined;

export async function loadExtractor(): Promise<void> {
  extractor ??= await import("../extract/extract.js");
}

export type Extracted =
  | { readonly text: string; readonly html: string }
  | { readonly reason: "text_only_from_scripts" | "no_text"; readonly html: string };

/** The beginning of a page as it was, for samples. */
const SHOWN = 30_000;

/** A page's text, or why it has none. `loadExtractor` must have been awaited. */
export function extractText(
  bytes: Uint8Array,
  contentType: string | undefined,
  format: "text" | "markdown" = "text",
  url?: string,
): Extracted {
  if (extractor === undefined) throw new Error("loadExtractor() comes first");
  const { text, source } = extractor.extract(bytes, {
    format,
    ...(contentType === undefined ? {} : { contentType }),
    ...(url === undefined ? {} : { url }),
  });
  const html = Buffer.from(bytes.subarray(0, SHOWN)).toString("utf8");
  if (text.trim() !== "") return { text, html };
  return { reason: source === "scripts" ? "text_only_from_scripts" : "no_text", html };
}
