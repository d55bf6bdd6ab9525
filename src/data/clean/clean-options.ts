/** @file The options of cleaning, shared by the library and the command line. */
import { z } from "zod";
import { readingOptions } from "../../documents/index.js";
import { executorOptions } from "../../executors/index.js";
import { forceOption } from "../../options.js";

export const cleanOptions = z.object({
  inputs: z
    .array(z.string())
    .min(1)
    .describe("web archives, HTML, text, JSONL or Parquet files, folders of them, https://, hf:// or cc:// addresses")
    .meta({ value: "INPUT" }),
  out: z.string().describe("folder for documents/, funnel.json and report.html").meta({ value: "DIR" }),
  force: forceOption,
  recipe: z
    .string()
    .optional()
    .describe("a TypeScript file that exports defineRecipe(...), or fineweb (the default), fineweb-2 or as-is")
    .meta({ value: "FILE" }),
  workers: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe("worker threads; all cores by default; the output is the same for any number")
    .meta({ value: "N" }),
  keepDropped: z.boolean().default(false).describe("write what each step dropped to dropped/<step>/, with the reason"),
  dryRun: z.boolean().default(false).describe("show the plan and write nothing"),
  limit: z.int().min(1).optional().describe("stop after this many documents, to try a recipe").meta({ value: "N" }),
  sample: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe("clean only this share of the documents, chosen by a hash of their ids")
    .meta({ value: "X" }),
  largest: z
    .int()
    .min(1024)
    .default(16 << 20)
    .describe("largest document, line or page in bytes; larger ones are skipped and counted")
    .meta({ value: "BYTES" }),
  ...readingOptions,
  ...executorOptions,
});

export type CleanSettings = z.output<typeof cleanOptions>;
export type CleanInput = z.input<typeof cleanOptions>;
