/** @file The options of deduplication, shared by the library and the command line. */
import { z } from "zod";

export const deduplicateOptions = z.object({
  inputs: z
    .array(z.string())
    .min(1)
    .describe("JSONL, Parquet or text files, or folders of them")
    .meta({ value: "INPUT" }),
  out: z.string().describe("folder for documents/ and removed.jsonl").meta({ value: "DIR" }),
  by: z
    .enum(["url", "document", "line", "paragraph", "near"])
    .describe("what is compared: addresses, whole texts, their lines or paragraphs, or MinHash signatures"),
  bands: z.int().min(1).max(1000).default(14).describe("near: bands of a signature").meta({ value: "N" }),
  rows: z.int().min(1).max(1000).default(8).describe("near: values in a band").meta({ value: "N" }),
  ngram: z.int().min(1).max(100).default(5).describe("near: words in an n-gram").meta({ value: "N" }),
  keep: z
    .enum(["longest", "first", "quality", "none"])
    .optional()
    .describe(
      "which copy stays: the longest (default of documents), the one with the highest `quality`, the first (default of lines and paragraphs), or none",
    ),
});
