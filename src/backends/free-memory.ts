/** @file How much memory a program can still allocate. */
import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";

/**
 * Returns the bytes that can be allocated without swapping: MemAvailable, capped by what is left of the control group's limit.
 * The group's file cache counts as free, because the kernel reclaims it on demand. Node's `process.availableMemory` counts it
 * as used, and would refuse a program after a large file was read.
 */
export function freeMemory(): number {
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(textOf("/proc/meminfo"));
  // On other systems "free" excludes reclaimable memory, so only a plan larger than the whole machine is refused.
  if (available === null) return process.platform === "linux" ? freemem() : totalmem();
  return Math.min(1024 * Number(available[1]), leftOfGroup());
}

function leftOfGroup(): number {
  const root = "/sys/fs/cgroup";
  const limit = Number(textOf(`${root}/memory.max`).trim() || "max"); // NaN if there is no limit
  if (!(limit > 0)) return Number.POSITIVE_INFINITY;
  const used = Number(textOf(`${root}/memory.current`).trim());
  const cache = /^inactive_file (\d+)/m.exec(textOf(`${root}/memory.stat`));
  return Math.max(0, limit - used + Number(cache?.[1] ?? 0));
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
