/** @file The option schema of `quern perplexity` and `perplexity()`. */
import { z } from "zod";
import { readingOptions } from "../documents/index.js";
import { forceOption } from "../options.js";

export const perplexityOptions = z.object({
  model: z
    .string()
    .describe("a run (its newest checkpoint), a Hugging Face folder, a .gguf file or hf://OWNER/NAME")
    .meta({ value: "MODEL" }),
  files: z
    .array(z.string())
    .min(1)
    .describe("text, Markdown, JSONL or Parquet files, or folders of them")
    .meta({ value: "FILE" }),
  ...readingOptions,
  by: z
    .string()
    .min(1)
    .optional()
    .describe(
      "key of JSON lines, or column of Parquet, that names a document's domain, such as source (default each file given, and " +
        "each file or folder directly in a folder given)",
    )
    .meta({ value: "NAME" }),
  sequence: z
    .int()
    .min(2)
    .optional()
    .describe("tokens per window (default the model's context length, at most 1024)")
    .meta({ value: "T" }),
  stride: z
    .int()
    .min(1)
    .optional()
    .describe("tokens from one window's start to the next (default half a window; a full window is fastest)")
    .meta({ value: "N" }),
  threads: z.int().min(1).max(256).optional().describe("threads (default all cores)").meta({ value: "N" }),
});

/** The options of `quern perplexity` and `comparePerplexity()`. */
export const perplexityComparisonOptions = perplexityOptions.extend({
  against: z.array(z.string()).default([]).describe("other models to score on the same text").meta({ value: "MODEL" }),
  tokenizers: z
    .array(z.string())
    .default([])
    .describe("tokenizers whose tokens the model's nats are divided by: folders, files, or gpt2, cl100k, o200k")
    .meta({ value: "T" }),
  html: z.string().optional().describe("write a page with all tables to this file").meta({ value: "FILE" }),
  force: forceOption,
});
