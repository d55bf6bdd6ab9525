/**
 * @file The journal of a Slurm run: every job, before and after it is submitted, and every failure, so that a submitter that
 * was killed at any moment can be replaced by another. And the mark of the submitter that is running.
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
  /** Of the job, unique in the queue. */
  readonly name: string;
  /** Undefined while it is not known whether Slurm has taken it. */
  job?: string;
  /** True when nothing more is expected of it. */
  closed: boolean;
}

export interface Journal {
  readonly run: string;
  readonly jobs: SubmittedJob[];
  /** By stage and task. */
  readonly failures: Record<string, Record<string, Failure[]>>;
  /** The run ended with an error that told of the failures; the next one counts them anew. */
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
 * Refuses when another submitter is at work in the folder. A mark of this machine counts for as long as its process lives,
 * one of another machine until it is `stale` milliseconds old.
 */
export async function refuseSecondSubmitter(folder: ClusterFolder, stale: number): Promise<void> {
  const mark = await folder.read<Mark>(MARK);
  if (mark === undefined || (mark.host === hostname() && mark.process === process.pid)) return;
  const alive = mark.host === hostname() ? isRunning(mark.process) : Date.now() - mark.seen < stale;
  if (!alive) return;
  throw new QuernError(
    `process ${mark.process} on ${mark.host} is running these tasks already (${folder.path}); wait for it, or end it first`,
  );
}

/** Says that this process submits; to be renewed. */
export function markSubmitter(folder: ClusterFolder): Promise<void> {
  return folder.write(MARK, { host: hostname(), process: process.pid, seen: Date.now() } satisfies Mark);
}

export const unmarkSubmitter = (folder: ClusterFolder) => folder.remove(MARK);

/** When a submitter was last at work, in milliseconds since 1970. */
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

/** `jobs 12 13`. */
export const jobList = (jobs: readonly string[]) => `job${jobs.length === 1 ? "" : "s"} ${jobs.join(" ")}`;

/** Throws if jobs of a Slurm run may still write to a folder that another run is about to write to. */
export async function refuseLiveJobs(out: string): Promise<void> {
  const journal = await readJournal(ClusterFolder.of(out));
  const ids = journal?.jobs.flatMap(({ job, closed }) => (closed ? [] : (job ?? []))) ?? [];
  if (ids.length === 0) return;
  const live = (await queue(ids)).filter(({ phase }) => phase === "waiting" || phase === "running");
  if (live.length === 0) return;
  throw new QuernError(
    `${jobList(ids)} in Slurm's queue write to ${out}; resume with the executor "slurm", or cancel them first`,
  );
}

/** Cancels the jobs of a run with another recipe or input: they would write to the same files. */
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
  onNotice?.(`cancels ${jobList(ids)} of an older run with another recipe, input or option`);
  await cancel(ids);
  for (let attempt = 0; ; attempt++) {
    const busy = (await queue(ids)).filter(({ phase }) => phase === "waiting" || phase === "running");
    if (busy.length === 0) return;
    if (attempt === 60) {
      throw new QuernError(`${jobList(ids)} of an older run cannot be cancelled; cancel by hand, then run again`);
    }
    await sleep(1000, undefined, { signal });
  }
}
