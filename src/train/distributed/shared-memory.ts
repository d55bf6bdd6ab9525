/**
 * @file The transport of ranks on one machine: a file that all of them map into memory. Each rank has a counter of its
 * operations and two outboxes, used in turn. A rank fills an outbox, raises its counter, and waits for the others' counters.
 * Then it reads their outboxes in place.
 *
 *     counters   one cache line per rank, in 32 bits
 *     outboxes   rank 0: even operations, odd operations; rank 1: …
 *
 * Why two outboxes suffice: a rank fills the same one again two operations later. To get there it saw every other rank's counter
 * of the operation between, which a rank raises only after it has read the earlier outboxes.
 */
import { closeSync, ftruncateSync, openSync, renameSync, rmSync, statfsSync, statSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import koffi from "koffi";
import { EndedElsewhereError, fileError, QuernError, RankLostError } from "../../errors.js";
import { OUTBOX_BYTES, type Transport } from "./transport.js";

const CACHE_LINE = 64;
/** The counters' part of the file: room for 256 ranks, and a multiple of every page size. */
const HEADER_BYTES = 1 << 16;
/** Most ranks of one machine. */
export const MAX_SHARED_RANKS = 256;

const bytesFor = (size: number) => HEADER_BYTES + 2 * size * OUTBOX_BYTES;

/** Milliseconds in which every rank must have opened the file; on a busy machine Node itself takes long to start. */
const START_MS = 300_000;
/** Where a rank marks that it gave up waiting, after all counters. */
const GIVEN_UP_AT = HEADER_BYTES - CACHE_LINE;

/** Returns a folder with room for the shared file: in memory where the system has such a folder. */
export function sharedFolder(size: number): string {
  for (const folder of ["/dev/shm", tmpdir()]) {
    try {
      const { bavail, bsize } = statfsSync(folder);
      if (bavail * bsize > bytesFor(size)) return folder;
    } catch {
      // Not on this system.
    }
  }
  throw new QuernError(
    `${size} ranks need ${Math.ceil(bytesFor(size) / 2 ** 20)} MB in /dev/shm or ${tmpdir()}; free some space there`,
  );
}

/** Creates the file at `path` for `size` ranks; only its owner can open it. */
export function createSharedFile(path: string, size: number): void {
  try {
    const file = openSync(`${path}.new`, "wx", 0o600);
    try {
      ftruncateSync(file, bytesFor(size)); // zeros
    } finally {
      closeSync(file);
    }
    renameSync(`${path}.new`, path);
  } catch (error) {
    throw fileError(error, "write", path);
  }
}

/**
 * Joins the other ranks at the file, which another rank may create a little later.
 * @param lostAtStart returns a rank that ended before the ranks watch one another, if this process can know it
 * @throws QuernError if it does not appear, or not all ranks come
 */
export async function openSharedMemory(
  path: string,
  rank: number,
  size: number,
  lostAtStart: () => number | null = () => null,
): Promise<Transport> {
  const memory = await mapFile(path, bytesFor(size));
  const givenUp = new Int32Array(memory, GIVEN_UP_AT, 1);
  const incomplete = () => {
    // A rank that comes later finds all counters raised.
    Atomics.store(givenUp, 0, 1);
    return new QuernError(
      `only some of the ${size} ranks started within ${START_MS / 1000} s; look at what the others wrote, and start again`,
    );
  };
  const counters = Array.from({ length: size }, (_, k) => new Int32Array(memory, k * CACHE_LINE, 1));
  const outboxOf = (k: number, operation: number) =>
    new Uint8Array(memory, HEADER_BYTES + (2 * k + (operation % 2)) * OUTBOX_BYTES, OUTBOX_BYTES);
  const outboxes = Array.from({ length: size }, (_, k) => [outboxOf(k, 0), outboxOf(k, 1)] as const);
  let operation = 0;
  /** Announces this rank's outbox; returns all outboxes of this operation once they are filled. */
  const publish = async (deadline = Number.POSITIVE_INFINITY): Promise<readonly Uint8Array[]> => {
    const current = operation++;
    // 32 bits suffice: no rank is more than one operation ahead of another, so differences decide.
    Atomics.store(counters[rank], 0, operation | 0);
    const arrived = (counter: Int32Array) => ((Atomics.load(counter, 0) - operation) | 0) >= 0;
    await until(
      () => counters.every(arrived),
      () => {
        const lost = lostAtStart();
        if (lost === 0 && rank > 1) throw new EndedElsewhereError("rank 1 reports that rank 0 was lost");
        if (lost !== null) throw new RankLostError(lost, hostname(), " while the ranks started; start again");
        if (performance.now() > deadline || Atomics.load(givenUp, 0) === 1) throw incomplete();
      },
    );
    return outboxes.map((pair) => pair[current % 2]);
  };
  await publish(performance.now() + START_MS);
  if (Atomics.load(givenUp, 0) === 1) throw incomplete();
  // The mapping stays. A file without a name is gone with the last process, however that ends.
  if (rank === 0) rmSync(path, { force: true });
  return {
    ...{ rank, size, name: "shared memory" },
    outbox: () => outboxes[rank][operation % 2],
    exchange: async (bytes) => (await publish()).map((box) => box.subarray(rank * bytes, (rank + 1) * bytes)),
    gather: async (bytes) => (await publish()).map((box) => box.subarray(0, bytes)),
    broadcast: async (bytes, root) => (await publish())[root].subarray(0, bytes),
    close: () => {},
  };
}

/** How often a condition is checked at once, and for how many milliseconds at every turn of the event loop; then it sleeps. */
const SPINS = 500;
const TURNING_MS = 2;

/** Resolves once `ready` returns true. `check` throws to end the wait. */
async function until(ready: () => boolean, check: () => void): Promise<void> {
  for (let spin = 0; spin < SPINS; spin++) if (ready()) return;
  const start = performance.now();
  for (;;) {
    await turn();
    if (ready()) return;
    check();
    // A rank that waits long must not take the time of those it waits for.
    if (performance.now() - start > TURNING_MS) await sleep(1);
  }
}

const [PROT_READ_WRITE, MAP_SHARED] = [3, 1];

/** Maps a file of `bytes`; waits until it exists. Node has no such call, so the system's C library does it. */
async function mapFile(path: string, bytes: number): Promise<ArrayBuffer> {
  if (process.platform !== "linux" && process.platform !== "darwin") {
    throw new QuernError(`ranks with shared memory need Linux or macOS, and this is ${process.platform}`);
  }
  const deadline = performance.now() + START_MS;
  while (statSync(path, { throwIfNoEntry: false })?.size !== bytes) {
    if (performance.now() > deadline) {
      throw new QuernError(`rank 0 did not start within ${START_MS / 1000} s: ${path} is missing; start again`);
    }
    await sleep(20);
  }
  let file: number;
  try {
    file = openSync(path, "r+");
  } catch (error) {
    throw fileError(error, "read", path);
  }
  try {
    const map = koffi
      .load(null)
      .func("void *mmap(void *at, size_t bytes, int protection, int flags, int file, int64_t offset)");
    const address = map(null, bytes, PROT_READ_WRITE, MAP_SHARED, file, 0) as bigint | null;
    if (!address || BigInt.asIntN(64, address) === -1n) {
      throw new QuernError(`cannot map ${path} into memory; raise the limit with \`ulimit -v\``);
    }
    return koffi.view(address, bytes);
  } finally {
    closeSync(file);
  }
}

/** Name of the shared file of a job, for ranks that know nothing but the job. */
export const sharedFileOf = (folder: string, job: string) =>
  join(folder, `quern-ranks-${process.getuid?.() ?? 0}-${job}`);
