/** @file Several ranks in one process: each has its own map of the shared file, so they are as separate as processes are. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createRanks, type Ranks } from "../../../src/train/distributed/ranks.js";
import { createSharedFile, openSharedMemory, sharedFolder } from "../../../src/train/distributed/shared-memory.js";

/** Runs `work` as each of `size` ranks, and returns their results by rank. */
export async function asRanks<T>(size: number, work: (ranks: Ranks) => Promise<T>): Promise<T[]> {
  const path = join(sharedFolder(size), `quern-test-${randomBytes(8).toString("hex")}`);
  createSharedFile(path, size);
  return Promise.all(
    Array.from({ length: size }, async (_, rank) => work(createRanks(await openSharedMemory(path, rank, size)))),
  );
}
