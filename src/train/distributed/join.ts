/** @file Joins the ranks that were started together: connects them, compares them, and shares out the cores of each node. */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { EndedElsewhereError, QuernError, RankLostError, RankStartError } from "../../errors.js";
import type { Launch } from "../../launch.js";
import { version } from "../../version.js";
import { openLossReporter } from "./loss-reporter.js";
import { endOthersAtExit, openMpi } from "./mpi.js";
import { isLoss, withCheckpoint } from "./rank-loss.js";
import { createRanks, oneRank, type Ranks } from "./ranks.js";
import { createSharedFile, MAX_SHARED_RANKS, openSharedMemory, sharedFileOf, sharedFolder } from "./shared-memory.js";
import type { Transport } from "./transport.js";
import { openWatch } from "./watch.js";

/** The ranks of a run, and how this one takes part. */
export interface Team {
  readonly ranks: Ranks;
  /** Threads of each rank: the cores that the launcher gave it, or an equal part of its node's; null for a single rank. */
  readonly threads: number | null;
  /**
   * Runs the work of this rank. It ends as soon as another rank is lost or fails. Rank 0, or rank 1 if rank 0 is lost, throws the
   * reason; the others throw an `EndedElsewhereError`. If MPICH's mpirun started the ranks, another process reports a lost one.
   * @param run folder of the run, whose last checkpoint is named if a rank is lost
   */
  run<T>(work: (ranks: Ranks) => Promise<T>, run?: string): Promise<T>;
}

/** The team of a single process. */
export const alone: Team = { ranks: oneRank, threads: null, run: (work) => work(oneRank) };

/**
 * Joins the ranks. Every rank must call it, and run its work in the team.
 * @throws QuernError if they cannot connect, or have different versions of Quern
 */
export async function joinRanks(launch: Launch | null): Promise<Team> {
  if (launch === null) return alone;
  let isWatched = false;
  const transport = await openTransport(launch, () => isWatched).catch((error: unknown) =>
    reportedAlone(error, launch),
  );
  const first = createRanks(transport);
  const host = hostname();
  const own = { version, host, node: nodeName(), cores: allowedCores() };
  const all = await first.share(own);
  const places = { nodes: all.map(({ node }) => node), hosts: all.map(({ host }) => host) };
  const { nodes } = places;
  const isMpich = launch.by.kind === "mpi" && launch.by.mpi === "MPICH";
  const reporter = isMpich ? await openLossReporter(first, places) : null;
  const watch = await openWatch(first, places);
  isWatched = true;
  const ranks = createRanks(transport, nodes, watch.unlessLost);
  const other = all.findIndex((each) => each.version !== version);
  return {
    ranks,
    threads: Math.min(
      ...all.map(({ host, cores }) =>
        threadsOf(
          all.filter((each) => each.host === host),
          cores,
        ),
      ),
    ),
    async run(work, run) {
      try {
        if (run !== undefined && ranks.rank === 0) reporter?.run(run);
        if (other >= 0) {
          throw new QuernError(
            `rank ${other} on ${nodes[other]} runs Quern ${all[other].version}, and rank ${ranks.rank} runs ${version}; install ` +
              "the same version on all nodes",
          );
        }
        const working = work(ranks);
        working.catch(() => {}); // after a loss nobody waits for it
        const result = await watch.unlessLost(working);
        await ranks.barrier();
        await reporter?.over();
        watch.close();
        transport.close();
        return result;
      } catch (error) {
        if (!isLoss(error)) await reporter?.over();
        if (!(error instanceof RankLostError)) throw await watch.fail(error);
        const loss = await withCheckpoint(error, run);
        await watch.fail(loss);
        throw reporter === null ? loss : new EndedElsewhereError(loss.message, { cause: loss });
      }
    },
  };
}

/** Milliseconds in which rank 0, if it has the same error, reports it and so ends the job. */
const SAME_ERROR_MS = 2_000;

/** Rejects with the error that this rank should report: rank 0 may be waiting for it, and cannot know why it does not come. */
async function reportedAlone(error: unknown, { rank, by }: Launch): Promise<never> {
  if (by.kind === "file" || !(error instanceof QuernError)) throw error;
  if (by.mpi === "MPICH") endOthersAtExit();
  if (rank === 0) throw error;
  await sleep(SAME_ERROR_MS);
  throw new RankStartError(`rank ${rank} on ${nodeName()}: ${error.message}`, {
    exitCode: error.exitCode,
    cause: error,
  });
}

const nodeName = () => process.env.SLURMD_NODENAME ?? hostname();

async function openTransport(
  { rank, size, launcher, by, lostAtStart }: Launch,
  isWatched: () => boolean,
): Promise<Transport> {
  if (by.kind === "mpi") return openMpi([by.mpi], size, launcher);
  if (by.kind === "file") {
    // Rank 0 is the parent of the others. When it ends, the system gives them another, perhaps before they come here.
    const { parent } = by;
    const orphaned = () => (rank > 0 && process.ppid !== parent ? 0 : null);
    const lost = lostAtStart ?? orphaned;
    return openSharedMemory(by.path, rank, size, () => (isWatched() ? null : lost()));
  }
  if (by.mpi !== null) return openMpi([by.mpi], size, launcher);
  if (by.nodes > 1) {
    throw new QuernError(
      `srun started ${size} ranks on ${by.nodes} nodes without MPI; use srun --mpi=pmix for Open MPI or --mpi=pmi2 for MPICH ` +
        "(srun --mpi=list shows what this cluster has)",
    );
  }
  if (size > MAX_SHARED_RANKS) throw new QuernError(`at most ${MAX_SHARED_RANKS} ranks can share memory, not ${size}`);
  const path = sharedFileOf(sharedFolder(size), by.job);
  if (rank === 0) createSharedFile(path, size);
  return openSharedMemory(path, rank, size);
}

/** The cores that this process may use, as the system lists them; their number on systems without such a list. */
function allowedCores(): { readonly list: string; readonly count: number; readonly given: number } {
  const count = availableParallelism();
  // Slurm may give a task fewer cores than it binds it to.
  const given = Number(process.env.SLURM_CPUS_PER_TASK || Number.NaN) || count;
  try {
    const found = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync("/proc/self/status", "utf8"));
    if (found) return { list: found[1], count, given };
  } catch {
    // Not Linux.
  }
  return { list: `all ${cpus().length}`, count, given };
}

/** Ranks of a node that may use the same cores divide them. */
function threadsOf(
  sameNode: readonly { readonly cores: { readonly list: string } }[],
  { list, count, given }: ReturnType<typeof allowedCores>,
): number {
  const sharing = sameNode.filter(({ cores }) => cores.list === list).length;
  return Math.max(1, Math.min(given, Math.floor(count / sharing)));
}
