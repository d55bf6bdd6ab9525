/**
 * @file A lock file: one process at a time. It names its holder by process number, start time and host, so that a lock
 * left by a killed process blocks nobody, even where its number belongs to another process by now.
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
  /** When the process started, in a form that only equality is asked of; null where the system does not tell. */
  started: z.string().nullable(),
  host: z.string(),
  /** Differs for each lock. */
  token: z.string(),
  /** In whose numbering `pid` is: containers on one host have their own. */
  space: z.string().nullish(),
  /** Whether the kernel's own lock is held on the file as well, which ends with the process. */
  guarded: z.boolean().optional(),
});

export type LockHolder = z.output<typeof schema>;

/** Milliseconds between two signs of life of a holder. */
const BEAT = 5_000;
/** Another host's processes cannot be asked for; a lock without a sign of life for so long is abandoned. */
const ABANDONED = 60_000;
/** Between a lock's creation and its content there are microseconds, unless its process was killed there. */
const HALF_WRITTEN = 2_000;

export interface Lock {
  release(): Promise<void>;
}

/**
 * Takes the lock at `path`. Gives its holder instead where a running process, this one included, has it.
 * @throws the operating system's error where the file cannot be written
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
    // Its number says nothing here. The kernel knows, where it is the same one.
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

/** Milliseconds since the last sign of life. */
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
 * Takes the kernel's lock on an open file (Linux, flock(2)) until it is closed. False where another process has it,
 * undefined where the system or the file system has no such locks.
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

/** The numbering of processes that this one lives in; null where there is one only, or it cannot be told. */
function pidSpace(): string | null {
  try {
    return process.platform === "linux" ? readlinkSync("/proc/self/ns/pid") : null;
  } catch {
    return null;
  }
}

/** When a process of this host started; null where that cannot be told. */
function startOf(pid: number): string | null {
  try {
    if (process.platform === "linux") {
      // Field 22, in clock ticks since the boot; the name before it, in brackets, may hold spaces and brackets.
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
