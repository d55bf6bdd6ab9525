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
      "what is compared: addresses, whole texts, MinHash signatures; lines, paragraphs, spans of sentences, or spans of any characters",
    ),
  keep: z
    .enum(["longest", "first", "quality", "none"])
    .optional()
    .describe(
      "which copy stays: the longest (default of documents), the one with the highest `quality`, the first (default of what is smaller), or none (not of documents)",
    ),
  bands: z.int().min(1).max(1000).default(14).describe("near: bands of a signature").meta({ value: "N" }),
  rows: z.int().min(1).max(1000).default(8).describe("near: values in a band").meta({ value: "N" }),
  ngram: z.int().min(1).max(100).default(5).describe("near: words in an n-gram").meta({ value: "N" }),
  sentences: z.int().min(1).max(100).default(3).describe("sentence: sentences in a span").meta({ value: "N" }),
  length: z
    .int()
    .min(1)
    .max(2 ** 20)
    .optional()
    .describe("substring: the shortest span, in bytes (100) or, with a tokenizer, tokens (50)")
    .meta({ value: "N" }),
  tokenizer: z
    .string()
    .optional()
    .describe("substring: compare this tokenizer's tokens instead of bytes")
    .meta({ value: "PATH" }),
  mark: z
    .boolean()
    .default(false)
    .describe("substring: leave the text whole and list its byte ranges in the field `repeated`"),
  part: z
    .int()
    .min(1024)
    .max(2 ** 28)
    .default(2 ** 26)
    .describe("substring: bytes sorted at a time; a thread takes about 7 times as much memory")
    .meta({ value: "N" }),
  ...readingOptions,
  workers: z.int().min(1).max(1024).optional().describe("worker threads; default: all cores").meta({ value: "N" }),
});

/** Who runs the tasks, which does not change what comes out. */
export const deduplicateExecutor = z.object(executorOptions);

/** The options of the verb. */
export const deduplicateFlags = deduplicateOptions.extend(deduplicateExecutor.shape);
