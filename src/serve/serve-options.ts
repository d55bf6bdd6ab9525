/** @file The option schema of `quern serve` and `serve()`. */
import { z } from "zod";
import type { WeightType } from "../infer/index.js";
import type { KvDType } from "../model/index.js";

/** As `WEIGHT_TYPES` of `infer`, which the help of the verb need not load. */
const WEIGHT_TYPES = ["f32", "stored", "bf16", "f16", "q8_0", "q4_0", "q4_k", "q6_k"] as const satisfies WeightType[];
const KV_DTYPES = ["f32", "f16", "bf16", "q8_0"] as const satisfies KvDType[];

export const serveOptions = z.object({
  model: z
    .array(z.string().min(1))
    .min(1)
    .describe(
      "models to serve, each PATH or NAME=PATH: a run, a Hugging Face folder, a .gguf file or hf://OWNER/NAME; clients call it by " +
        "NAME, by default its folder's name",
    )
    .meta({ value: "MODEL" }),
  adapter: z
    .array(z.string().regex(/^[^=]+=./, "must be NAME=DIR"))
    .default([])
    .describe("LoRA adapters, each NAME=DIR, served beside the model that they adapt")
    .meta({ value: "NAME=DIR" }),
  port: z.int().min(0).max(65_535).default(8080).describe("port; 0 chooses a free one").meta({ value: "N" }),
  host: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("address to listen on; one that other machines can reach needs --api-key")
    .meta({ value: "ADDRESS" }),
  slots: z.int().min(1).max(256).default(8).describe("completions that a model decodes at once").meta({ value: "N" }),
  context: z
    .int()
    .min(1)
    .optional()
    .describe("longest text in tokens, prompt and answer (default the model's, or what half of the free memory holds)")
    .meta({ value: "N" }),
  weights: z
    .enum(WEIGHT_TYPES)
    .optional()
    .describe(
      "how matrices are stored in memory (default stored, the blocks of a .gguf file, or else f32); others convert them",
    )
    .meta({ value: "TYPE" }),
  kvDtype: z
    .enum(KV_DTYPES)
    .default("f32")
    .describe("type of the cached keys and values; others than f32 take less memory and are rounded")
    .meta({ value: "TYPE" }),
  apiKey: z
    .string()
    .min(1)
    .optional()
    .describe("key that clients must send as a bearer token (default QUERN_SERVE_API_KEY; none)")
    .meta({ value: "KEY" }),
  cors: z
    .array(z.string().min(1))
    .default([])
    .describe("origins of pages that may call this server, besides those of localhost; * allows all")
    .meta({ value: "ORIGIN" }),
  bodyLimit: z
    .int()
    .min(1)
    .default(8 << 20)
    .describe("largest body of a request, in bytes")
    .meta({ value: "N" }),
  concurrency: z
    .int()
    .min(1)
    .default(256)
    .describe("requests that run or wait at once; more are refused with status 429")
    .meta({ value: "N" }),
  idle: z
    .number()
    .min(0)
    .default(600)
    .describe("seconds without a request after which a model is unloaded; 0 never unloads")
    .meta({ value: "SECONDS" }),
  threads: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe("threads of each model (default all cores)")
    .meta({ value: "N" }),
});

export type ServeSettings = z.output<typeof serveOptions>;
