/** @file The options for fitting a classifier by a recipe, shared by the library and the command line. */
import { z } from "zod";
import { readingOptions } from "../../documents/index.js";
import { forceOption } from "../../options.js";

export const FIT_KINDS = ["reference", "educational", "language", "topic", "spam", "adult"] as const;

const inputs = (what: string) => z.array(z.string()).min(1).optional().describe(what).meta({ value: "INPUT" });

export const fitOptions = z.object({
  kind: z
    .enum(FIT_KINDS)
    .describe(
      "what to predict: similarity to reference texts, educational value, language, topic, spam or adult content",
    ),
  out: z.string().describe("model file; its card NAME.json is written next to it").meta({ value: "NAME.bin" }),
  force: forceOption,
  good: inputs("reference, spam, adult: good documents"),
  rest: inputs("reference, spam, adult: the others (ordinary web pages; spam; adult pages)"),
  documents: inputs("educational, language, topic: documents labelled by a field or by --labels"),
  field: z
    .string()
    .min(1)
    .optional()
    .describe("field with the label (default: language, topic or grade)")
    .meta({ value: "NAME" }),
  ...readingOptions,
  labels: z
    .string()
    .optional()
    .describe('labels by id: JSONL lines {"id": …, "label": …}; with --endpoint, new grades are added to this file')
    .meta({ value: "FILE" }),
  endpoint: z
    .string()
    .regex(/^https?:\/\//, "must begin with http:// or https://")
    .optional()
    .describe(
      "educational: OpenAI-compatible URL, up to /v1, of a model that grades from 0 to 5; key in QUERN_API_KEY or OPENAI_API_KEY",
    )
    .meta({ value: "URL" }),
  model: z.string().optional().describe("model of the endpoint").meta({ value: "NAME" }),
  samples: z.int().min(10).default(1000).describe("documents to send to the endpoint").meta({ value: "N" }),
  dim: z.int().min(1).max(4096).optional().describe("vector size").meta({ value: "N" }),
  epoch: z.int().min(1).optional().describe("training passes over the texts").meta({ value: "N" }),
  lr: z.number().positive().optional().describe("initial learning rate").meta({ value: "R" }),
});
