/** @file The options of `quern data extract`, with one schema for the command, its config file and the library. */
import { z } from "zod";
import { readingOptions } from "../../documents/index.js";

export const extractOptions = z.object({
  inputs: z
    .array(z.string())
    .min(1)
    .describe("pages (.html), folders of them, web archives, documents (.txt, .jsonl, .parquet), or addresses")
    .meta({ value: "FILE|DIR|WARC|URL" }),
  format: z.enum(["text", "markdown"]).default("text").describe("plain text, or Markdown"),
  focus: z
    .enum(["precision", "balanced", "recall"])
    .default("balanced")
    .describe("precision leaves out doubtful parts, recall keeps them"),
  ...readingOptions,
  jsonl: z
    .boolean()
    .default(false)
    .describe("write one JSON line per document (the default if standard output is not a terminal)"),
});
