/** @file The option schema of `quern eval summary` and `evaluationSummary()`. */
import { z } from "zod";

export const summaryOptions = z.object({
  results: z
    .array(z.string())
    .min(1)
    .describe("results.json files of quern eval or lm-eval, or folders of them; a folder's files are joined by model")
    .meta({ value: "RESULTS" }),
});
