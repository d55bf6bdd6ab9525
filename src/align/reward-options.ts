/** @file The options of `quern reward` and `reward()`. */
import { z } from "zod";
import { alignOptions, dataOption, TRUNCATIONS } from "./options.js";

export const rewardOptions = alignOptions.extend({
  data: dataOption,
  center: z
    .number()
    .min(0)
    .optional()
    .describe("coefficient of the term that pulls the mean reward towards 0 (default 0; Eisenstein et al. use 0.01)")
    .meta({ value: "C" }),
  truncate: z
    .enum(TRUNCATIONS)
    .optional()
    .describe(
      "what to do with longer answers: keep their beginning (right), their end (left), or drop the pair (default drop)",
    ),
});
