/** @file The figures that all benchmarks report, relative to the machine's peak. */
import { type ComputeDType, examineMachine, limitOf, measurePeak } from "../../backends/index.js";

/** The figures of every benchmark. */
export interface BenchFigures {
  readonly bench: string;
  readonly dtype: ComputeDType;
  readonly threads: number;
  /** Instruction set of the program. */
  readonly target: string;
  readonly tokens_per_second: number;
  /** Rate of the model's operations, in 1e9 FLOP/s. */
  readonly gflops: number;
  /** Model FLOP utilization: `gflops` divided by the machine's peak at this dtype, measured in the same call. */
  readonly mfu: number;
  readonly peak_gflops: number;
  /** Peak resident memory of this process, in units of 2^20 bytes. */
  readonly peak_rss_mb: number;
  /** Machine line of `quern doctor`, without its measurements. */
  readonly machine: string;
}

/** Returns the peak resident memory in 2^20 bytes. Call it before measuring the FLOP/s peak, which allocates memory. */
export function peakMemory(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

/** More than one, because the threads of a single measurement may have shared a core. */
const MEASUREMENTS = 3;

/** Compares a measured rate with the machine's peak, the best of several measurements. */
export async function figuresOf(
  bench: string,
  given: { readonly dtype: ComputeDType; readonly threads: number; readonly target: string; readonly memory: number },
  rate: { readonly tokensPerSecond: number; readonly gflops: number },
  signal: AbortSignal | undefined,
): Promise<BenchFigures> {
  let peak = 0;
  for (let i = 0; i < MEASUREMENTS; i++) {
    const measured = await measurePeak({ threads: given.threads, signal });
    peak = Math.max(peak, limitOf(measured, given));
  }
  return {
    bench,
    dtype: given.dtype,
    threads: given.threads,
    target: given.target,
    tokens_per_second: rate.tokensPerSecond,
    gflops: rate.gflops,
    mfu: rate.gflops / peak,
    peak_gflops: peak,
    peak_rss_mb: given.memory,
    machine: (await examineMachine({ measure: false })).line,
  };
}
