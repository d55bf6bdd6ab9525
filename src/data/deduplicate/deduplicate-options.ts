/** @file The options of deduplication, shared by the library and the command line. */
import { z } from "zod";
import { readingOptions } from "../../documents/index.js";
import { executorOptions } from "../../executors/index.js";
import { forceOption } from "../../options.js";

export const deduplicateOptions = z.object({
  inputs: z
    .array(z.string())
    .min(1)
    .describe("JSONL, Parquet or text files, or folders of them")
    .meta({ value: "INPUT" }),
  out: z.string().describe("folder for documents/ and removed.jsonl").meta({ value: "DIR" }),
  force: forceOption,
  by: z
    .enum(["url", "document", "near", "line", "paragraph", "sentence", "substring"])
    .describe(
      "unit to compare. Whole documents by URL (url), exact text (document) or MinHash signature (near); or pieces of text: line, paragraph, spans of sentences (sentence), spans of characters (substring)",
    ),
  keep: z
    .enum(["longest", "first", "quality", "none"])
    .optional()
    .describe(
      "copy to keep. Documents: longest (default), first, or quality (highest `quality` field). Pieces of text: first (default) or none",
    ),
  bands: z.int().min(1).max(1000).default(14).describe("near: bands per signature").meta({ value: "N" }),
  rows: z.int().min(1).max(1000).default(8).describe("near: values per band").meta({ value: "N" }),
  ngram: z.int().min(1).max(100).default(5).describe("near: words per n-gram").meta({ value: "N" }),
  sentences: z.int().min(1).max(100).default(3).describe("sentence: sentences per span").meta({ value: "N" }),
  length: z
    .int()
    .min(1)
    .max(2 ** 20)
    .optional()
    .describe("substring: shortest span, in bytes (default 100), or in tokens with --tokenizer (default 50)")
    .meta({ value: "N" }),
  tokenizer: z
    .string()
    .optional()
    .describe("substring: compare this tokenizer's tokens instead of bytes")
    .meta({ value: "PATH" }),
  mark: z
    .boolean()
    .default(false)
    .describe("substring: keep the text whole and list the repeated byte ranges in the field `repeated`"),
  part: z
    .int()
    .min(1024)
    .max(2 ** 28)
    .default(2 ** 26)
    .describe("substring: bytes sorted at a time; each thread needs about 7 times as much memory")
    .meta({ value: "N" }),
  ...readingOptions,
  workers: z.int().min(1).max(1024).optional().describe("worker threads; default: all cores").meta({ value: "N" }),
});

/** Where the tasks run; the output does not depend on it. */
export const deduplicateExecutor = z.object(executorOptions);

/** All options of the command `quern data deduplicate`. */
export const deduplicateFlags = deduplicateOptions.extend(deduplicateExecutor.shape);
