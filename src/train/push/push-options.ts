/** @file The option schema of `quern push` and `pushModel()`. */
import { z } from "zod";

export const pushOptions = z.object({
  model: z
    .string()
    .describe("what to upload: a run (its newest checkpoint), a Hugging Face folder or a LoRA adapter")
    .meta({ value: "RUN" }),
  address: z
    .string()
    .describe("model on the hub; it is created if it does not exist")
    .meta({ value: "hf://USER/NAME" }),
  license: z
    .string()
    .refine((id) => /^[a-z0-9][a-z0-9.+-]*$/.test(id), "must be a license id of the hub, such as apache-2.0")
    .optional()
    .describe("license id of the hub, such as apache-2.0 or mit (default unknown, with a warning)")
    .meta({ value: "ID" }),
  private: z.boolean().default(false).describe("create the model as a private one"),
  dryRun: z.boolean().default(false).describe("show the model card and the files; upload nothing"),
});
