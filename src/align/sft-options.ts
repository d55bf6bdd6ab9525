/** @file The options of `quern sft` and `sft()`. */
import { z } from "zod";
import { alignOptions, dataOption, LOSS_ON } from "./options.js";

export const sftOptions = alignOptions.extend({
  data: dataOption,
  lossOn: z
    .enum(LOSS_ON)
    .optional()
    .describe(
      "tokens that are learned: the completion, every assistant turn, the last one, or all (default assistant for messages, otherwise completion)",
    ),
  packing: z.boolean().optional().describe("pack several examples into a row; they do not see each other"),
});
