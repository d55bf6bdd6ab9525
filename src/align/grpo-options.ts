/** @file The options of `quern grpo` and `grpo()`, and those that it shares with `quern ppo`. */
import { z } from "zod";
import { alignOptions } from "./options.js";
import { rewardingOptions } from "./rewards/rewarding-options.js";

const count = () => z.int().min(1);

/** Options of the algorithms that sample completions. */
export const rolloutOptions = alignOptions.extend({
  prompts: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(
      'prompts: rows with "prompt" (text or messages) and what the reward needs, such as "answer"; .jsonl, .json, .parquet, hf://',
    )
    .meta({ value: "FILE" }),
  ...rewardingOptions,
  tokens: count().optional().describe("longest completion of a rollout, in tokens (default 128)").meta({ value: "N" }),
  updates: count()
    .optional()
    .describe("optimizer steps on the completions of one rollout (default 1 for grpo, 4 for ppo)")
    .meta({ value: "N" }),
  maskTruncated: z.boolean().optional().describe("leave out completions that hit the token limit"),
  maxKl: z
    .number()
    .positive()
    .optional()
    .describe("stop when the KL divergence from the reference exceeds this (default 20)")
    .meta({ value: "X" }),
  minCompletion: z
    .number()
    .min(0)
    .optional()
    .describe("stop when the mean completion is shorter than this, in tokens")
    .meta({ value: "N" }),
  maxCompletion: z
    .number()
    .min(0)
    .optional()
    .describe("stop when the mean completion is longer than this, in tokens")
    .meta({ value: "N" }),
  minEntropy: z
    .number()
    .min(0)
    .optional()
    .describe("stop when the entropy falls below this, in nats (default 0.001)")
    .meta({ value: "X" }),
});

/** Losses of `grpo`; rloo and reinforce++ are the clipped loss with advantages of their own. */
export const GRPO_NAMES = [
  ...["grpo", "bnpo", "dapo", "dr_grpo", "cispo", "sapo", "luspo", "vespo"],
  ...["gspo", "rloo", "reinforce++"],
] as const;

export const grpoOptions = rolloutOptions.extend({
  group: z.int().min(2).optional().describe("completions per prompt (default 8)").meta({ value: "N" }),
  loss: z
    .enum(GRPO_NAMES as unknown as [string, ...string[]])
    .optional()
    .describe("loss (default dapo; gspo is grpo with ratios of whole completions)"),
  beta: z
    .number()
    .min(0)
    .optional()
    .describe(
      "weight of the KL divergence from the reference, which is the model before training (default 0; 0.05 for rloo)",
    )
    .meta({ value: "B" }),
  klIn: z
    .enum(["loss", "reward"])
    .optional()
    .describe(
      "where the KL counts: in the loss of each token (k3), or as a sum over the completion (k1) in its reward (default loss; reward for rloo)",
    ),
  classicKl: z.boolean().optional().describe("estimate the KL as the GRPO paper does, without correcting its gradient"),
  epsilon: z
    .number()
    .positive()
    .optional()
    .describe("ratios are clipped to 1 ± this (default 0.2)")
    .meta({ value: "E" }),
  epsilonHigh: z
    .number()
    .positive()
    .optional()
    .describe("upper clip of the ratios (default: epsilon; cispo 5)")
    .meta({ value: "E" }),
  scaleRewards: z
    .enum(["group", "batch", "none"])
    .optional()
    .describe("standard deviation that advantages are divided by (default group; none for dr_grpo and rloo)"),
  entropyBonus: z.number().min(0).optional().describe("weight of the entropy bonus (default 0)").meta({ value: "X" }),
});
