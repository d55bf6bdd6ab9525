/** @file The options of `quern data extract`, checked alike for the command, its config file and the library. */
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
    .describe("in doubt leave out, keep, or neither"),
  ...readingOptions,
  jsonl: z
    .boolean()
    .default(false)
    .describe("a line of JSON for each document, as it is when standard output is no terminal"),
});
