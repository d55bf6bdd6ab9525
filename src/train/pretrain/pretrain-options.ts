/**
 * @file The options of `quern pretrain` and `pretrain()`.
 *
 * Defaults are filled in later (dial.ts), not by the schema, because a resumed run must distinguish given options from
 * defaults.
 */
import { z } from "zod";
import { FAMILIES } from "../../model/index.js";
import { forceOption } from "../../options.js";
import { TEXT_ORDERS } from "../data/loader.js";
import { OPTIMIZERS } from "../optimizer/optimizer.js";
import { SCHEDULES } from "../optimizer/schedule.js";

const count = () => z.int().min(1);

export const pretrainOptions = z.object({
  text: z
    .array(z.string())
    .min(1)
    .optional()
    .describe("training text: files or folders of .txt, .md, .jsonl (also .gz, .zst), .parquet")
    .meta({ value: "PATH" }),
  textField: z
    .string()
    .min(1)
    .optional()
    .describe('key of JSON lines, or column of Parquet, that contains the text; a.b is b in a (default "text")')
    .meta({ value: "NAME" }),
  strict: z.boolean().optional().describe("stop at the first damaged file or line instead of skipping it"),
  data: z
    .string()
    .optional()
    .describe("token shards written by `quern tokenizer encode`; instead of --text")
    .meta({ value: "SHARDS" }),
  tokenizer: z
    .string()
    .optional()
    .describe("tokenizer of the shards or the text (default: that of --from, otherwise one is trained on the text)")
    .meta({ value: "DIR" }),
  from: z
    .string()
    .optional()
    .describe(
      "continue training this model with its tokenizer: a run, a Hugging Face folder, a .gguf file or hf://OWNER/NAME",
    )
    .meta({ value: "DIR" }),
  out: z.string().describe("folder of the run: checkpoints, metrics, tokenizer, tokens").meta({ value: "RUN" }),
  force: forceOption,
  minutes: z
    .number()
    .positive()
    .optional()
    .describe("time budget in minutes, from which sizes and steps follow (default 3, unless another budget is given)")
    .meta({ value: "M" }),
  steps: count().optional().describe("optimizer steps; instead of --minutes").meta({ value: "N" }),
  flops: z
    .number()
    .min(1e6)
    .optional()
    .describe("floating-point operations of training; instead of --minutes")
    .meta({ value: "F" }),
  depth: count()
    .max(128)
    .optional()
    .describe("number of layers, from which width, tokens and steps follow; instead of --minutes")
    .meta({ value: "D" }),
  plan: z
    .string()
    .optional()
    .describe("repeat the plan of this run.json exactly; none of its settings can be changed")
    .meta({ value: "FILE" }),
  law: z
    .string()
    .optional()
    .describe("choose sizes, batch and learning rate by this law.json of `quern scale fit`")
    .meta({ value: "FILE" }),
  family: z.enum(FAMILIES).optional().describe("transformer family (default llama)"),
  layers: count().optional().describe("layers (default: from the budget)").meta({ value: "N" }),
  width: count().optional().describe("model width (default: from the budget)").meta({ value: "N" }),
  heads: count()
    .optional()
    .describe("attention heads (default width / 32, from width 384 on / 64)")
    .meta({ value: "N" }),
  keyValueHeads: count()
    .optional()
    .describe("key/value heads, a divisor of the heads (default: all heads)")
    .meta({ value: "N", flag: "kv-heads" }),
  hidden: count()
    .optional()
    .describe("hidden width of the feed-forward layers (default: from the family)")
    .meta({ value: "N" }),
  vocabSize: z
    .int()
    .min(257)
    .max(1 << 20)
    .optional()
    .describe("vocabulary size (default: from the budget and the text)")
    .meta({ value: "N" }),
  sequence: z.int().min(2).optional().describe("sequence length, in tokens (default 256)").meta({ value: "T" }),
  batch: count()
    .optional()
    .describe("sequences per batch; each rank has its own batches (default: from the budget)")
    .meta({ value: "B" }),
  accumulate: count()
    .optional()
    .describe("batches per optimizer step and rank (default: from the budget)")
    .meta({ value: "N" }),
  optimizer: z
    .enum(OPTIMIZERS)
    .optional()
    .describe("optimizer; muon trains the matrices of the layers, adamw the rest (default: muon for a new model)"),
  learningRate: z
    .number()
    .positive()
    .optional()
    .describe("peak learning rate (default: from the budget and the batch)")
    .meta({ value: "R", flag: "lr" }),
  schedule: z
    .enum(SCHEDULES)
    .optional()
    .describe("learning rate schedule after the warm-up (default cosine)")
    .meta({ value: "S" }),
  warmup: z
    .int()
    .min(0)
    .optional()
    .describe("warm-up steps (default: a fifth of all steps, at most 200)")
    .meta({ value: "N" }),
  decay: z.number().min(0).optional().describe("weight decay of matrices (default 0.1)").meta({ value: "X" }),
  clip: z.number().positive().optional().describe("maximum gradient norm (default 1)").meta({ value: "X" }),
  dtype: z
    .enum(["auto", "fp32", "bf16", "fp8"])
    .optional()
    .describe(
      "dtype of the matrix products (default auto: the fastest of fp32 and bf16 here); fp8 needs --backend cuda",
    ),
  head: z
    .enum(["full", "sampled"])
    .optional()
    .describe(
      "tokens whose logits training computes: all, or those that are targets in the batch (default: sampled for new models with a " +
        "time budget, where it saves much)",
    ),
  recompute: z.boolean().optional().describe("recompute each layer in the backward pass: less memory, more time"),
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
    .describe("seed of the initial weights and of the order of the text (default 0)")
    .meta({ value: "S" }),
  order: z
    .enum(TEXT_ORDERS)
    .optional()
    .describe("order of the text: shuffled (default), or as given, for a mix whose best documents come last"),
  saveEvery: count()
    .optional()
    .describe("steps between checkpoints (default: one every ten minutes and one at the end)")
    .meta({ value: "N" }),
  keep: count()
    .optional()
    .describe("checkpoints to keep: the last N and the best on held-out text (default: all)")
    .meta({ value: "N" }),
  resume: z.boolean().default(false).describe("resume the run in --out from its newest checkpoint"),
});

export type CheckedPretrainOptions = z.output<typeof pretrainOptions>;

/** Options that set the training budget; at most one may be given. */
export const BUDGETS = ["minutes", "steps", "flops", "depth", "plan"] as const;
