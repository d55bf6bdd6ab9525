/** @file Runs of several ranks as processes, started by `--ranks` or by an mpirun, and ways to kill one of them. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
export const cli = join(root, "dist", "src", "cli.js");

/** The MPI launchers to test, such as `mpirun.openmpi`; none unless `npm run test:distributed` sets them. */
export const MPIRUNS = (process.env.QUERN_TEST_MPIRUN ?? "").split(",").filter((name) => name !== "");

const MARK = "QUERN_TEST_MARK";

/** For a whole test of several runs, on a busy machine. */
export const PATIENCE = 45 * 60_000;

/**
 * Seconds in which all ranks must have ended after one was killed: ten, and on a machine with more work than cores so many times more.
 */
export const endLimit = () => 10 * Math.max(1, loadavg()[0] / availableParallelism());

export interface Running {
  readonly ended: Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }>;
  /** Process id of a rank; null if it does not run. */
  pidOf(rank: number): Promise<number | null>;
  /** Process ids of all ranks that run. */
  pids(): Promise<readonly number[]>;
  readonly child: ChildProcess;
}

/** Starts `quern` with arguments as `size` ranks; `launcher` is `--ranks` or the name of an mpirun. */
export function start(
  launcher: string,
  size: number,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Running {
  const own = [cli, ...args, ...(launcher === "--ranks" && size > 1 ? ["--ranks", `${size}`] : [])];
  return launcher === "--ranks"
    ? run(process.execPath, own, environment)
    : run(launcher, ["-n", `${size}`, process.execPath, ...own], environment);
}

/** One rank's own folder and arguments, and its own copy of Quern. */
export interface RankCommand {
  readonly folder: string;
  readonly args: readonly string[];
  readonly cli?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts ranks by an mpirun, each with a command of its own. */
export function startEach(launcher: string, commands: readonly RankCommand[]): Running {
  const words = commands.flatMap((command, i) => {
    const variables = Object.entries(command.environment ?? {}).map(([name, value]) => `${name}=${value}`);
    const quern = ["env", ...variables, process.execPath, command.cli ?? cli];
    const changed = ["sh", "-c", 'cd "$0" && exec "$@"', command.folder, ...quern];
    return [...(i > 0 ? [":"] : []), "-n", "1", ...changed, ...command.args];
  });
  return run(launcher, words, {});
}

const started = new Set<Running>();

/** Ends what a failed test left running. */
export async function endAll(): Promise<void> {
  for (const run of started) {
    const pids = await run.pids();
    for (const pid of [...pids, ...(run.child.exitCode === null ? [run.child.pid as number] : [])]) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended.
      }
    }
  }
  started.clear();
}

function run(command: string, args: readonly string[], environment: NodeJS.ProcessEnv): Running {
  const mark = randomUUID();
  const env = {
    ...process.env,
    ...{ [MARK]: mark, OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1", QUERN_THREADS: "1" },
    // More ranks than cores are fine in a test; those that wait leave the cores to the others.
    ...{
      OMPI_MCA_rmaps_base_oversubscribe: "1",
      OMPI_MCA_mpi_yield_when_idle: "1",
      MPIR_CVAR_POLLS_BEFORE_YIELD: "10",
    },
    ...environment,
  };
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => {
    stdout += data;
  });
  child.stderr.on("data", (data) => {
    stderr += data;
  });
  const running: Running = {
    child,
    ended: once(child, "close").then(([code]) => ({ code: code as number | null, stdout, stderr })),
    pidOf: async (rank) => [...(await findRanks(mark))].find(([, each]) => each === rank)?.[0] ?? null,
    pids: async () => [...(await findRanks(mark)).keys()],
  };
  started.add(running);
  return running;
}

/** Looks for the ranks in the environments of all processes; returns their numbers by process id. */
async function findRanks(mark: string): Promise<ReadonlyMap<number, number>> {
  const found = new Map<number, number>();
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const environment = await readFile(join("/proc", pid, "environ"), "latin1").catch(() => "");
    const variables = new Map(environment.split("\0").map((line) => line.split("=", 2) as [string, string]));
    if (variables.get(MARK) !== mark) continue;
    const command = await readFile(join("/proc", pid, "cmdline"), "latin1").catch(() => "");
    if (!command.startsWith(process.execPath)) continue;
    const ranks = ["QUERN_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK"].flatMap((name) => variables.get(name) ?? []);
    found.set(Number(pid), Number(ranks[0] ?? 0));
  }
  return found;
}
