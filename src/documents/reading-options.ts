/** @file The options of every verb that reads documents. */
import { z } from "zod";

export const readingOptions = {
  textField: z
    .string()
    .min(1)
    .default("text")
    .describe("key of JSON lines, or column of Parquet, that holds the text; a.b is b in a")
    .meta({ value: "NAME" }),
  strict: z.boolean().default(false).describe("stop with an error at the first damage instead of skipping it"),
};
