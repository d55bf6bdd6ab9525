/** @file The batch script of a job array: its options for Slurm, and the one line that each element runs. */
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
  /** Of the job, by which a submitter that lost its number finds it again. */
  readonly name: string;
  /** The submission's file, absolute. */
  readonly submission: string;
  readonly elements: number;
  /** Where elements start, absolute: paths of the plan count from here. */
  readonly folder: string;
  /** What elements print goes to `<logs>-<element>.out`, absolute. */
  readonly logs: string;
  /** Slurm's expression, such as `afterok:12`. */
  readonly dependency?: string;
  /** Nodes that shall not be used. */
  readonly exclude?: readonly string[];
}

export const jobName = (stage: string, run: string, number: number) => `quern-${stage}-${run}-${number}`;

/** Where the files of a submission lie. */
export const scriptPlaces = (folder: ClusterFolder, number: number) => ({
  submission: folder.submission(number),
  folder: process.cwd(),
  logs: join(folder.path, "logs", String(number)),
});

/** The text of the script. Throws a `QuernError` for a path that a script cannot hold. */
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
    // The submitter counts retries, so Slurm must not requeue by itself.
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

/** How Quern is called on a node: as the user says, or this Node and this Quern, which nodes see under the same paths. */
function quernCommand({ command }: ExecutorSettings): string {
  if (command !== undefined) return command;
  const cli = fileURLToPath(builtModule(new URL("../../cli.js", import.meta.url)));
  if (!existsSync(cli)) throw new QuernError(`${cli} is not built; run \`npm run build\`, or give \`command\``);
  return `${shellWord(process.execPath)} ${shellWord(cli)}`;
}

/** A path in a line of options. Between double quotes Slurm keeps everything but backslashes and quotes as it is. */
function quoted(path: string): string {
  if (/["\\\r\n]/.test(path)) {
    throw new QuernError(`a batch script cannot hold the path ${JSON.stringify(path)}; choose one without \\ and "`, {
      exitCode: 2,
    });
  }
  return /^[\w./%+,:@=-]*$/.test(path) ? path : `"${path}"`;
}

/** One word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w./%+,:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The most elements of an array. Asks Slurm. */
export async function arraySize(settings: ExecutorSettings): Promise<number> {
  return Math.min(settings.arraySize ?? Number.POSITIVE_INFINITY, (await largestArray()) ?? DEFAULT_ARRAY_SIZE);
}

/**
 * Tasks for each element of an array: at most `most` parts, in order, none empty, whose sizes differ by one at most.
 */
export function divide<T>(tasks: readonly T[], most: number): T[][] {
  const parts = Math.min(tasks.length, most);
  const at = (part: number) => Math.floor((part * tasks.length) / parts);
  return Array.from({ length: parts }, (_, part) => tasks.slice(at(part), at(part + 1)));
}

export interface PlannedJob {
  readonly stage: string;
  readonly tasks: number;
  readonly script: string;
}

/** The scripts that a run would submit first. Writes nothing and needs no Slurm. */
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
