/** @file What this machine is and what it can do at most: the facts that every figure must stand beside. */
import { statfs } from "node:fs/promises";
import { availableParallelism, cpus, freemem, release, totalmem, type } from "node:os";
import { dirname } from "node:path";
import { cacheFolder } from "../cache-folder.js";
import { version } from "../version.js";

/** Measured on this machine, not computed from its data sheet. */
export interface Peak {
  /** Multiply-adds in fp32, GFLOP/s (a multiply-add is two), of one thread and of all. */
  readonly gflopsOneThread: number;
  readonly gflops: number;
  /** The same of bf16 products with fp32 sums; 0 where the machine has none. */
  readonly bf16OneThread: number;
  readonly bf16: number;
  /** Reading memory that no cache holds, GB/s (1e9 bytes), of one thread and of all; absent when not asked for. */
  readonly readOneThread?: number;
  readonly read?: number;
}

export interface PeakOptions {
  readonly threads?: number;
  readonly memory?: boolean;
  readonly signal?: AbortSignal;
}

/** What a backend knows of the machine. */
export interface Machine {
  examine(): Promise<ProcessorReport>;
  /**
   * Measures what the machine can do at most, a tenth of a second for the arithmetic and about four seconds with `memory`.
   * @throws QuernError when the measuring program cannot be built or run
   */
  measurePeak(options?: PeakOptions): Promise<Peak>;
  /** The arithmetic's peak, measured once a process for each number of threads. Throws as `measurePeak` does. */
  peakOnce(options?: Omit<PeakOptions, "memory">): Promise<Peak>;
}

/** What programs are compiled for, and by what. */
export interface ProcessorReport {
  /** The system's C compiler; null where programs go to WebAssembly. */
  readonly compiler: { readonly command: string; readonly version: string } | null;
  /** The optional clang that makes WebAssembly; null when it is not installed. */
  readonly clang: string | null;
  /** The row that programs are compiled for, and all that this machine can run, widest first. */
  readonly instructionSet: string;
  readonly instructionSets: readonly string[];
  readonly threads: number;
}

/** What `quern doctor` tells. Sizes are in bytes. */
export interface MachineReport extends ProcessorReport {
  readonly processor: string;
  readonly cores: number;
  /** What this process may use, where a container says so; else what there is. */
  readonly memory: number;
  readonly freeMemory: number;
  readonly system: string;
  readonly node: string;
  readonly quern: string;
  readonly cache: string;
  /** Free space where the cache lies; null when the system does not tell. */
  readonly cacheFree: number | null;
  readonly peak: Peak | null;
  /** Why there is no peak. */
  readonly peakProblem?: string;
  /** One line to set beside a figure. */
  readonly line: string;
}

/** Examines this machine as a backend sees it; measures its peaks unless `measure` is false. */
export async function examineMachine(
  machine: Machine,
  { measure = true, signal }: { readonly measure?: boolean; readonly signal?: AbortSignal } = {},
): Promise<MachineReport> {
  const report = await machine.examine();
  const processor = cpus()[0]?.model.trim() || "unknown processor";
  const cores = availableParallelism();
  const limit = process.constrainedMemory?.() ?? 0;
  const memory = limit > 0 && limit < totalmem() ? limit : totalmem();
  const system = `${type()} ${release()} ${process.arch}`;
  let peak: Peak | null = null;
  let peakProblem: string | undefined;
  if (measure) {
    try {
      peak = await machine.measurePeak({ threads: report.threads, memory: true, signal });
    } catch (error) {
      // A doctor tells what is wrong; it does not fall ill of it.
      signal?.throwIfAborted();
      peakProblem = (error as Error).message;
    }
  }
  const tool = report.compiler?.version ?? report.clang ?? "no compiler";
  const date = new Date().toISOString().slice(0, 10);
  return {
    ...report,
    processor,
    cores,
    memory,
    freeMemory: Math.min(freemem(), memory),
    system,
    node: process.versions.node,
    quern: version,
    cache: cacheFolder(),
    cacheFree: await freeSpace(cacheFolder()),
    peak,
    ...(peakProblem === undefined ? {} : { peakProblem }),
    line: `${processor}, ${cores} cores, ${report.instructionSet}, ${tool}, Node ${process.versions.node}, ${system}, Quern ${version}, ${date}`,
  };
}

/** Of the folder, or of the nearest one above it that is there. */
async function freeSpace(folder: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    const above = dirname(folder);
    return (error as NodeJS.ErrnoException).code === "ENOENT" && above !== folder ? freeSpace(above) : null;
  }
}
