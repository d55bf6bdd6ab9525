/** @file Writes the batch script of a job array: Slurm's options, and the command that each element runs. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { builtModule } from "../../built-module.js";
import { QuernError } from "../../errors.js";
import { ClusterFolder, runName } from "../cluster-folder.js";
import type { ExecutorSettings } from "../executor-options.js";
import type { PlannedTask, TaskPlan } from "../tasks.js";
import { DEFAULT_ARRAY_SIZE, largestArray } from "./commands.js";

export interface BatchScript {
  /** Job name, by which a new submitter finds a job whose number was lost. */
  readonly name: string;
  /** Absolute path of the submission's file. */
  readonly submission: string;
  readonly elements: number;
  /** Absolute working directory of the elements; the plan's paths are relative to it. */
  readonly folder: string;
  /** Absolute prefix of the output files `<logs>-<element>.out`. */
  readonly logs: string;
  /** Slurm's dependency expression, such as `afterok:12`. */
  readonly dependency?: string;
  /** Nodes to exclude. */
  readonly exclude?: readonly string[];
}

export const jobName = (stage: string, run: string, number: number) => `quern-${stage}-${run}-${number}`;

/** Returns the paths of a submission's files. */
export const scriptPlaces = (folder: ClusterFolder, number: number) => ({
  submission: folder.submission(number),
  folder: process.cwd(),
  logs: join(folder.path, "logs", String(number)),
});

/** Returns the text of the script. @throws QuernError for a path that cannot be written in a script */
export function batchScript(
  { name, submission, elements, folder, logs, dependency, exclude }: BatchScript,
  settings: ExecutorSettings,
): string {
  const { partition, account, time, memory, cpus = 1, concurrent, setup = [], sbatch = [] } = settings;
  const directives = [
    `--job-name=${name}`,
    `--array=0-${elements - 1}${concurrent === undefined ? "" : `%${concurrent}`}`,
    "--ntasks=1",
    `--cpus-per-task=${cpus}`,
    // The submitter counts retries, so Slurm must not requeue on its own.
    "--no-requeue",
    `--chdir=${quoted(folder)}`,
    `--output=${quoted(logs.replaceAll("%", "%%"))}-%a.out`,
    "--open-mode=append",
    ...(partition === undefined ? [] : [`--partition=${partition}`]),
    ...(account === undefined ? [] : [`--account=${account}`]),
    ...(time === undefined ? [] : [`--time=${time}`]),
    ...(memory === undefined ? [] : [`--mem=${memory}`]),
    ...(dependency === undefined ? [] : [`--dependency=${dependency}`, "--kill-on-invalid-dep=yes"]),
    ...(exclude === undefined || exclude.length === 0 ? [] : [`--exclude=${exclude.join(",")}`]),
    ...sbatch,
  ];
  return [
    "#!/bin/sh",
    ...directives.map((directive) => `#SBATCH ${directive}`),
    ...setup,
    `exec ${quernCommand(settings)} data task ${shellWord(submission)} --workers ${cpus}`,
    "",
  ].join("\n");
}

/** Returns the command for a node: the user's, or this Node.js and this Quern, which nodes must see at the same paths. */
export function quernCommand({ command }: Pick<ExecutorSettings, "command">): string {
  if (command !== undefined) return command;
  const cli = fileURLToPath(builtModule(new URL("../../cli.js", import.meta.url)));
  if (!existsSync(cli))
    throw new QuernError(`${cli} does not exist; run \`npm run build\`, or set the option \`command\``);
  return `${shellWord(process.execPath)} ${shellWord(cli)}`;
}

/** Quotes a path for a line of options. In double quotes, Slurm treats only backslashes and quotes specially. */
export function quoted(path: string): string {
  if (/["\\\r\n]/.test(path)) {
    throw new QuernError(
      `a batch script cannot contain the path ${JSON.stringify(path)}; choose one without \\, " and line breaks`,
      {
        exitCode: 2,
      },
    );
  }
  return /^[\w./%+,:@=-]*$/.test(path) ? path : `"${path}"`;
}

/** Quotes a text as one word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w./%+,:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Returns the maximum number of elements of an array, according to the settings and Slurm. */
export async function arraySize(settings: ExecutorSettings): Promise<number> {
  return Math.min(settings.arraySize ?? Number.POSITIVE_INFINITY, (await largestArray()) ?? DEFAULT_ARRAY_SIZE);
}

/**
 * Divides tasks among array elements: at most `limit` parts, in order, none empty, with sizes that differ by at most one.
 */
export function divide<T>(tasks: readonly T[], limit: number): T[][] {
  const parts = Math.min(tasks.length, limit);
  const at = (part: number) => Math.floor((part * tasks.length) / parts);
  return Array.from({ length: parts }, (_, part) => tasks.slice(at(part), at(part + 1)));
}

export interface PlannedJob {
  readonly stage: string;
  readonly tasks: number;
  readonly script: string;
}

/** Returns the scripts that a run would submit first. Writes nothing and does not need Slurm. */
export async function planSlurm(
  plan: TaskPlan,
  settings: ExecutorSettings,
  isFinished: (stage: string, task: PlannedTask) => boolean,
): Promise<PlannedJob[]> {
  const folder = ClusterFolder.of(plan.out);
  const size = await arraySize(settings).catch(() => settings.arraySize ?? DEFAULT_ARRAY_SIZE);
  const jobs = new Map<string, string>();
  const planned: PlannedJob[] = [];
  for (const stage of plan.stages) {
    const tasks = stage.tasks.filter((task) => !isFinished(stage.name, task));
    if (tasks.length === 0) continue;
    const after = stage.after.flatMap((name) => jobs.get(name) ?? []);
    const script = batchScript(
      {
        ...scriptPlaces(folder, jobs.size),
        name: jobName(stage.name, runName(plan), jobs.size),
        elements: Math.min(size, tasks.length),
        ...(after.length > 0 ? { dependency: after.map((job) => `afterok:${job}`).join(",") } : {}),
      },
      settings,
    );
    planned.push({ stage: stage.name, tasks: tasks.length, script });
    jobs.set(stage.name, `<job of ${stage.name}>`);
  }
  return planned;
}
