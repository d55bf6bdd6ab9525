/** @file The options for decontamination, shared by the library and the command line. */
import { z } from "zod";
import { readingOptions } from "../../documents/index.js";
import { forceOption } from "../../options.js";

export const decontaminateOptions = z.object({
  inputs: z
    .array(z.string())
    .min(1)
    .describe("JSONL, Parquet or text files, or folders of them")
    .meta({ value: "INPUT" }),
  against: z
    .array(z.string())
    .min(1)
    .describe("evaluation sets: JSONL files with one example per line")
    .meta({ value: "FILE" }),
  out: z.string().describe("folder for documents/, removed.jsonl and contamination.jsonl").meta({ value: "DIR" }),
  force: forceOption,
  ngram: z.int().min(1).max(100).default(13).describe("words per n-gram").meta({ value: "N" }),
  threshold: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("share of an example's n-grams that a document must contain to match; 0: one n-gram is enough")
    .meta({ value: "R" }),
  remove: z
    .enum(["document", "span"])
    .default("document")
    .describe("what to remove: the whole document or only the overlap"),
  ...readingOptions,
  workers: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe("worker threads; default: all cores; the output does not depend on it")
    .meta({ value: "N" }),
});
