/**
 * @file One Slurm job whose processes work together on several nodes, such as the ranks of a training run: writes its script,
 * submits it, follows it, and cancels it on an abort. Slurm starts it again when a node fails or the time limit came; so the
 * command must continue its own work.
 *
 *     <folder>/script.sh      the batch script
 *     <folder>/job.json       the job's number, by which another call follows the same job
 *     <folder>/output.log     what the processes print to standard error, over all starts
 *     <folder>/result.json    what they print to standard output
 */
import { mkdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { writeFileAtomic } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import type { NameOption } from "../../options.js";
import { readJson } from "../cluster-folder.js";
import { executorOptions } from "../executor-options.js";
import { quernCommand, quoted, shellWord } from "./batch-script.js";
import { cancel, type ElementState, mpiPlugins, queue, SlurmBusy, submit } from "./commands.js";

const { partition, account, poll, setup, sbatch, command } = executorOptions;
const count = () => z.int().min(1);

/** The options of a verb that can run as such a job. */
export const multiNodeOptions = {
  executor: z
    .enum(["local", "slurm"])
    .default("local")
    .describe(
      "where to run: here (local), or as a job of a Slurm cluster (slurm), which is followed and cancelled on Ctrl-C",
    ),
  nodes: count().max(100_000).optional().describe("slurm: nodes of the job (default 1)").meta({ value: "N" }),
  ranksPerNode: count().max(256).optional().describe("slurm: ranks on each node (default 1)").meta({ value: "N" }),
  cpus: count().optional().describe("slurm: cores of each rank (default 1)").meta({ value: "N" }),
  time: executorOptions.time.describe(
    "slurm: time limit of one start; the run saves before it, and continues in the next",
  ),
  memory: executorOptions.memory.describe("slurm: memory of each node, such as 64G"),
  restarts: z
    .int()
    .min(0)
    .default(3)
    .describe("slurm: starts after a killed rank; starts after a time limit or a failed node do not count")
    .meta({ value: "N" }),
  mpi: z
    .string()
    .regex(/^\w+$/)
    .optional()
    .describe("slurm: MPI of srun, of those that `srun --mpi=list` shows (default: pmix, else pmi2)")
    .meta({ value: "NAME" }),
  ...{ partition, account, poll, setup, sbatch, command },
};

const schema = z.object(multiNodeOptions);
export type MultiNodeSettings = z.output<typeof schema>;

const FOR_SLURM = (Object.keys(multiNodeOptions) as (keyof MultiNodeSettings)[]).filter(
  (key) => !["executor", "poll", "restarts"].includes(key),
);

/** @throws QuernError for an option that only Slurm uses */
export function checkMultiNode(settings: MultiNodeSettings, name: NameOption = (key) => key): void {
  if (settings.executor === "slurm") return;
  const unused = FOR_SLURM.find((key) => settings[key] !== undefined);
  if (unused === undefined) return;
  throw new QuernError(
    `${name(unused)} has no effect with the executor "local"; it requires ${name("executor")} slurm`,
    { exitCode: 2 },
  );
}

export interface MultiNodeJob {
  /** Job name. */
  readonly name: string;
  /** Absolute path of the job's folder. */
  readonly folder: string;
  /** Working directory of the processes. */
  readonly directory: string;
  /** Arguments after `quern`. The same command continues its own work. */
  readonly args: readonly string[];
}

const filesOf = ({ folder }: Pick<MultiNodeJob, "folder">) => ({
  script: join(folder, "script.sh"),
  job: join(folder, "job.json"),
  output: join(folder, "output.log"),
  result: join(folder, "result.json"),
});

/** Seconds before the time limit at which Slurm warns the ranks; it may be a minute early. */
const WARNING_SECONDS = 120;

/** Returns the text of the script. @throws QuernError for a path that cannot be written in a script */
export function multiNodeScript(job: MultiNodeJob, settings: MultiNodeSettings, mpi: string): string {
  const { partition, account, time, memory, cpus = 1, nodes = 1, ranksPerNode = 1, setup = [], sbatch = [] } = settings;
  const files = filesOf(job);
  const directives = [
    `--job-name=${job.name}`,
    `--nodes=${nodes}`,
    `--ntasks-per-node=${ranksPerNode}`,
    `--cpus-per-task=${cpus}`,
    "--requeue",
    `--signal=USR1@${WARNING_SECONDS}`,
    `--chdir=${quoted(job.directory)}`,
    `--output=${quoted(files.output.replaceAll("%", "%%"))}`,
    "--open-mode=append",
    ...(partition === undefined ? [] : [`--partition=${partition}`]),
    ...(account === undefined ? [] : [`--account=${account}`]),
    ...(time === undefined ? [] : [`--time=${time}`]),
    ...(memory === undefined ? [] : [`--mem=${memory}`]),
    ...sbatch,
  ];
  const command = [quernCommand(settings), ...job.args.map(shellWord)].join(" ");
  return `${[
    "#!/bin/sh",
    ...directives.map((directive) => `#SBATCH ${directive}`),
    ...setup,
    `losses() { grep -c 'quern: rank .* ended unexpectedly' ${shellWord(files.output)}; }`,
    "before=$(losses)",
    `srun --mpi=${mpi} --cpus-per-task=${cpus} --kill-on-bad-exit=1 ${command} > ${shellWord(files.result)}`,
    "code=$?",
    "again=no",
    "# Saved before the time limit.",
    "[ $code -eq 130 ] && again=yes",
    "# A rank was killed, perhaps with its node. Any other error would come again.",
    `if [ $code -gt 130 ] || [ "$(losses)" -gt "$before" ]; then`,
    `  [ "\${SLURM_RESTART_COUNT:-0}" -lt ${settings.restarts} ] && again=yes`,
    "fi",
    '[ $again = yes ] && scontrol requeue "$SLURM_JOB_ID" && sleep 60',
    "exit $code",
  ].join("\n")}\n`;
}

export interface FollowOptions {
  readonly signal?: AbortSignal;
  /** Called with one line for the user. */
  readonly onNotice?: (line: string) => void;
  /** Called after each look at the queue, while the job waits or runs. */
  readonly onPoll?: (state: ElementState) => Promise<void>;
}

/** Chooses how srun starts MPI. On a single node, ranks share memory. @throws QuernError if Slurm has none */
export async function chooseMpi({ mpi, nodes = 1 }: Pick<MultiNodeSettings, "mpi" | "nodes">): Promise<string> {
  if (mpi !== undefined) return mpi;
  if (nodes === 1) return "none";
  const known = await mpiPlugins();
  const found = ["pmix", "pmi2"].find((name) => known.includes(name));
  if (found !== undefined) return found;
  throw new QuernError(
    `srun knows no MPI but ${known.join(", ")}; install Slurm's plugin pmix or pmi2, or name another with --mpi`,
  );
}

