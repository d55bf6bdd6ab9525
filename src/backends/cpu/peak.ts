/** @file Measures the peak throughput of this machine's processor and memory; benchmarks report shares of it. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileError, QuernError } from "../../errors.js";
import { packageFolder } from "../../version.js";
import type { Peak, PeakOptions } from "../machine.js";
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
  return { gflopsOneThread, gflops, bf16OneThread: 0, bf16: 0 };
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

/** Whether bf16 products are clearly faster than fp32 ones. They double the rate of AMD's cores and halve Emerald Rapids'. */
export function bf16IsFaster({
  gflopsOneThread,
  bf16OneThread,
}: Pick<Peak, "gflopsOneThread" | "bf16OneThread">): boolean {
  return bf16OneThread > 1.2 * gflopsOneThread;
}

/** `bf16IsFaster` for this machine; true if the peak cannot be measured. */
export function bf16Pays(): Promise<boolean> {
  return peakOnce({ threads: 1 }).then(bf16IsFaster, () => true);
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
