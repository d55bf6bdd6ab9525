/** @file Measures the peak throughput of this machine's processor and memory; benchmarks report shares of it. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { ComputeDType } from "../../compiler/index.js";
import { fileError, QuernError } from "../../errors.js";
import { packageFolder } from "../../version.js";
import type { Peak, PeakOptions } from "../machine.js";
import { INSTRUCTION_SETS, type InstructionSet } from "./instruction-sets.js";
import { type Compiler, defaultThreads, findCompiler } from "./toolchain.js";
import { measureWasmPeak } from "./wasm-peak.js";

const execute = promisify(execFile);

/**
 * Measures the machine's peak: a tenth of a second for arithmetic, about four seconds with `memory`. Without a C compiler it
 * measures WebAssembly, and not memory.
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
  return { gflopsOneThread, gflops, bf16OneThread: 0, bf16: 0, amxOneThread: 0, amx: 0 };
}

const peaks = new Map<string, Promise<Peak>>();

/** Arithmetic peak, measured once per process, compiler and number of threads. Throws as `measurePeak` does. */
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

/** Rate of a row's bf16 products in GFLOP/s with one thread. Without an instruction for them, they are fp32 products. */
function bf16RateOf({ tiles, bf16Products }: InstructionSet, peak: Peak): number {
  return tiles ? peak.amxOneThread : bf16Products ? peak.bf16OneThread : peak.gflopsOneThread;
}

/**
 * The row with the fastest bf16 products, the first of equals. Emerald Rapids multiplies bf16 pairs (`vdpbf16ps`) at half the
 * rate of fp32, so there a row without that instruction is faster.
 */
export function fastestInBf16(sets: readonly InstructionSet[], peak: Peak): InstructionSet {
  return sets.reduce((best, set) => (bf16RateOf(set, peak) > bf16RateOf(best, peak) ? set : best));
}

/** Whether a row's bf16 products are clearly faster than its fp32 ones. */
export function bf16IsFaster(set: InstructionSet, peak: Peak): boolean {
  return bf16RateOf(set, peak) > 1.2 * peak.gflopsOneThread;
}

/** `bf16IsFaster` for this machine; if the peak cannot be measured, whether the row has an instruction for bf16. */
export function bf16Pays(set: InstructionSet): Promise<boolean> {
  return peakOnce({ threads: 1 }).then(
    (peak) => bf16IsFaster(set, peak),
    () => set.bf16Products,
  );
}

/** Peak of a program's products in GFLOP/s with all threads; shares of the peak refer to it. */
export function limitOf(
  peak: Peak,
  { target, dtype }: { readonly target: string; readonly dtype: ComputeDType },
): number {
  const set = INSTRUCTION_SETS.find(({ name }) => name === target);
  if (dtype === "fp32" || !set?.bf16Products) return peak.gflops;
  return (set.tiles ? peak.amx : peak.bf16) || peak.gflops;
}

/** Compiles `bench/peak.c` with a main that runs only the requested measurements. */
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
  printf(", \\"amxOneThread\\": %.1f, \\"amx\\": %.1f", peak_gflops_tiles(1), peak_gflops_tiles(${threads}));
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
    throw new QuernError(`cannot measure the peak with ${compiler.command}: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
