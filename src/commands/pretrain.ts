import { z } from "zod";
import type { ReadReport } from "../documents/index.js";
import type { PretrainPlan } from "../train/index.js";
import { pretrainOptions } from "../train/pretrain/pretrain-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Train a language model on text, from scratch or from another model. Trains a tokenizer, encodes token shards, sizes the " +
    "transformer for the time budget, and writes a report and checkpoints that transformers can load. Ctrl-C saves; " +
    "--resume continues.",
  options: pretrainOptions.extend({
    dryRun: z.boolean().default(false).describe("print the plan with reasons, time, memory and disk, without training"),
    explain: z
      .boolean()
      .default(false)
      .describe("print the kernels of the compiled program, fused and unfused: operations, bytes, memory"),
  }),
  examples: [
    "quern pretrain --text books/ --out runs/first --minutes 10",
    "quern pretrain --data shards/ --tokenizer tokenizer/ --out runs/deep --depth 6 --dry-run",
    "quern pretrain --text notes/ --from runs/first --out runs/further --steps 500",
    "quern pretrain --text books/ --out runs/again --plan runs/first/run.json",
    "quern pretrain --out runs/first --resume",
  ],
  async run({ dryRun, explain, ...options }, { signal, onProgress, print, log }) {
    let report: ReadReport | undefined;
    const { explainTraining, planPretraining, pretrain } = await import("../train/index.js");
    const show = (plan: PretrainPlan) => {
      for (const line of planLines(plan)) print(line);
      for (const warning of plan.warnings ?? []) log(`warning: ${warning}`);
      if (explain) for (const line of explainTraining(plan)) print(line);
    };
    const { readLines } = await import("../documents/index.js");
    const onRead = (read: ReadReport) => {
      report = read;
      for (const line of readLines(read)) print(line);
    };
    if (dryRun) {
      const plan = await planPretraining({ ...options, signal, onProgress, onRead });
      show(plan);
      return { plan, warnings: plan.warnings ?? [], ...report };
    }
    const done = await pretrain({ ...options, signal, onProgress, onRead, onPlan: show });
    const { plan, result } = done;
    const { bits_per_byte: bits, gzip_bits_per_byte: gzip, brotli_bits_per_byte: brotli } = result;
    const steps = plan.cuts.at(-1)?.steps ?? plan.steps;
    const rows = [
      [
        "model",
        `${(plan.parameters / 1e6).toFixed(2)}M parameters, ${plan.model.layers} layers of ${plan.model.width}, ${plan.model.vocabSize} tokens`,
      ],
      [
        "trained",
        `${steps} steps, ${steps * plan.batch * plan.sequence * plan.accumulate} tokens, ${done.trainingSeconds.toFixed(0)} s`,
      ],
      ["held out", `${bits?.toFixed(3)} bits per byte (gzip -9 ${gzip?.toFixed(3)}, brotli ${brotli?.toFixed(3)})`],
      ["checkpoint", done.checkpoint],
      ["report", done.report],
    ];
    print();
    for (const [name, value] of rows) print(`${name.padEnd(10)}  ${value}`);
    for (const { prompt, after } of result.samples ?? []) print(`\n${prompt}${after}`);
    return { ...done, warnings: plan.warnings ?? [], ...report };
  },
});

/** Returns a plan as lines of text: each number with its reason. */
function planLines(plan: PretrainPlan): string[] {
  const { model, schedule, expected, reasons } = plan;
  const tokens = plan.steps * plan.batch * plan.accumulate * plan.sequence;
  const rows: [name: string, value: string | number, reason?: string][] = [
    ["model", `${(plan.parameters / 1e6).toFixed(2)}M parameters`, reasons.model],
    ["family", model.family, reasons.family],
    ["layers", model.layers, reasons.layers],
    ["width", model.width, reasons.width],
    ["heads", model.heads, reasons.heads],
    ["kv-heads", model.keyValueHeads],
    ["hidden", model.hidden],
    ["vocab-size", model.vocabSize, reasons.vocabSize],
    ["sequence", plan.sequence, reasons.sequence],
    ["batch", plan.batch, reasons.batch],
    ["accumulate", plan.accumulate, reasons.accumulate],
    ["steps", plan.steps, reasons.steps],
    [
      "tokens",
      tokens,
      `${(tokens / Math.max(1, plan.training_tokens)).toPrecision(2)} times the ${plan.training_tokens} tokens of the text`,
    ],
    ["lr", schedule.learningRate, reasons.learningRate],
    ["schedule", `${schedule.kind}, ${schedule.warmupSteps} steps of warm-up`],
    ["seed", plan.seed],
    ["text order", plan.order],
    ["threads", `${plan.threads}, ${plan.target}`],
    ["dtype", plan.precision],
    [
      "minutes",
      expected.minutes,
      `${(tokens * plan.training_flops_per_token).toExponential(1)} floating-point operations`,
    ],
    ["memory", megabytes(expected.memory_bytes)],
    ["disk", megabytes(expected.disk_bytes)],
  ];
  return rows.map(([name, value, reason]) =>
    `${name.padEnd(10)}  ${String(value).padEnd(10)}${reason === undefined ? "" : `  ${reason}`}`.trimEnd(),
  );
}

const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MB`;
