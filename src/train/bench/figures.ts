/** @file The figures of a benchmark and what they stand beside. */
import { examineMachine, measurePeak, type Precision } from "../../backends/index.js";

/** Figures that every benchmark reports. */
export interface BenchFigures {
  readonly bench: string;
  readonly dtype: Precision;
  readonly threads: number;
  /** The instruction set's row. */
  readonly target: string;
  readonly tokens_per_second: number;
  /** Of the model's own operations, 1e9 a second. */
  readonly gflops: number;
  /** `gflops` as a share of what the machine can do at most in this type, measured now: model FLOP utilisation. */
  readonly mfu: number;
  readonly peak_gflops: number;
  /** The most memory that this process has had, 2^20 bytes. */
  readonly peak_rss_mb: number;
  /** The line of `quern doctor` without its measurements. */
  readonly machine: string;
}

/** The most memory that this process has had, 2^20 bytes. To be asked before the peak is measured, which takes some. */
export function peakMemory(): number {
  return Math.round(process.resourceUsage().maxRSS / 1024);
}

/** Once, both threads of a measurement may have had to share a core. */
const MEASUREMENTS = 3;

/** Work at its rate beside the machine's peak, the best of a few measurements. */
export async function figuresOf(
  bench: string,
  given: { readonly dtype: Precision; readonly threads: number; readonly target: string; readonly memory: number },
  rate: { readonly tokensPerSecond: number; readonly gflops: number },
  signal: AbortSignal | undefined,
): Promise<BenchFigures> {
  let peak = 0;
  for (let i = 0; i < MEASUREMENTS; i++) {
    const measured = await measurePeak({ threads: given.threads, signal });
    // Where no instruction multiplies bf16, the limit is that of fp32.
    peak = Math.max(peak, given.dtype === "bf16" && measured.bf16 > 0 ? measured.bf16 : measured.gflops);
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
