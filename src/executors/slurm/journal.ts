/**
 * @file The journal of a Slurm run. It records every job, before and after its submission, and every failure, so a new
 * submitter can replace one that was killed at any moment. A second file marks the running submitter.
 */
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "../../errors.js";
import { ClusterFolder } from "../cluster-folder.js";
import { cancel, findJob, queue } from "./commands.js";

export interface Failure {
  readonly reason: string;
  readonly host?: string;
  readonly submission: number;
}

export interface SubmittedJob {
  readonly number: number;
  readonly stage: string;
  /** Job name, unique in the queue. */
  readonly name: string;
  /** Slurm's job number; undefined until Slurm is known to have accepted it. */
  job?: string;
  /** Whether the job is over, or no longer watched. */
  closed: boolean;
}

export interface Journal {
  readonly run: string;
  readonly jobs: SubmittedJob[];
  /** Failed attempts by stage and task. */
  readonly failures: Record<string, Record<string, Failure[]>>;
  /** Whether the run ended and reported its failures; the next run then counts failures from zero. */
  ended: boolean;
}

const FILE = "state.json";
const MARK = "submitter.json";

export const newJournal = (run: string): Journal => ({ run, jobs: [], failures: {}, ended: false });
export const readJournal = (folder: ClusterFolder) => folder.read<Journal>(FILE);
export const writeJournal = (folder: ClusterFolder, journal: Journal) => folder.write(FILE, journal);

interface Mark {
  readonly host: string;
  readonly process: number;
  /** Milliseconds since 1970. */
  readonly seen: number;
}

/**
 * Throws if another submitter is active in the folder. A mark by this machine is valid while its process lives, a mark by
 * another machine until it is `stale` milliseconds old.
 */
export async function refuseSecondSubmitter(folder: ClusterFolder, stale: number): Promise<void> {
  const mark = await folder.read<Mark>(MARK);
  if (mark === undefined || (mark.host === hostname() && mark.process === process.pid)) return;
  const alive = mark.host === hostname() ? isRunning(mark.process) : Date.now() - mark.seen < stale;
  if (!alive) return;
  throw new QuernError(
    `process ${mark.process} on ${mark.host} is already running these tasks (${folder.path}); wait for it or stop it first`,
  );
}

/** Marks this process as the submitter. Must be renewed regularly. */
export function markSubmitter(folder: ClusterFolder): Promise<void> {
  return folder.write(MARK, { host: hostname(), process: process.pid, seen: Date.now() } satisfies Mark);
}

export const unmarkSubmitter = (folder: ClusterFolder) => folder.remove(MARK);

/** Returns when a submitter was last active, in milliseconds since 1970. */
export async function lastSeen(folder: ClusterFolder): Promise<number | undefined> {
  return (await folder.read<Mark>(MARK))?.seen;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Formats job numbers: `jobs 12 13`. */
export const jobList = (jobs: readonly string[]) => `job${jobs.length === 1 ? "" : "s"} ${jobs.join(" ")}`;

/** @throws QuernError if jobs of a Slurm run may still write to `out` */
export async function refuseLiveJobs(out: string): Promise<void> {
  const journal = await readJournal(ClusterFolder.of(out));
  const ids = journal?.jobs.flatMap(({ job, closed }) => (closed ? [] : (job ?? []))) ?? [];
  if (ids.length === 0) return;
  const live = (await queue(ids)).filter(({ phase }) => phase === "waiting" || phase === "running");
  if (live.length === 0) return;
  throw new QuernError(
    `Slurm's ${jobList(ids)} still write to ${out}; resume with the executor "slurm", or cancel them first`,
  );
}

/** Cancels the jobs of an earlier run with another recipe or input, since they would write to the same files. */
export async function endEarlierJobs(
  { jobs }: Journal,
  { onNotice, signal }: { readonly onNotice?: (line: string) => void; readonly signal?: AbortSignal },
): Promise<void> {
  const ids: string[] = [];
  for (const { job, name, closed } of jobs) {
    const id = closed ? undefined : (job ?? (await findJob(name)));
    if (id !== undefined) ids.push(id);
  }
  if (ids.length === 0) return;
  onNotice?.(`cancelling ${jobList(ids)} of an earlier run with a different recipe, input or option`);
  await cancel(ids);
  for (let attempt = 0; ; attempt++) {
    const busy = (await queue(ids)).filter(({ phase }) => phase === "waiting" || phase === "running");
    if (busy.length === 0) return;
    if (attempt === 60) {
      throw new QuernError(
        `${jobList(ids)} of an earlier run could not be cancelled; cancel them by hand, then run again`,
      );
    }
    await sleep(1000, undefined, { signal });
  }
}
