/** @file The options of fitting a classifier by one of its recipes, shared by the library and the command line. */
import { z } from "zod";
import { readingOptions } from "../../documents/index.js";
import { forceOption } from "../../options.js";

export const FIT_KINDS = ["reference", "educational", "language", "topic", "spam", "adult"] as const;

const inputs = (what: string) => z.array(z.string()).min(1).optional().describe(what).meta({ value: "INPUT" });

export const fitOptions = z.object({
  kind: z
    .enum(FIT_KINDS)
    .describe("what it is to tell: reference-like or not, educational value, language, topic, spam, adult"),
  out: z.string().describe("the model's file; its card, NAME.json, comes beside it").meta({ value: "NAME.bin" }),
  force: forceOption,
  good: inputs("reference, spam, adult: documents as they should be"),
  rest: inputs("reference, spam, adult: others (the web as it is; spam; adult pages)"),
  documents: inputs("educational, language, topic: documents whose labels are in their lines or in --labels"),
  field: z
    .string()
    .min(1)
    .optional()
    .describe("the field of the lines that holds the label (default language, topic, or grade)")
    .meta({ value: "NAME" }),
  ...readingOptions,
  labels: z
    .string()
    .optional()
    .describe('labels by id, JSONL lines {"id": …, "label": …}; with --endpoint, where its grades are kept')
    .meta({ value: "FILE" }),
  endpoint: z
    .string()
    .regex(/^https?:\/\//, "must begin with http:// or https://")
    .optional()
    .describe(
      "educational: an OpenAI-compatible address, up to /v1, that grades from 0 to 5; key in QUERN_API_KEY or OPENAI_API_KEY",
    )
    .meta({ value: "URL" }),
  model: z.string().optional().describe("model of the endpoint").meta({ value: "NAME" }),
  samples: z.int().min(10).default(1000).describe("documents that the endpoint grades").meta({ value: "N" }),
  dim: z.int().min(1).max(4096).optional().describe("width of the vectors").meta({ value: "N" }),
  epoch: z.int().min(1).optional().describe("passes over the texts").meta({ value: "N" }),
  lr: z.number().positive().optional().describe("learning rate at the start").meta({ value: "R" }),
});
