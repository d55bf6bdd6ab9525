/**
 * @file The options that all post-training verbs share.
 *
 * Defaults are filled in when the run is planned (`run.ts`), not by the schema: a resumed run must distinguish given options
 * from defaults.
 */
import { z } from "zod";
import { forceOption } from "../options.js";
import { SCHEDULES } from "../train/index.js";

/** What to do with an example that is too long: `right` keeps its beginning, `left` its end, `drop` leaves it out. */
export const TRUNCATIONS = ["right", "left", "drop"] as const;
export type Truncation = (typeof TRUNCATIONS)[number];

/** Which tokens of a training example are learned. */
export const LOSS_ON = ["completion", "assistant", "last", "all"] as const;
export type LossOn = (typeof LOSS_ON)[number];

const count = () => z.int().min(1);

export const alignOptions = z.object({
  model: z
    .string()
    .optional()
    .describe("model to train: a run, a Hugging Face folder, a .gguf file or hf://OWNER/NAME")
    .meta({ value: "DIR" }),
  out: z.string().describe("folder of the run: checkpoints, metrics, report").meta({ value: "RUN" }),
  force: forceOption,
  steps: count().optional().describe("optimizer steps; instead of --epochs").meta({ value: "N" }),
  epochs: z
    .number()
    .positive()
    .optional()
    .describe("passes over the examples (default 3, unless --steps or --minutes is given)")
    .meta({ value: "N" }),
  minutes: z
    .number()
    .positive()
    .optional()
    .describe("time budget in minutes, from which the steps follow; instead of --epochs")
    .meta({ value: "M" }),
  batch: count()
    .optional()
    .describe("examples, pairs or prompts per batch; each rank has its own batches (default 8)")
    .meta({ value: "B" }),
  accumulate: count().optional().describe("batches per optimizer step and rank (default 1)").meta({ value: "N" }),
  learningRate: z
    .number()
    .min(0)
    .optional()
    .describe("peak learning rate (default: from the algorithm and the model's width)")
    .meta({ value: "R", flag: "lr" }),
  schedule: z.enum(SCHEDULES).optional().describe("learning rate schedule after the warm-up (default linear)"),
  warmup: z.int().min(0).optional().describe("warm-up steps (default 0)").meta({ value: "N" }),
  decay: z.number().min(0).optional().describe("weight decay of matrices (default 0)").meta({ value: "X" }),
  clip: z.number().positive().optional().describe("maximum gradient norm (default 1)").meta({ value: "X" }),
  maxLength: z
    .int()
    .min(2)
    .optional()
    .describe("longest example in tokens (default: the longest of the data, at most 1024 and the model's sequence)")
    .meta({ value: "T" }),
  truncate: z
    .enum(TRUNCATIONS)
    .optional()
    .describe(
      "what to do with longer examples: keep their beginning (right), their end (left), or drop them (default right)",
    ),
  template: z
    .string()
    .optional()
    .describe("chat template: chatml, zephyr, alpaca or a Jinja file (default: the model's own; chatml if it has none)")
    .meta({ value: "NAME|FILE" }),
  lora: count()
    .optional()
    .describe("train LoRA adapters of this rank instead of the whole model; checkpoints are PEFT adapters")
    .meta({ value: "RANK" }),
  loraAlpha: z.number().positive().optional().describe("LoRA's alpha (default 2 × the rank)").meta({ value: "A" }),
  loraTargets: z
    .array(z.string())
    .min(1)
    .optional()
    .describe("projections with an adapter, such as q_proj,v_proj (default all of the layers)")
    .meta({ value: "NAME", separator: "," }),
  loraDropout: z
    .number()
    .min(0)
    .lt(1)
    .optional()
    .describe("dropout of the adapters' inputs (default 0)")
    .meta({ value: "P" }),
  rslora: z.boolean().optional().describe("scale adapters by alpha / √rank instead of alpha / rank"),
  dtype: z
    .enum(["auto", "fp32", "bf16"])
    .optional()
    .describe("dtype of the matrix products (default auto: the fastest here)"),
  zero: z
    .int()
    .min(0)
    .max(2)
    .optional()
    .describe(
      "ZeRO stage of several ranks: 1 divides the optimizer's moments among them, 2 the gradients too (default 0)",
    )
    .meta({ value: "0|1|2" }),
  threads: count().max(256).optional().describe("threads of each rank (default: its cores)").meta({ value: "N" }),
  seed: z
    .int()
    .min(0)
    .optional()
    .describe("seed of the order, the rollouts and new parameters (default 0)")
    .meta({ value: "S" }),
  order: z.enum(["shuffled", "given"]).optional().describe("order of the examples (default shuffled)"),
  evalData: z
    .array(z.string())
    .min(1)
    .optional()
    .describe("held-out data of the same form, evaluated along the way; the best checkpoint is kept")
    .meta({ value: "FILE" }),
  evalEvery: z
    .union([count(), z.literal("end")], {
      error: "must be a whole number of at least 1, or end",
    })
    .optional()
    .describe("steps between evaluations, or end for one after the last step (default: about ten per run)")
    .meta({ value: "N|end" }),
  saveEvery: count()
    .optional()
    .describe(
      "steps between checkpoints (default: one every ten minutes, or one at each evaluation along the way, and one at the end)",
    )
    .meta({ value: "N" }),
  keep: count()
    .optional()
    .describe(
      "checkpoints to keep: the last N and the best on the evaluation data (default all; 1 with --eval-data alone)",
    )
    .meta({ value: "N" }),
  reportTo: z
    .enum(["tensorboard"])
    .optional()
    .describe("write the metrics as event files for TensorBoard too, into the folder of the run"),
  strict: z
    .boolean()
    .optional()
    .describe(
      "stop at the first damaged file or line instead of skipping it; a row of another form always stops the run",
    ),
  resume: z.boolean().default(false).describe("resume the run in --out from its newest checkpoint"),
});

/** The options of every verb that reads examples. */
export const dataOption = z
  .array(z.string())
  .min(1)
  .optional()
  .describe("training examples: .jsonl (also .gz, .zst), .json, .parquet, folders, hf://datasets/OWNER/NAME")
  .meta({ value: "FILE" });

export type AlignOptions = z.output<typeof alignOptions>;
