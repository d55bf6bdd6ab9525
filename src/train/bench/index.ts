/** @file The function behind `quern bench`. */
import type { z } from "zod";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import { benchOptions } from "./bench-options.js";
import { benchmarkDecoding, type DecodingBench } from "./decoding.js";
import { benchmarkInference, type InferenceBench } from "./inference.js";
import { benchmarkAttention, benchmarkProducts, type KernelBench } from "./kernels.js";
import { benchmarkShakespeare, type ShakespeareBench } from "./shakespeare.js";
import { benchmarkTraining, type TrainingBench } from "./training.js";

export type BenchOptions = z.input<typeof benchOptions> & {
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
};

export type BenchResult = TrainingBench | DecodingBench | InferenceBench | KernelBench | ShakespeareBench;

/**
 * Runs one benchmark in this process.
 * @throws QuernError for a text that cannot be downloaded or read, or a model that does not fit in memory
 */
export async function benchmark(options: BenchOptions): Promise<BenchResult> {
  const { signal, onProgress, ...rest } = options;
  const o = { ...checkOptions(benchOptions, rest), signal, onProgress };
  switch (o.what) {
    case "train":
      return benchmarkTraining(o);
    case "decode":
      return benchmarkDecoding(o);
    case "inference":
      return benchmarkInference(o);
    case "gemm":
      return benchmarkProducts(o);
    case "attention":
      return benchmarkAttention(o);
    case "shakespeare":
      return benchmarkShakespeare(o);
    default:
      return o.what satisfies never;
  }
}
