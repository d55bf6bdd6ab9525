/** @file The option schema of `quern arena serve` and `arenaServe()`. */
import { z } from "zod";

export const arenaServeOptions = z.object({
  models: z
    .array(z.string())
    .min(1)
    .describe(
      "two or more models: runs, Hugging Face folders, .gguf files, hf://OWNER/NAME, or URL#NAME for the model NAME of an " +
        "OpenAI-compatible server at URL (up to /v1; the API key is read from OPENAI_API_KEY)",
    )
    .meta({ value: "MODEL" }),
  votes: z.string().default("votes.jsonl").describe("file to which votes are appended").meta({ value: "FILE" }),
  port: z.int().min(0).max(65_535).default(8321).describe("port; 0 chooses a free one").meta({ value: "N" }),
  host: z
    .string()
    .default("127.0.0.1")
    .describe("address to listen on; 0.0.0.0 lets anyone on the network vote")
    .meta({ value: "ADDRESS" }),
  system: z.string().optional().describe("system message for all models").meta({ value: "TEXT" }),
  maxTokens: z.int().min(1).default(512).describe("maximum tokens of an answer").meta({ value: "N" }),
  temperature: z
    .number()
    .min(0)
    .optional()
    .describe("sampling temperature; 0 is greedy (default .8; servers use their own default)")
    .meta({ value: "T" }),
  threads: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe("threads of each local model (default all cores)")
    .meta({ value: "N" }),
});