/**
 * Submits the job, or follows the one that an earlier call submitted, until it ends; returns what it printed.
 * @throws QuernError with the error of the processes if the job fails; the signal's reason after the job was cancelled
 */
export async function runMultiNodeJob(
  job: MultiNodeJob,
  settings: MultiNodeSettings,
  { signal, onNotice, onPoll }: FollowOptions = {},
): Promise<string> {
  const files = filesOf(job);
  const id = (await earlierJob(job)) ?? (await submitJob(job, settings, onNotice));
  let state: ElementState | undefined;
  let unlisted = 0;
  let lastState = "";
  for (;;) {
    if (signal?.aborted) await cancelJob(id, onNotice);
    signal?.throwIfAborted();
    try {
      const [found] = await queue([id]);
      unlisted = found === undefined ? unlisted + 1 : 0;
      state = found ?? state;
    } catch (error) {
      if (!(error instanceof SlurmBusy)) throw error;
    }
    const isLive =
      unlisted < UNLISTED && (state === undefined || state.phase === "waiting" || state.phase === "running");
    if (!isLive) break;
    if (state !== undefined) {
      const line = [state.state.toLowerCase(), state.node, state.phase === "waiting" ? state.reason : undefined];
      const shown = line.filter((part) => part !== undefined).join(", ");
      if (shown !== lastState) onNotice?.(`job ${id}: ${shown}`);
      lastState = shown;
      await onPoll?.(state);
    }
    await sleep(settings.poll * 1000, undefined, { signal }).catch(() => {});
  }
  await rm(files.job, { force: true });
  const result = await readFile(files.result, "utf8").catch(() => "");
  if (state?.phase === "completed" || (state?.phase === "running" && result.trim() !== "")) return result;
  const said = lastError(await readFile(files.output, "utf8").catch(() => ""));
  const how = state === undefined ? "disappeared from the queue" : `ended as ${state.state}`;
  throw new QuernError(said ?? `job ${id} ${how} without an error; look at ${files.output}`);
}

/** Looks at the queue in which a job is not listed before it counts as ended. */
const UNLISTED = 2;

async function submitJob(
  job: MultiNodeJob,
  settings: MultiNodeSettings,
  onNotice: FollowOptions["onNotice"],
): Promise<string> {
  const files = filesOf(job);
  const script = multiNodeScript(job, settings, await chooseMpi(settings));
  try {
    await mkdir(job.folder, { recursive: true });
    for (const old of [files.output, files.result]) await rm(old, { force: true });
    await writeFileAtomic(files.script, script);
  } catch (error) {
    throw fileError(error, "write", job.folder);
  }
  const id = await submit(files.script);
  await writeFileAtomic(files.job, `${JSON.stringify({ job: id })}\n`);
  const { nodes = 1, ranksPerNode = 1 } = settings;
  onNotice?.(`job ${id} submitted: ${nodes * ranksPerNode} ranks on ${nodes} node${nodes === 1 ? "" : "s"}`);
  return id;
}

/** The job that an earlier call submitted, if it has not ended. */
async function earlierJob(job: MultiNodeJob): Promise<string | undefined> {
  const { job: path } = filesOf(job);
  if ((await stat(path).catch(() => null)) === null) return undefined;
  const { job: id } = await readJson<{ readonly job: string }>(path);
  const [found] = await queue([id]);
  return found?.phase === "waiting" || found?.phase === "running" ? id : undefined;
}

/** Cancels the job and waits until its processes have saved and ended. */
async function cancelJob(id: string, onNotice: FollowOptions["onNotice"]): Promise<void> {
  onNotice?.(`cancelling job ${id}`);
  await cancel([id]);
  for (let look = 0; look < 120; look++) {
    const [state] = await queue([id]);
    if (state === undefined || (state.phase !== "waiting" && state.state !== "RUNNING" && state.state !== "COMPLETING"))
      return;
    await sleep(500);
  }
}

/** The last error that the processes printed, without `quern: `; else what kept srun from starting them. */
function lastError(output: string): string | undefined {
  const said = [...output.matchAll(/^quern: (.*)$/gm)].at(-1)?.[1];
  const srun = [...output.matchAll(/^srun: error: +(.*)$/gm)].map(([, reason]) => reason);
  return said ?? (srun.length === 0 ? undefined : `srun could not start the ranks: ${srun.join("; ")}`);
}
