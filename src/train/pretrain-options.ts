/**
 * @file What can be said about a pretraining run: the schema of `quern pretrain` and of `pretrain()`.
 *
 * Defaults are filled in later (plan.ts), not by the schema: a resumed run must tell what was said from what was not.
 */
import { z } from "zod";

const count = () => z.int().min(1);

export const pretrainOptions = z.object({
  text: z
    .array(z.string())
    .min(1)
    .optional()
    .describe("text to learn from: files or folders of .txt, .md, .jsonl, also .gz")
    .meta({ value: "PATH" }),
  out: z.string().describe("folder of the run: checkpoints, metrics, tokenizer, tokens").meta({ value: "RUN" }),
  minutes: z
    .number()
    .positive()
    .optional()
    .describe("how long all of it may take; the number of steps follows (default 3, unless --steps is given)")
    .meta({ value: "M" }),
  steps: count().optional().describe("optimizer steps; instead of --minutes").meta({ value: "N" }),
  layers: count().optional().describe("layers (default by the time there is)").meta({ value: "N" }),
  width: count().optional().describe("model width (default by the time there is)").meta({ value: "N" }),
  heads: count().optional().describe("attention heads (default width / 32)").meta({ value: "N" }),
  keyValueHeads: count()
    .optional()
    .describe("key/value heads, a divisor of the heads (default all of them)")
    .meta({ value: "N", flag: "kv-heads" }),
  vocabSize: z
    .int()
    .min(257)
    .max(1 << 20)
    .optional()
    .describe("tokens of the tokenizer (default by the time and the text)")
    .meta({ value: "N" }),
  sequence: z.int().min(2).optional().describe("sequence length, in tokens (default 256)").meta({ value: "T" }),
  batch: count()
    .optional()
    .describe("sequences that go through the model at once (default 4 to 16 by the width)")
    .meta({ value: "B" }),
  accumulate: count().optional().describe("batches whose gradients make one step (default 1)").meta({ value: "N" }),
  learningRate: z
    .number()
    .positive()
    .optional()
    .describe("highest learning rate of AdamW (default by the width)")
    .meta({ value: "R", flag: "lr" }),
  threads: count().max(256).optional().describe("threads (default all cores)").meta({ value: "N" }),
  seed: z
    .int()
    .min(0)
    .optional()
    .describe("seed of the first weights and of the order of the text (default 0)")
    .meta({ value: "S" }),
  saveEvery: count()
    .optional()
    .describe("steps between checkpoints (default: one every ten minutes and one at the end)")
    .meta({ value: "N" }),
  resume: z.boolean().default(false).describe("go on with the run in --out from its newest checkpoint"),
});

export type CheckedPretrainOptions = z.output<typeof pretrainOptions>;
