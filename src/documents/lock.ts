/**
 * @file A lock file for one process at a time. It records its holder's process id, start time and host. So the lock of a
 * killed process blocks no one, even if another process has its id by now.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { type FileHandle, link, open, readFile, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { temporaryName } from "./atomic.js";

const schema = z.object({
  pid: z.int().positive(),
  /** Start time of the process, an opaque string for comparison; null if the system does not provide it. */
  started: z.string().nullable(),
  host: z.string(),
  /** Differs for each lock. */
  token: z.string(),
  /** The PID namespace of `pid`: each container on a host has its own. */
  space: z.string().nullish(),
  /** Whether the process also has the kernel's lock on the file, which ends with the process. */
  guarded: z.boolean().optional(),
});

export type LockHolder = z.output<typeof schema>;

/** Milliseconds between two heartbeats of a holder. */
const BEAT = 5_000;
/** Milliseconds without a heartbeat after which another host's lock is abandoned; its process cannot be checked. */
const ABANDONED = 60_000;
/** Milliseconds after which an empty lock is abandoned. Writing it takes microseconds, unless the process was killed. */
const HALF_WRITTEN = 2_000;

export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock at `path`. If a running process has it, including this one, returns that holder instead.
 * @throws the system's error if the file cannot be written
 */
export async function takeLock(path: string): Promise<Lock | LockHolder> {
  const started = startOf(process.pid);
  const token = randomBytes(8).toString("hex");
  const own = { pid: process.pid, started, host: hostname(), token, space: pidSpace() };
  for (;;) {
    try {
      return await create(path, own);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const found = await readFile(path, "utf8").catch(() => undefined);
    if (found === undefined) continue; // released between the two calls
    const holder = parse(found);
    if (holder === undefined && (await ageOf(path)) < HALF_WRITTEN) await sleep(100);
    else if (holder !== undefined && (await isHeld(holder, path))) return holder;
    else await takeAway(path, found);
  }
}

export const isHolder = (result: Lock | LockHolder): result is LockHolder => "pid" in result;

async function create(path: string, own: LockHolder): Promise<Lock> {
  const handle = await open(path, "wx");
  try {
    await handle.writeFile(JSON.stringify({ ...own, guarded: (await guard(handle)) === true }));
  } catch (error) {
    await handle.close();
    await rm(path, { force: true });
    throw error;
  }
  return keep(path, own, handle);
}

function keep(path: string, own: LockHolder, handle: FileHandle): Lock {
  const beat = setInterval(() => {
    const now = new Date();
    handle.utimes(now, now).catch(() => {});
  }, BEAT);
  beat.unref();
  return {
    async release() {
      clearInterval(beat);
      const found = await readFile(path, "utf8").catch(() => "");
      if (parse(found)?.token === own.token) await rm(path, { force: true });
      await handle.close();
    },
  };
}

/** Removes an abandoned lock, unless another process has replaced it meanwhile. */
async function takeAway(path: string, text: string): Promise<void> {
  const aside = temporaryName(path);
  try {
    await rename(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  if ((await readFile(aside, "utf8").catch(() => text)) !== text) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

function parse(text: string): LockHolder | undefined {
  try {
    return schema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

async function isHeld(holder: LockHolder, path: string): Promise<boolean> {
  const space = pidSpace();
  if (holder.host !== hostname() || (holder.space ?? space) !== space) {
    // The process id means nothing here. If both run on the same kernel, its lock shows whether the holder lives.
    const boot = startOf(process.pid)?.split(" ")[0];
    if (holder.guarded && boot !== undefined && holder.started?.split(" ")[0] === boot) {
      const handle = await open(path, "r").catch(() => undefined);
      const free = handle && (await guard(handle));
      await handle?.close();
      if (free !== undefined) return !free;
    }
    return (await ageOf(path)) < ABANDONED;
  }
  if (!isRunning(holder.pid)) return false;
  const started = startOf(holder.pid);
  return started === null || holder.started === null || started === holder.started;
}

/** Milliseconds since the last heartbeat. */
async function ageOf(path: string): Promise<number> {
  const status = await stat(path).catch(() => null);
  return status === null ? Number.POSITIVE_INFINITY : Date.now() - status.mtimeMs;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * Takes the kernel's lock on an open file (Linux, flock(2)) until the file is closed. Returns false if another process has
 * it, undefined if the system or file system does not support it.
 */
async function guard(handle: FileHandle): Promise<boolean | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    const { default: koffi } = await import("koffi");
    if (koffi.load(null).func("int flock(int file, int operation)")(handle.fd, LOCK_EX | LOCK_NB) === 0) return true;
    return koffi.errno() === EWOULDBLOCK ? false : undefined;
  } catch {
    return undefined;
  }
}
const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;

/** Returns the PID namespace of this process; null if it is unknown or the system has only one. */
function pidSpace(): string | null {
  try {
    return process.platform === "linux" ? readlinkSync("/proc/self/ns/pid") : null;
  } catch {
    return null;
  }
}

/** Returns the start time of a process on this host; null if it is unknown. */
function startOf(pid: number): string | null {
  try {
    if (process.platform === "linux") {
      // Field 22, in clock ticks since boot. The process name before it, in parentheses, may contain spaces and parentheses.
      const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ").at(-1)?.split(" ") ?? [];
      return `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()} ${fields[19]}`;
    }
    if (process.platform === "win32") return null;
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], {
      encoding: "latin1",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 5_000,
    }).trim();
  } catch {
    return null;
  }
}
