/** @file The options of `quern ppo` and `ppo()`. */
import { z } from "zod";
import { KL_ESTIMATORS } from "./gae.js";
import { rolloutOptions } from "./grpo-options.js";

const share = () => z.number().min(0).max(1);

export const ppoOptions = rolloutOptions.extend({
  value: z
    .string()
    .optional()
    .describe(
      "model that the value model starts from (default: the reward model if there is one, otherwise the policy)",
    )
    .meta({ value: "DIR" }),
  klCoef: z
    .number()
    .min(0)
    .optional()
    .describe("coefficient of the KL divergence in the reward of each token (default 0.05)")
    .meta({ value: "C" }),
  klTarget: z
    .number()
    .positive()
    .optional()
    .describe("KL of a completion, in nats, that the coefficient adapts to (default: the coefficient stays)")
    .meta({ value: "X" }),
  klEstimator: z.enum(KL_ESTIMATORS).optional().describe("estimate of the KL in the reward (default k1)"),
  minibatches: z
    .int()
    .min(1)
    .optional()
    .describe("parts of a batch, each an optimizer step (default 1)")
    .meta({ value: "N" }),
  gamma: share().optional().describe("discount of later rewards (default 1)").meta({ value: "G" }),
  lambda: share().optional().describe("λ of generalised advantage estimation (default 0.95)").meta({ value: "L" }),
  epsilon: z
    .number()
    .positive()
    .optional()
    .describe("ratios are clipped to 1 ± this (default 0.2)")
    .meta({ value: "E" }),
  valueEpsilon: z
    .number()
    .positive()
    .optional()
    .describe("clip of the change of a value (default 0.2)")
    .meta({ value: "E" }),
  valueWeight: z.number().min(0).optional().describe("weight of the value loss (default 0.1)").meta({ value: "W" }),
  entropyBonus: z.number().min(0).optional().describe("weight of the entropy bonus (default 0)").meta({ value: "X" }),
  missingEosPenalty: z
    .number()
    .min(0)
    .optional()
    .describe("subtracted from the reward of a completion that does not end (default 0)")
    .meta({ value: "X" }),
  whitenRewards: z.boolean().optional().describe("divide the rewards by their standard deviation"),
});
