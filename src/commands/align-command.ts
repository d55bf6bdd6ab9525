/** @file Output of the post-training verbs: the plan before the first step, and the result. */
import { z } from "zod";
import type { AlignPlan, AlignResult, Preview } from "../align/index.js";
import { counted } from "../counted.js";
import { QuernError } from "../errors.js";
import { launchOf } from "../launch.js";
import type { Team } from "../train/index.js";
import type { CommandContext } from "./command.js";

/** Options of the command line that the library lacks. */
export const alignFlags = {
  dryRun: z
    .boolean()
    .default(false)
    .describe("print the plan with reasons, memory and disk, and the time if --minutes is given; does not train"),
  ranks: z
    .int()
    .min(1)
    .max(256)
    .optional()
    .describe(
      "processes on this machine that divide the batches of each step; mpirun and srun start their own (default 1)",
    )
    .meta({ value: "N" }),
  explain: z
    .boolean()
    .default(false)
    .describe("print the kernels of the compiled program, fused and unfused: operations, bytes, memory"),
};

/** The options of verbs that read examples: a preview needs no folder. */
export const previewFlags = {
  out: z
    .string()
    .optional()
    .describe("folder of the run: checkpoints, metrics, report (required, except for --preview)")
    .meta({ value: "RUN" }),
  preview: z
    .int()
    .min(1)
    .optional()
    .describe("print N examples with the learned tokens in colour (in ⟦…⟧ without colour); does not train")
    .meta({ value: "N" }),
};

/** Joins the ranks of a run; a plan for several ranks needs only their number. */
export async function alignTeam({
  ranks,
  dryRun,
}: {
  readonly ranks?: number;
  readonly dryRun: boolean;
}): Promise<Team> {
  const { alone, joinRanks, oneRank, startRanks } = await import("../train/index.js");
  if (!dryRun) return joinRanks(startRanks(ranks));
  return { ...alone, ranks: { ...oneRank, size: launchOf()?.size ?? ranks ?? 1 } };
}

/** The options of a run that is no preview. @throws QuernError without `out` */
export function withOut<O extends { readonly out?: string }>(options: O): O & { readonly out: string } {
  const { out } = options;
  if (out === undefined) throw new QuernError("--out is missing: the folder of the run", { exitCode: 2 });
  return { ...options, out };
}

/** Prints examples; returns what `--json` prints. */
export async function printPreview(previews: readonly Preview[], { print, write }: CommandContext): Promise<object> {
  const { previewText } = await import("../align/index.js");
  const colour = process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "";
  for (const { example, part, tokens } of previews) {
    const learned = tokens.filter((token) => token.learned).length;
    print();
    print(
      `example ${example}${part === "text" ? "" : `, ${part}`}: ${counted(tokens.length, "token")}, ${learned} learned`,
    );
    // `print` would escape the colour codes.
    write(`${previewText(tokens, colour)}\n`);
  }
  return { examples: previews };
}

/** Returns the callbacks and flags that a post-training function takes from a command's context. */
export function alignCallbacks(
  { print, log, signal, onProgress }: CommandContext,
  flags: { readonly dryRun: boolean; readonly explain: boolean },
) {
  return {
    ...{ ...flags, signal, onProgress },
    onNote: (line: string) => print(line),
    onPlan: (plan: AlignPlan) => {
      for (const line of planLines(plan)) print(line);
      for (const warning of plan.warnings) log(`warning: ${warning}`);
    },
  };
}

function planLines(plan: AlignPlan): string[] {
  const { reasons, schedule, expected } = plan;
  const rows: [name: string, value: string | number, reason?: string][] = [
    ["model", `${millions(plan.parameters)} parameters, ${millions(plan.trainable_parameters)} trainable`],
    ["examples", plan.examples, reasons.examples],
    ["batch", plan.batch, reasons.batch],
    ["accumulate", plan.accumulate],
    ["sequence", plan.sequence, reasons.sequence],
    ["steps", plan.steps, reasons.steps],
    ["lr", Number(schedule.learningRate.toPrecision(3)), reasons.learningRate],
    ["schedule", `${schedule.kind}, ${counted(schedule.warmupSteps, "step")} of warm-up`],
    ["seed", plan.seed],
    ["threads", `${plan.threads}, ${plan.target}`],
    ["dtype", plan.precision],
    ...(expected.minutes > 0 ? [["minutes", Number(expected.minutes.toPrecision(2))] as [string, number]] : []),
    ["memory", megabytes(expected.memory_bytes)],
    ["disk", megabytes(expected.disk_bytes)],
  ];
  return rows.map(([name, value, reason]) =>
    `${name.padEnd(10)}  ${String(value).padEnd(10)}${reason === undefined ? "" : `  ${reason}`}`.trimEnd(),
  );
}

/** Prints the result of a run; returns what `--json` prints. */
export function printResult(result: AlignResult, { print }: CommandContext, dryRun: boolean): object {
  if (dryRun) return { plan: result.plan, warnings: result.plan.warnings };
  const { metrics, evaluation } = result;
  const shown = Object.entries({ ...metrics, ...evaluation }).filter(
    ([key, value]) => typeof value === "number" && !HIDDEN.has(key),
  ) as [string, number][];
  print();
  print(`trained     ${counted(result.steps, "step")}, ${result.seconds.toFixed(0)} s in total`);
  for (const [key, value] of shown) print(`${key.padEnd(10)}  ${Number(value.toPrecision(4))}`);
  if (result.time_shares !== undefined) {
    const { rollouts, scoring, updates } = result.time_shares;
    const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
    print(`time        rollouts ${percent(rollouts)}, scoring ${percent(scoring)}, updates ${percent(updates)}`);
  }
  if (result.ranks !== undefined) {
    const { count, nodes, transport, communication_share: share } = result.ranks;
    const waiting = share === null ? "" : `, ${(100 * share).toFixed(0)} % of the time in communication`;
    print(`ranks       ${count} on ${new Set(nodes).size} nodes by ${transport}${waiting}`);
  }
  print(`checkpoint  ${result.checkpoint}`);
  if (result.best_checkpoint !== result.checkpoint) print(`best        ${result.best_checkpoint}`);
  print(`report      ${result.report}`);
  return result;
}

const HIDDEN = new Set(["step", "learning_rate", "seconds", "tokens", "rollout_seconds", "scoring_seconds"]);
const millions = (count: number) => `${(count / 1e6).toFixed(count < 1e5 ? 4 : 2)}M`;
const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MB`;
