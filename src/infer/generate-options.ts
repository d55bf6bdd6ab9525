/** @file The option schema of `quern generate`, `generate()` and `generateText()`. */
import { z } from "zod";
import { WEIGHT_TYPES } from "./weight-type.js";

export const generateOptions = z.object({
  model: z
    .string()
    .describe("a run (its newest checkpoint), a Hugging Face folder, a .gguf file or hf://OWNER/NAME")
    .meta({ value: "MODEL" }),
  prompt: z
    .string()
    .optional()
    .describe("text to continue; empty starts a new text; - reads standard input without its final newline"),
  prompts: z
    .string()
    .optional()
    .describe(
      'JSONL file to use instead of --prompt: each line has "prompt", or "messages" for the model\'s chat template',
    )
    .meta({ value: "FILE" }),
  n: z
    .int()
    .min(1)
    .max(100_000)
    .default(1)
    .describe("completions per prompt; completion i, from 0, equals --n 1 with seed S + i")
    .meta({ value: "N" }),
  tokens: z.int().min(1).default(200).describe("maximum tokens to generate").meta({ value: "N" }),
  temperature: z
    .number()
    .min(0)
    .default(0.8)
    .describe("0 is greedy, 1 samples from the model's distribution, lower sharpens it, higher flattens it")
    .meta({ value: "T" }),
  topK: z.int().min(0).default(50).describe("sample from the K likeliest tokens; 0 means all").meta({ value: "K" }),
  topP: z
    .number()
    .gt(0)
    .max(1)
    .default(1)
    .describe("sample from the likeliest tokens whose probabilities add up to P; 1 means all")
    .meta({ value: "P" }),
  minP: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe("sample from tokens at least P times as likely as the likeliest; 0 means all")
    .meta({ value: "P" }),
  repetitionPenalty: z
    .number()
    .positive()
    .default(1)
    .describe("divides the logits of tokens already in the text (multiplies negative ones); 1 turns it off")
    .meta({ value: "R" }),
  frequencyPenalty: z
    .number()
    .min(-2)
    .max(2)
    .default(0)
    .describe("subtracted from a token's logit for each of its occurrences in the generated text")
    .meta({ value: "F" }),
  presencePenalty: z
    .number()
    .min(-2)
    .max(2)
    .default(0)
    .describe("subtracted from the logits of all tokens in the generated text")
    .meta({ value: "P" }),
  schema: z
    .string()
    .optional()
    .describe(
      "file with a JSON Schema: each completion is a JSON document under it, which is completed within --tokens if it can be",
    )
    .meta({ value: "FILE" }),
  stop: z
    .array(z.string().min(1))
    .default([])
    .describe("end before the first of these strings; it is not printed")
    .meta({ value: "TEXT" }),
  seed: z.int().min(0).default(0).describe("random seed; the same seed generates the same text").meta({ value: "S" }),
  topLogits: z
    .int()
    .min(1)
    .optional()
    .describe(
      "list the K likeliest tokens after each prompt, from the raw logits, instead of generating (with --json, in addition)",
    )
    .meta({ value: "K" }),
  threads: z.int().min(1).max(256).optional().describe("threads (default all cores)").meta({ value: "N" }),
  weights: z
    .enum(WEIGHT_TYPES)
    .default("f32")
    .describe("how matrices are stored in memory: stored keeps the blocks of a .gguf file, others convert the weights")
    .meta({ value: "TYPE" }),
  kvDtype: z
    .enum(["f32", "f16", "bf16", "q8_0"])
    .default("f32")
    .describe("type of the cached keys and values; others than f32 take less memory and are rounded")
    .meta({ value: "TYPE" }),
  cache: z
    .boolean()
    .default(true)
    .describe("cache the keys and values of earlier tokens")
    .meta({ off: "recompute the whole text for every token (slow; for testing)" }),
});
