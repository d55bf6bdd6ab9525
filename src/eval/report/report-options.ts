/** @file The options of `quern eval report` and `reportEvaluation()`. */
import { z } from "zod";
import { forceOption } from "../../options.js";

export const evaluationReportOptions = z.object({
  run: z
    .string()
    .describe("folder of an evaluation by quern eval --log-samples or lm-eval --log_samples, or its results file")
    .meta({ value: "RUN" }),
  against: z
    .string()
    .optional()
    .describe("folder of another evaluation: what changed, by a paired test per task and metric")
    .meta({ value: "RUN" }),
  tokenizer: z
    .string()
    .optional()
    .describe("tokenizer that shows the tokens of prompts: a folder, a file, or gpt2, cl100k, o200k")
    .meta({ value: "T" }),
  html: z.string().optional().describe("write the page to this file").meta({ value: "FILE" }),
  force: forceOption,
});
