/** @file The batch script of a job array: what is asked of Slurm, and the one line that each element runs. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { QuernError } from "../../../errors.js";
import type { ClusterFolder } from "../cluster-folder.js";
import type { ExecutorSettings } from "../executor-options.js";

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

/** The text of the script. Throws a `QuernError` for a path that Slurm cannot be told. */
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
    // Retries are counted here, so Slurm must not make its own.
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
export function quernCommand({ command, executor }: ExecutorSettings): string {
  if (command !== undefined) return command;
  return executor === "kubernetes" ? "quern" : `${shellWord(process.execPath)} ${shellWord(ownCli())}`;
}

function ownCli(): string {
  const here = fileURLToPath(import.meta.url);
  // From the sources (in tests) the built one.
  const up = here.endsWith(".ts") ? ["..", "..", "..", "..", "..", "dist", "src"] : ["..", "..", "..", ".."];
  const cli = join(here, ...up, "cli.js");
  if (!existsSync(cli)) throw new QuernError(`${cli} is not built; run \`npm run build\`, or give \`command\``);
  return cli;
}

/** A path in a line of options. Slurm takes everything between double quotes, but a backslash and a quote not as they are. */
function quoted(path: string): string {
  if (/["\\\r\n]/.test(path)) {
    throw new QuernError(`Slurm cannot be told of the path ${JSON.stringify(path)}; choose one without \\ and "`, {
      exitCode: 2,
    });
  }
  return /^[\w./%+,:@=-]*$/.test(path) ? path : `"${path}"`;
}

/** One word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w./%+,:@=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
