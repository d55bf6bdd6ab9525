/** @file The option schema of `quern chat` and `openChat()`. */
import { z } from "zod";
import { generateOptions } from "./generate-options.js";

const { model, temperature, topK, topP, minP, repetitionPenalty, seed, threads } = generateOptions.shape;

export const chatOptions = z.object({
  model,
  baseUrl: z
    .string()
    .regex(/^https?:\/\//, "must begin with http:// or https://")
    .optional()
    .describe(
      "address of an OpenAI-compatible server that serves the model, up to /v1; the API key is read from OPENAI_API_KEY",
    )
    .meta({ value: "URL" }),
  system: z.string().optional().describe("system message at the start of the conversation").meta({ value: "TEXT" }),
  maxTokens: z.int().min(1).default(512).describe("maximum tokens of an answer").meta({ value: "N" }),
  temperature,
  topK,
  topP,
  minP,
  repetitionPenalty,
  seed,
  threads,
});
