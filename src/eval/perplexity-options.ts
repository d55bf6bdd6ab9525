/** @file The option schema of `quern perplexity` and `perplexity()`. */
import { z } from "zod";
import { readingOptions } from "../documents/index.js";

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
