/** @file The options that rank completions by rewards: those of `bestOf()` and `quern generate` beside those of `generate()`. */
import { z } from "zod";
import { forceOption } from "../options.js";
import { rewardingOptions } from "./rewards/rewarding-options.js";

export const rankingOptions = z.object({
  bestOf: z
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe("generate N completions per prompt and rank them by --reward; prints the best one, --json all")
    .meta({ value: "N" }),
  ...rewardingOptions,
  keepAbove: z
    .number()
    .optional()
    .describe("for --out: keep every different completion with a reward above X (rejection sampling), not the best one")
    .meta({ value: "X" }),
  out: z
    .string()
    .optional()
    .describe("write prompts with their best completions as JSONL for quern sft")
    .meta({ value: "FILE" }),
  force: forceOption,
});
