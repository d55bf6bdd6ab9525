/** @file The option schema of `quern arena simulate` and `simulateVotes()`. */
import { z } from "zod";
import { openingOptions } from "../judge/live/judge-options.js";

export const simulateOptions = z.object({
  models: z
    .array(z.string())
    .min(1)
    .describe(
      "two or more: models (runs, folders, .gguf files, hf://OWNER/NAME, URL#NAME of a server) or files with their answers",
    )
    .meta({ value: "MODEL|FILE" }),
  prompts: z
    .string()
    .describe("prompts: JSON or JSON lines with instruction, prompt or messages")
    .meta({ value: "FILE" }),
  out: z.string().describe("folder for answers and judgements").meta({ value: "DIR" }),
  votes: z
    .string()
    .optional()
    .describe("file to which votes are appended (default DIR/votes.jsonl)")
    .meta({ value: "FILE" }),
  battles: z
    .int()
    .min(1)
    .optional()
    .describe("battles, drawn at random without repetition (default every two models on every prompt)")
    .meta({ value: "N" }),
  ...openingOptions,
  system: z.string().optional().describe("system message for all models").meta({ value: "TEXT" }),
  maxTokens: z.int().min(1).default(512).describe("maximum tokens of an answer").meta({ value: "N" }),
  temperature: z
    .number()
    .min(0)
    .default(0)
    .describe("sampling temperature of answers; 0 is greedy")
    .meta({ value: "T" }),
  seed: z.int().min(0).default(0).describe("seed of sampled answers and of the drawn battles").meta({ value: "S" }),
});
