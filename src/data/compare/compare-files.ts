/** @file Compares tokenizers on the documents of files. */
import { type Document, ReadLog, type ReadReport, readDocuments } from "../../documents/index.js";
import type { OnProgress } from "../../progress.js";
import {
  type ComparedText,
  type Comparison,
  compareTokenizers,
  openTokenizer,
  type Tokenizer,
} from "../../tokenizer/index.js";
import { detectLanguage, loadLanguages } from "../filters/language.js";
import { domainOf } from "../filters/url.js";

/** How texts are grouped: by the given path, the document's source, the domain of its address or its detected language. */
export const COMPARED_BY = ["file", "source", "domain", "language"] as const;

export interface CompareFilesOptions {
  /** Tokenizer folders or files, or names of published tokenizers. */
  readonly tokenizers: readonly string[];
  readonly by?: (typeof COMPARED_BY)[number];
  /** Seed for the simulated typing errors. */
  readonly seed?: number;
  readonly textField?: string;
  readonly strict?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

/**
 * Compares tokenizers on each group and on all texts.
 * @throws QuernError if a tokenizer or file cannot be read, if a file is damaged and `strict` is set, or if there is no text
 */
export async function compareOnFiles(
  files: readonly string[],
  { tokenizers: names, by = "file", textField, strict, seed, signal, onProgress }: CompareFilesOptions,
): Promise<{ readonly rows: readonly Comparison[]; readonly report: ReadReport }> {
  const log = new ReadLog({ strict });
  if (by === "language") await loadLanguages();
  const tokenizers = new Map<string, Tokenizer>();
  for (const name of names) tokenizers.set(name, await openTokenizer(name, { signal }));
  const groupOf = ({ source, url, text }: Document, path: string): string => {
    switch (by) {
      case "file":
        return path;
      case "source":
        return source;
      case "domain":
        return domainOf(url);
      case "language":
        return detectLanguage(text).language;
      default:
        return by satisfies never;
    }
  };
  async function* texts(): AsyncGenerator<ComparedText> {
    for (const path of files) {
      const reader = readDocuments([path], { textField, strict, signal });
      for await (const document of reader) yield { text: document.text, group: groupOf(document, path) };
      log.merge(reader.report);
    }
  }
  const rows = await compareTokenizers(texts(), tokenizers, { seed, signal, onProgress });
  return { rows, report: log.report };
}
