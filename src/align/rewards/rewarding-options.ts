/** @file The options of every verb that rewards completions. */
import { z } from "zod";

export const rewardingOptions = {
  reward: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe(
      "rewards, added up: exact, numeric, math, choice, regex, json, length, soft_overlong, think_format, code, judge, with " +
        "options as NAME:KEY=VALUE; a .ts or .js file that exports reward(prompt, completion, example); a run with a reward model",
    )
    .meta({ value: "NAME|FILE|RUN", separator: "," }),
  rewardWeights: z
    .array(z.number())
    .min(1)
    .optional()
    .describe("weight of each reward (default 1 each)")
    .meta({ value: "W", separator: "," }),
  rewardTimeout: z
    .number()
    .positive()
    .optional()
    .describe("seconds for one call of a reward (default 60)")
    .meta({ value: "S" }),
  allowCode: z
    .boolean()
    .optional()
    .describe("let the reward code run generated code even if this system cannot isolate it"),
};
