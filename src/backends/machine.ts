/** @file What this machine is and what it can do at most: the facts that every figure must stand beside. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, statfs, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, freemem, release, tmpdir, totalmem, type } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "../cache-folder.js";
import { fileError, QuernError } from "../errors.js";
import { packageFolder, version } from "../version.js";
import { clangVersion } from "./cpu/build.js";
import { type Compiler, chooseSet, defaultThreads, findCompiler, runnableSets } from "./cpu/toolchain.js";
import { measureWasmPeak } from "./cpu/wasm-peak.js";

const execute = promisify(execFile);

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

interface PeakOptions {
  readonly threads?: number;
  readonly memory?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Measures what the machine can do at most, a tenth of a second for the arithmetic and about four seconds with `memory`.
 * Without a C compiler it is the peak of WebAssembly, and memory is not measured.
 * @throws QuernError when the measuring program cannot be built or run
 */
export async function measurePeak({
  threads = defaultThreads(),
  memory = false,
  signal,
}: PeakOptions = {}): Promise<Peak> {
  const compiler = await findCompiler();
  if (compiler !== null) return measureNative(compiler, threads, memory, signal);
  const gflopsOneThread = await measureWasmPeak(1);
  const gflops = threads === 1 ? gflopsOneThread : await measureWasmPeak(threads);
  return { gflopsOneThread, gflops, bf16OneThread: 0, bf16: 0 };
}

const peaks = new Map<string, Promise<Peak>>();

/** The arithmetic's peak, measured once a process for each compiler and number of threads. Throws as `measurePeak` does. */
export function peakOnce({ threads = defaultThreads(), signal }: Omit<PeakOptions, "memory"> = {}): Promise<Peak> {
  const key = `${threads} ${process.env.QUERN_CC ?? ""}`;
  let peak = peaks.get(key);
  if (!peak) {
    peak = measurePeak({ threads, signal });
    peaks.set(key, peak);
    peak.catch(() => peaks.delete(key));
  }
  return peak;
}

/** Whether bf16 products are clearly faster than fp32 ones. AMD's cores double their rate by them, Intel's Emerald Rapids halves it. */
export function bf16IsFaster({
  gflopsOneThread,
  bf16OneThread,
}: Pick<Peak, "gflopsOneThread" | "bf16OneThread">): boolean {
  return bf16OneThread > 1.2 * gflopsOneThread;
}

/** The same of this machine; where nothing can be measured, yes. */
export function bf16Pays(): Promise<boolean> {
  return peakOnce({ threads: 1 }).then(bf16IsFaster, () => true);
}

/** `bench/peak.c` and a main that measures only what is asked for. */
async function measureNative(
  compiler: Compiler,
  threads: number,
  memory: boolean,
  signal: AbortSignal | undefined,
): Promise<Peak> {
  const source = `#define QN_PEAK_NO_MAIN
${await readFile(join(packageFolder, "bench", "peak.c"), "utf8")}
int main(void) {
  printf("{\\"gflopsOneThread\\": %.1f, \\"gflops\\": %.1f", peak_gflops(1), peak_gflops(${threads}));
  printf(", \\"bf16OneThread\\": %.1f, \\"bf16\\": %.1f", peak_gflops_bf16(1), peak_gflops_bf16(${threads}));
  ${memory ? `printf(", \\"readOneThread\\": %.1f, \\"read\\": %.1f", peak_read_bandwidth(1, 512L << 20), peak_read_bandwidth(${threads}, 512L << 20));` : "(void)peak_read_bandwidth;"}
  printf("}\\n");
  return 0;
}
`;
  const folder = await mkdtemp(join(tmpdir(), "quern-peak-"));
  try {
    await writeFile(join(folder, "peak.c"), source);
    const options = { cwd: folder, signal };
    await execute(
      compiler.command,
      ["-std=gnu11", "-O3", ...compiler.native, "-pthread", "peak.c", "-o", "peak"],
      options,
    );
    const { stdout } = await execute(join(folder, "peak"), [], options);
    return JSON.parse(stdout) as Peak;
  } catch (error) {
    signal?.throwIfAborted();
    const known = fileError(error, "write", folder);
    if (known instanceof QuernError) throw known;
    throw new QuernError(`the peak could not be measured with ${compiler.command}: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What `quern doctor` tells. Sizes are in bytes. */
export interface MachineReport {
  readonly processor: string;
  readonly cores: number;
  /** What this process may use, where a container says so; else what there is. */
  readonly memory: number;
  readonly freeMemory: number;
  readonly system: string;
  readonly node: string;
  readonly quern: string;
  /** The system's C compiler; null where programs go to WebAssembly. */
  readonly compiler: { readonly command: string; readonly version: string } | null;
  /** The optional clang that makes WebAssembly; null when it is not installed. */
  readonly clang: string | null;
  /** The row that programs are compiled for, and all that this machine can run, widest first. */
  readonly instructionSet: string;
  readonly instructionSets: readonly string[];
  readonly threads: number;
  readonly cache: string;
  /** Free space where the cache lies; null when the system does not tell. */
  readonly cacheFree: number | null;
  readonly peak: Peak | null;
  /** Why there is no peak. */
  readonly peakProblem?: string;
  /** One line to set beside a figure. */
  readonly line: string;
}

/** Examines this machine; measures its peaks unless `measure` is false. */
export async function examineMachine({
  measure = true,
  signal,
}: {
  readonly measure?: boolean;
  readonly signal?: AbortSignal;
} = {}): Promise<MachineReport> {
  const compiler = await findCompiler();
  const clang = await clangVersion().catch(() => null);
  const set = chooseSet(compiler, undefined);
  const threads = defaultThreads();
  const processor = cpus()[0]?.model.trim() || "unknown processor";
  const cores = availableParallelism();
  const limit = process.constrainedMemory?.() ?? 0;
  const memory = limit > 0 && limit < totalmem() ? limit : totalmem();
  const system = `${type()} ${release()} ${process.arch}`;
  let peak: Peak | null = null;
  let peakProblem: string | undefined;
  if (measure) {
    try {
      peak = await measurePeak({ threads, memory: true, signal });
    } catch (error) {
      // A doctor tells what is wrong; it does not fall ill of it.
      signal?.throwIfAborted();
      peakProblem = (error as Error).message;
    }
  }
  const tool = compiler?.version ?? clang ?? "no compiler";
  const date = new Date().toISOString().slice(0, 10);
  return {
    processor,
    cores,
    memory,
    freeMemory: Math.min(freemem(), memory),
    system,
    node: process.versions.node,
    quern: version,
    compiler: compiler === null ? null : { command: compiler.command, version: compiler.version },
    clang,
    instructionSet: set.name,
    instructionSets: runnableSets(compiler).map(({ name }) => name),
    threads,
    cache: cacheFolder(),
    cacheFree: await freeSpace(cacheFolder()),
    peak,
    ...(peakProblem === undefined ? {} : { peakProblem }),
    line: `${processor}, ${cores} cores, ${set.name}, ${tool}, Node ${process.versions.node}, ${system}, Quern ${version}, ${date}`,
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
