/** @file The command-line options of `quern data corpus`. */
import { z } from "zod";
import { readingOptions } from "../../documents/index.js";
import { executorOptions } from "../../executors/index.js";
import { forceOption } from "../../options.js";

export const corpusOptions = z.object({
  inputs: z
    .array(z.string())
    .min(1)
    .describe("web archives, HTML, text, JSONL or Parquet files, folders of them, https://, hf:// or cc:// addresses")
    .meta({ value: "INPUT" }),
  recipe: z
    .string()
    .describe("a JSON file, or a TypeScript file that exports defineCorpus(...)")
    .meta({ value: "FILE" }),
  out: z.string().describe("folder for the stages, shards/, manifest.json and report.html").meta({ value: "DIR" }),
  force: forceOption,
  ...readingOptions,
  workers: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe("worker threads (default: all cores); the output is the same for any number")
    .meta({ value: "N" }),
  ...executorOptions,
});
