/** @file How much memory a program may still take. */
import { readFileSync } from "node:fs";
import { freemem, totalmem } from "node:os";

/**
 * Bytes that can be had without swapping: what the kernel says is available, and no more than what is left of the control
 * group's limit. What the group holds as file cache counts as left, since it is given up when it is wanted; Node's own
 * `process.availableMemory` counts it as used, and would refuse a program after a large file was read.
 */
export function freeMemory(): number {
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(textOf("/proc/meminfo"));
  // Elsewhere "free" leaves out what is given up on demand, so only what the machine never had is refused.
  if (available === null) return process.platform === "linux" ? freemem() : totalmem();
  return Math.min(1024 * Number(available[1]), leftOfGroup());
}

function leftOfGroup(): number {
  const root = "/sys/fs/cgroup";
  const limit = Number(textOf(`${root}/memory.max`).trim() || "max"); // NaN where there is none
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
