/**
 * @file What can be said about a pretraining run: the schema of `quern pretrain` and of `pretrain()`.
 *
 * Defaults are filled in later (dial.ts), not by the schema: a resumed run must tell what was said from what was not.
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
    .describe("text to learn from: files or folders of .txt, .md, .jsonl (also .gz, .zst), .parquet")
    .meta({ value: "PATH" }),
  textField: z
    .string()
    .min(1)
    .optional()
    .describe('key of JSON lines, or column of Parquet, that holds the text; a.b is b in a (default "text")')
    .meta({ value: "NAME" }),
  strict: z.boolean().optional().describe("stop with an error at the first damage of the text instead of skipping it"),
  data: z
    .string()
    .optional()
    .describe("token shards to learn from, as `quern tokenizer encode` writes them; instead of --text")
    .meta({ value: "SHARDS" }),
  tokenizer: z
    .string()
    .optional()
    .describe("tokenizer of the shards, or for the text (default: that of --from, else one is trained on the text)")
    .meta({ value: "DIR" }),
  from: z
    .string()
    .optional()
    .describe(
      "train this model further, with its own tokenizer: a run, a Hugging Face folder, a .gguf file or hf://OWNER/NAME",
    )
    .meta({ value: "DIR" }),
  out: z.string().describe("folder of the run: checkpoints, metrics, tokenizer, tokens").meta({ value: "RUN" }),
  force: forceOption,
  minutes: z
    .number()
    .positive()
    .optional()
    .describe("how long all of it may take; sizes and steps follow (default 3, unless another budget is given)")
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
    .describe("layers, from which all else follows, the tokens too; instead of --minutes")
    .meta({ value: "D" }),
  plan: z
    .string()
    .optional()
    .describe("repeat the plan of this run.json, to the same bits; nothing else of it can be changed")
    .meta({ value: "FILE" }),
  family: z.enum(FAMILIES).optional().describe("kind of transformer (default llama)"),
  layers: count().optional().describe("layers (default by the budget)").meta({ value: "N" }),
  width: count().optional().describe("model width (default by the budget)").meta({ value: "N" }),
  heads: count()
    .optional()
    .describe("attention heads (default width / 32, from width 384 on / 64)")
    .meta({ value: "N" }),
  keyValueHeads: count()
    .optional()
    .describe("key/value heads, a divisor of the heads (default all of them)")
    .meta({ value: "N", flag: "kv-heads" }),
  hidden: count()
    .optional()
    .describe("inner width of the feed-forward part (default by the family)")
    .meta({ value: "N" }),
  vocabSize: z
    .int()
    .min(257)
    .max(1 << 20)
    .optional()
    .describe("tokens of the tokenizer (default by the budget and the text)")
    .meta({ value: "N" }),
  sequence: z.int().min(2).optional().describe("sequence length, in tokens (default 256)").meta({ value: "T" }),
  batch: count()
    .optional()
    .describe("sequences that go through the model at once (default by the budget)")
    .meta({ value: "B" }),
  accumulate: count()
    .optional()
    .describe("batches whose gradients make one step (default by the budget)")
    .meta({ value: "N" }),
  optimizer: z
    .enum(OPTIMIZERS)
    .optional()
    .describe("what turns gradients into steps; muon for the layers' matrices (default adamw)"),
  learningRate: z
    .number()
    .positive()
    .optional()
    .describe("highest learning rate (default by the budget and the batch)")
    .meta({ value: "R", flag: "lr" }),
  schedule: z
    .enum(SCHEDULES)
    .optional()
    .describe("how the rate falls after the warm-up (default cosine)")
    .meta({ value: "S" }),
  warmup: z
    .int()
    .min(0)
    .optional()
    .describe("steps of warm-up (default a twentieth, at most 200)")
    .meta({ value: "N" }),
  decay: z.number().min(0).optional().describe("weight decay of matrices (default 0.1)").meta({ value: "X" }),
  clip: z.number().positive().optional().describe("largest norm of the gradient (default 1)").meta({ value: "X" }),
  dtype: z
    .enum(["auto", "fp32", "bf16"])
    .optional()
    .describe("precision of the matrix products (default auto: what is fastest here)"),
  recompute: z
    .boolean()
    .optional()
    .describe("compute each layer again in the backward pass instead of keeping it: less memory, more time"),
  threads: count().max(256).optional().describe("threads (default all cores)").meta({ value: "N" }),
  seed: z
    .int()
    .min(0)
    .optional()
    .describe("seed of the first weights and of the order of the text (default 0)")
    .meta({ value: "S" }),
  order: z
    .enum(TEXT_ORDERS)
    .optional()
    .describe("read the text shuffled (default), or as given: from its beginning on, as for a mix with the best last"),
  saveEvery: count()
    .optional()
    .describe("steps between checkpoints (default: one every ten minutes and one at the end)")
    .meta({ value: "N" }),
  keep: count()
    .optional()
    .describe("checkpoints that stay: the last N and the best on held-out text (default all)")
    .meta({ value: "N" }),
  resume: z.boolean().default(false).describe("go on with the run in --out from its newest checkpoint"),
});

export type CheckedPretrainOptions = z.output<typeof pretrainOptions>;

/** What each budget is called; at most one is given. */
export const BUDGETS = ["minutes", "steps", "flops", "depth", "plan"] as const;
