/** @file The options of a conversation: the schema of `quern chat` and of `openChat()`. */
import { z } from "zod";
import { generateOptions } from "./generate-options.js";

const { model, temperature, topK, topP, minP, repetitionPenalty, seed, threads } = generateOptions.shape;

export const chatOptions = z.object({
  model,
  baseUrl: z
    .string()
    .regex(/^https?:\/\//, "must begin with http:// or https://")
    .optional()
    .describe("an OpenAI-compatible server, up to /v1, that has the model; its key is in OPENAI_API_KEY")
    .meta({ value: "URL" }),
  system: z.string().optional().describe("the system message that begins the conversation").meta({ value: "TEXT" }),
  maxTokens: z.int().min(1).default(512).describe("most tokens of an answer").meta({ value: "N" }),
  temperature,
  topK,
  topP,
  minP,
  repetitionPenalty,
  seed,
  threads,
});
