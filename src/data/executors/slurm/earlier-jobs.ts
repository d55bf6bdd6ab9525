/** @file Jobs that an earlier run left in the queue, which may still write to its folder. */
import { setTimeout as sleep } from "node:timers/promises";
import { QuernError } from "../../../errors.js";
import { ClusterFolder } from "../cluster-folder.js";
import { cancel, findJob, queue } from "./commands.js";
import { type Journal, readJournal } from "./journal.js";
import type { SlurmOptions } from "./run-state.js";

/** `jobs 12 13`. */
export const jobList = (jobs: readonly string[]) => `job${jobs.length === 1 ? "" : "s"} ${jobs.join(" ")}`;

/** Refuses when jobs of a Slurm run may still write to a folder that something else is about to write to. */
export async function refuseLiveJobs(out: string): Promise<void> {
  const journal = await readJournal(ClusterFolder.of(out));
  const ids = journal?.jobs.flatMap(({ job, closed }) => (closed ? [] : (job ?? []))) ?? [];
  if (ids.length === 0) return;
  const live = (await queue(ids)).filter(({ phase }) => phase === "waiting" || phase === "running");
  if (live.length === 0) return;
  throw new QuernError(
    `${jobList(ids)} in Slurm's queue write to ${out}; go on with the executor "slurm", or cancel them first`,
  );
}

/** Jobs of a run with another recipe or input would write to the same files. */
export async function endEarlierJobs(
  { jobs }: Journal,
  { onNotice, signal }: Pick<SlurmOptions, "onNotice" | "signal">,
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
