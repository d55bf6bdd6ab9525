/** @file What can be said about generating text: the schema of `quern generate`, `generate()` and `generateText()`. */
import { z } from "zod";

export const generateOptions = z.object({
  model: z
    .string()
    .describe("a run (its newest checkpoint), a Hugging Face folder, a .gguf file or hf://OWNER/NAME")
    .meta({ value: "MODEL" }),
  prompt: z
    .string()
    .optional()
    .describe("the text to continue; empty begins a new one; - reads standard input, without its last line end"),
  prompts: z
    .string()
    .optional()
    .describe('instead of --prompt, a JSONL file: a line has "prompt", or "messages" for the model\'s chat template')
    .meta({ value: "FILE" }),
  n: z
    .int()
    .min(1)
    .max(100_000)
    .default(1)
    .describe("completions of each prompt; number i, from 0, is what --n 1 gives with seed S + i")
    .meta({ value: "N" }),
  tokens: z.int().min(1).default(200).describe("most tokens to add").meta({ value: "N" }),
  temperature: z
    .number()
    .min(0)
    .default(0.8)
    .describe("0 takes the likeliest token each time, 1 draws as the model predicts, between is bolder than 0")
    .meta({ value: "T" }),
  topK: z.int().min(0).default(50).describe("draw from the K likeliest tokens alone; 0 from all").meta({ value: "K" }),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe("draw from the likeliest tokens that together have probability P; 1 from all")
    .meta({ value: "P" }),
  minP: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("draw from tokens at least P times as likely as the likeliest; 0 from all")
    .meta({ value: "P" }),
  repetitionPenalty: z
    .number()
    .positive()
    .default(1)
    .describe("divides the logits of tokens that the text has already (multiplies negative ones); 1 changes nothing")
    .meta({ value: "R" }),
  stop: z
    .array(z.string().min(1))
    .default([])
    .describe("end before the first of these strings, which is not printed")
    .meta({ value: "TEXT" }),
  seed: z.int().min(0).default(0).describe("seed of the draws: the same seed gives the same text").meta({ value: "S" }),
  topLogits: z
    .int()
    .min(1)
    .optional()
    .describe(
      "list the K likeliest tokens after each prompt, before any change by sampling, instead of a text (with --json, beside it)",
    )
    .meta({ value: "K" }),
  threads: z.int().min(1).max(256).optional().describe("threads (default all cores)").meta({ value: "N" }),
  cache: z
    .boolean()
    .default(true)
    .describe("keep the keys and values of the text so far")
    .meta({ off: "compute the whole text anew for every token (slow; for checking)" }),
});
