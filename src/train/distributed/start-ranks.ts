/** @file Starts the other ranks of `--ranks N` on this machine: the same command line again, once per rank. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { QuernError } from "../../errors.js";
import { type Launch, launchOf, RANK_VARIABLES } from "../../launch.js";
import { createSharedFile, MAX_SHARED_RANKS, sharedFolder } from "./shared-memory.js";

/**
 * Returns how this process was launched. If it was not, and `count` ranks are wanted, starts the others and becomes rank 0.
 * @param command arguments of Node that start one more rank; by default those of this process
 * @throws QuernError if mpirun or srun started another number of ranks
 */
export function startRanks(
  count: number | undefined,
  command: readonly string[] = [...process.execArgv, ...process.argv.slice(1)],
): Launch | null {
  const launch = launchOf();
  if (count !== undefined && launch !== null && launch.size !== count) {
    throw new QuernError(`${launch.launcher} started ${launch.size} ranks, but --ranks is ${count}; remove --ranks`, {
      exitCode: 2,
    });
  }
  if (launch !== null || count === undefined || count === 1) return launch;
  if (count > MAX_SHARED_RANKS) {
    throw new QuernError(`at most ${MAX_SHARED_RANKS} ranks can share memory, not ${count}; use mpirun for more`, {
      exitCode: 2,
    });
  }
  const path = join(sharedFolder(count), `quern-ranks-${randomBytes(8).toString("hex")}`);
  createSharedFile(path, count);
  const variables = (rank: number) => ({
    [RANK_VARIABLES.rank]: String(rank),
    [RANK_VARIABLES.size]: String(count),
    [RANK_VARIABLES.file]: path,
    [RANK_VARIABLES.parent]: String(process.pid),
  });
  let lost: number | null = null;
  for (let rank = 1; rank < count; rank++) {
    const child = spawn(process.execPath, command, {
      env: { ...process.env, ...variables(rank) },
      stdio: ["ignore", "ignore", "inherit"],
    });
    const end = () => {
      lost ??= rank;
    };
    child.on("error", end).on("exit", end).unref();
  }
  const own = launchOf({ ...process.env, ...variables(0) }) as Launch;
  return { ...own, lostAtStart: () => lost };
}
