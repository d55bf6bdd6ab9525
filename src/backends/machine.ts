/** @file Describes this machine and its measured peak: the facts that must accompany every benchmark figure. */
import { statfs } from "node:fs/promises";
import { availableParallelism, cpus, freemem, release, totalmem, type } from "node:os";
import { dirname } from "node:path";
import { cacheFolder } from "../cache-folder.js";
import type { ComputeDType } from "../compiler/index.js";
import { version } from "../version.js";

/** Peak throughput, measured on this machine rather than computed from a data sheet. */
export interface Peak {
  /** fp32 multiply-adds in GFLOP/s (a multiply-add counts as two), with one thread and with all. */
  readonly gflopsOneThread: number;
  readonly gflops: number;
  /** The same for bf16 products with fp32 sums; 0 without such an instruction. */
  readonly bf16OneThread: number;
  readonly bf16: number;
  /** bf16 products by tiles (AMX); 0 without them, or if the system refuses the tile registers. */
  readonly amxOneThread: number;
  readonly amx: number;
  /** Read bandwidth of uncached memory in GB/s (1e9 bytes), with one thread and with all; absent unless requested. */
  readonly readOneThread?: number;
  readonly read?: number;
}

export interface PeakOptions {
  readonly threads?: number;
  readonly memory?: boolean;
  readonly signal?: AbortSignal;
}

/** A backend's view of the machine. */
export interface Machine {
  examine(): Promise<ProcessorReport>;
  /**
   * Measures the machine's peak: a tenth of a second for arithmetic, about four seconds with `memory`.
   * @throws QuernError when the measuring program cannot be built or run
   */
  measurePeak(options?: PeakOptions): Promise<Peak>;
  /** Arithmetic peak, measured once per process and number of threads. Throws as `measurePeak` does. */
  peakOnce(options?: Omit<PeakOptions, "memory">): Promise<Peak>;
  /** Peak of a program's products in GFLOP/s with all threads; shares of the peak refer to it. */
  limitOf(peak: Peak, program: { readonly target: string; readonly dtype: ComputeDType }): number;
  /** The instruction set with the fastest bf16 products by this measurement. */
  bf16Row(peak: Peak): Promise<string>;
}

/** The compiler, and the instruction set that programs are compiled for. */
export interface ProcessorReport {
  /** The system's C compiler; null if programs are compiled to WebAssembly. */
  readonly compiler: { readonly command: string; readonly version: string } | null;
  /** The optional clang that compiles to WebAssembly; null if not installed. */
  readonly clang: string | null;
  /** The instruction set that programs are compiled for, and all that this machine supports, widest first. */
  readonly instructionSet: string;
  readonly instructionSets: readonly string[];
  readonly threads: number;
}

/** The GPU of a backend. */
export interface GpuReport {
  readonly backend: string;
  /** Its name and figures; null if programs cannot run on one. */
  readonly gpu: string | null;
  /** Whether it computes on the processor, which `auto` never chooses. */
  readonly isSoftware?: boolean;
  /** Why there is none. */
  readonly problem?: string;
}

/** What `quern doctor` reports. Sizes are in bytes. */
export interface MachineReport extends ProcessorReport {
  readonly processor: string;
  readonly cores: number;
  /** The container's memory limit if there is one, else the machine's memory. */
  readonly memory: number;
  readonly freeMemory: number;
  readonly system: string;
  readonly node: string;
  readonly quern: string;
  readonly cache: string;
  /** Free space on the cache's file system; null if the system does not report it. */
  readonly cacheFree: number | null;
  readonly peak: Peak | null;
  /** The instruction set for programs with bf16 products, chosen by measurement; null if nothing was measured. */
  readonly bf16InstructionSet: string | null;
  /** GPUs, one per backend for them. */
  readonly gpus: readonly GpuReport[];
  /** Why there is no peak. */
  readonly peakProblem?: string;
  /** One line that describes the machine, to quote with a benchmark figure. */
  readonly line: string;
}

/** Examines this machine for a backend; measures its peaks unless `measure` is false. */
export async function examineMachine(
  machine: Machine,
  gpus: readonly GpuReport[],
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
      // `quern doctor` must report a broken compiler, not fail because of it.
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
    gpus,
    bf16InstructionSet: peak === null ? null : await machine.bf16Row(peak),
    ...(peakProblem === undefined ? {} : { peakProblem }),
    line: `${processor}, ${cores} cores, ${report.instructionSet}, ${tool}, Node ${process.versions.node}, ${system}, Quern ${version}, ${date}`,
  };
}

/** Free bytes at the folder, or at its nearest existing parent. */
async function freeSpace(folder: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    const above = dirname(folder);
    return (error as NodeJS.ErrnoException).code === "ENOENT" && above !== folder ? freeSpace(above) : null;
  }
}
