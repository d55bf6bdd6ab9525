import { z } from "zod";
import type { ReadReport } from "../documents/index.js";
import { QuernError } from "../errors.js";
import { checkMultiNode, type MultiNodeSettings, multiNodeOptions } from "../executors/index.js";
import { launchOf } from "../launch.js";
import type { PretrainPlan, PretrainResult, RankReport, Shortened } from "../train/index.js";
import { type CheckedPretrainOptions, pretrainOptions } from "../train/pretrain/pretrain-options.js";
import { defineCommand } from "./command.js";

export default defineCommand({
  description:
    "Train a language model on text, from scratch or from another model. Trains a tokenizer, encodes token shards, sizes the " +
    "transformer for the time budget, and writes a report and checkpoints that transformers can load. Ctrl-C saves; " +
    "--resume continues.",
  options: pretrainOptions.extend({
    dryRun: z.boolean().default(false).describe("print the plan with reasons, time, memory and disk, without training"),
    ranks: z
      .int()
      .min(1)
      .max(256)
      .optional()
      .describe(
        "processes on this machine that divide the batches of each step; mpirun and srun start their own (default 1)",
      )
      .meta({ value: "N" }),
    ...multiNodeOptions,
    explain: z
      .boolean()
      .default(false)
      .describe("print the kernels of the compiled program, fused and unfused: operations, bytes, memory"),
  }),
  computes: true,
  examples: [
    "quern pretrain --text books/ --out runs/first --minutes 10",
    "quern pretrain --data shards/ --tokenizer tokenizer/ --out runs/deep --depth 6 --dry-run",
    "quern pretrain --text notes/ --from runs/first --out runs/further --steps 500",
    "quern pretrain --text books/ --out runs/again --plan runs/first/run.json",
    "quern pretrain --out runs/first --resume",
    "mpirun -n 4 quern pretrain --text books/ --out runs/first --steps 1000",
    "quern pretrain --text books/ --out runs/large --depth 12 --executor slurm --nodes 4 --ranks-per-node 2 --cpus 16",
  ],
  ranks: true,
  async run({ dryRun, explain, ranks, ...given }, { signal, onProgress, print, log, named }) {
    let report: ReadReport | undefined;
    const isForJob = ([key]: [string, unknown]) => key in multiNodeOptions;
    const entries = Object.entries(given);
    const settings = Object.fromEntries(entries.filter(isForJob)) as MultiNodeSettings;
    const options = Object.fromEntries(entries.filter((entry) => !isForJob(entry))) as CheckedPretrainOptions;
    checkMultiNode(settings, named);
    if (settings.executor === "slurm") {
      if (ranks !== undefined || launchOf() !== null) {
        throw new QuernError(
          `with ${named("executor")} slurm, the job starts the ranks; give ${named("ranksPerNode")}`,
          {
            exitCode: 2,
          },
        );
      }
      const { planSubmission, shortenedLine, submitPretraining } = await import("../train/index.js");
      if (dryRun) {
        const script = await planSubmission(options, settings);
        print(script.trimEnd());
        return { script };
      }
      const done = await submitPretraining({ ...options, signal, onProgress }, { settings, onNotice: log });
      for (const warning of done.plan.warnings ?? []) log(`warning: ${warning}`);
      printResult(done, shortenedLine, print);
      return done;
    }
    const { alone, explainTraining, joinRanks, oneRank, planPretraining, pretrain, shortenedLine, startRanks } =
      await import("../train/index.js");
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
      // A plan for several ranks needs only their number.
      const team = { ...alone, ranks: { ...oneRank, size: launchOf()?.size ?? ranks ?? 1 } };
      const plan = await planPretraining({ ...options, team, signal, onProgress, onRead });
      show(plan);
      return { plan, warnings: plan.warnings ?? [], ...report };
    }
    const team = await joinRanks(startRanks(ranks));
    const done = await pretrain({ ...options, team, signal, onProgress, onRead, onPlan: show });
    printResult(done, shortenedLine, print);
    return { ...done, warnings: done.plan.warnings ?? [], ...report };
  },
});

/** Prints what a run came to. */
function printResult(
  done: PretrainResult,
  shortenedLine: (shortened: Shortened) => string,
  print: (line?: string) => void,
): void {
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
    ...rankRows(done.ranks, done.tokensPerSecond),
    ["held out", `${bits?.toFixed(3)} bits per byte (gzip -9 ${gzip?.toFixed(3)}, brotli ${brotli?.toFixed(3)})`],
    ["checkpoint", done.checkpoint],
    ["report", done.report],
  ];
  print();
  if (done.shortened !== null) print(shortenedLine(done.shortened));
  for (const [name, value] of rows) print(`${name.padEnd(10)}  ${value}`);
  for (const { prompt, after } of result.samples ?? []) print(`\n${prompt}${after}`);
}

/** Describes the ranks of a run, if it had several. */
function rankRows(ranks: RankReport | undefined, tokensPerSecond: number | null): [string, string][] {
  if (ranks === undefined) return [];
  const { count, nodes, transport, communication_share: share } = ranks;
  const speed = tokensPerSecond === null ? "" : `, ${Math.round(tokensPerSecond)} tokens/s in all`;
  const waiting = share === null ? "" : `, ${(100 * share).toFixed(0)} % of the time in communication`;
  return [["ranks", `${count} on ${new Set(nodes).size} nodes by ${transport}${speed}${waiting}`]];
}

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
    ["optimizer", plan.optimizer.kind, reasons.optimizer],
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
