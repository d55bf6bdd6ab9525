import { type ExtractOptions, extract } from "../../../src/data/extract/extract.js";

const sentence = (start: string) =>
  `<p>${start} paragraph is here so that the page has prose about its subject, and it is long enough for that.</p>`;

/** Returns a page with `body` between two paragraphs. */
export const pageWith = (body: string): string =>
  `<!doctype html><html lang="en"><head><title>A page</title></head><body><main>${sentence("This")}${body}${sentence("Another")}</main></body></html>`;

/** Extracts `pageWith(body)` and returns the text of `body` alone. */
export function written(body: string, options: ExtractOptions = {}): string {
  return extract(pageWith(body), options)
    .text.split("\n")
    .filter((line) => !line.includes("paragraph is here"))
    .join("\n")
    .trim();
}

export const markdown = (body: string): string => written(body, { format: "markdown" });
export const plain = (body: string): string => written(body);

/** Returns a paragraph of prose that differs for each name. */
export const prose = (name: string, sentences = 4): string =>
  Array.from(
    { length: sentences },
    (_, i) => `Sentence ${i + 1} of ${name} tells something about the subject, which is long, and ends here.`,
  ).join(" ");
