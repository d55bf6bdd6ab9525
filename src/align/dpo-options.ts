/** @file The options of `quern dpo` and `dpo()`. */
import { z } from "zod";
import { UNPAIRED_LOSSES } from "./losses/kto.js";
import { F_DIVERGENCES, PREFERENCE_DEFAULTS, PREFERENCE_LOSSES } from "./losses/preference.js";
import { alignOptions, dataOption } from "./options.js";

/** Names that stand for a mixture of losses, by their papers. */
export const MIXTURES = {
  cpo: { cpo: 1, sft: 1 },
  orpo: { orpo: 1, sft: 1 },
} as const;

const names = ["sft", ...Object.keys(PREFERENCE_LOSSES), ...Object.keys(UNPAIRED_LOSSES)];

export const dpoOptions = alignOptions.extend({
  data: dataOption,
  reference: z
    .string()
    .optional()
    .describe("reference model (default: the model as it is before training)")
    .meta({ value: "DIR" }),
  loss: z
    .array(z.enum(names))
    .min(1)
    .optional()
    .describe(`losses, several for a mixture: ${names.join(", ")} (default sigmoid)`)
    .meta({ value: "NAME", separator: "," }),
  lossWeights: z
    .array(z.number())
    .min(1)
    .optional()
    .describe("weights of the losses, in their order (default 1 each)")
    .meta({ value: "W", separator: "," }),
  beta: z
    .number()
    .positive()
    .optional()
    .describe(`scale of the implicit reward (default ${PREFERENCE_DEFAULTS.beta}; simpo 2)`)
    .meta({ value: "B" }),
  labelSmoothing: z
    .number()
    .min(0)
    .lt(0.5)
    .optional()
    .describe("probability that a preference is labelled the wrong way round (default 0)")
    .meta({ value: "E" }),
  fDivergence: z
    .enum(F_DIVERGENCES)
    .optional()
    .describe("divergence that keeps the policy near the reference (default reverse_kl)"),
  alpha: z.number().optional().describe("α of the alpha-divergence (default 0.5)").meta({ value: "A" }),
  gamma: z.number().optional().describe("SimPO's margin between the rewards (default 0.5)").meta({ value: "G" }),
  discopopTau: z.number().positive().optional().describe("temperature of discopop (default 0.05)").meta({ value: "T" }),
  desirableWeight: z
    .number()
    .min(0)
    .optional()
    .describe("weight of answers that are labelled good, for kto and apo_zero_unpaired (default 1)")
    .meta({ value: "W" }),
  undesirableWeight: z
    .number()
    .min(0)
    .optional()
    .describe("weight of answers that are labelled bad, for the same (default 1)")
    .meta({ value: "W" }),
  weighting: z
    .boolean()
    .optional()
    .describe(
      "weigh pairs by how likely the policy is to produce that answer itself (WPO); not for aot and aot_unpaired",
    ),
  lengthAlpha: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe("weight of the tokens beyond the shorter answer's length (default 1; LD-DPO: 0 to 1)")
    .meta({ value: "A" }),
});
