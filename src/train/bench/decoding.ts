/** @file How fast a model speaks: one text, a token at a time, greedily. */
import { measurePeak, type Plan } from "../../backends/index.js";
import { createDecoder } from "../../infer/index.js";
import { initialValues, parametersOf, trainingFlopsPerToken } from "../../model/index.js";
import { median } from "../throughput.js";
import { type BenchFigures, figuresOf, peakMemory } from "./figures.js";
import { PRESETS } from "./presets.js";
import type { TrainingBenchOptions } from "./training.js";

export interface DecodingBench extends BenchFigures {
  readonly preset: string;
  /** Tokens that were timed, and how many stood before the first. */
  readonly steps: number;
  readonly prompt: number;
  /** Weights that each token is multiplied with. */
  readonly parameters_per_token: number;
  /** Bytes of weights that each token reads, times tokens a second: 1e9 bytes a second. */
  readonly weights_gb_per_second: number;
  /** What reading memory reaches at most here, and the share of it; null where it is not measured. */
  readonly read_gb_per_second: number | null;
  readonly bandwidth_share: number | null;
}

const PROMPT = 16;

/** Decodes `steps` tokens behind a short prompt. Weights are the preset's first ones: what they say does not matter. */
export async function benchmarkDecoding(options: TrainingBenchOptions): Promise<DecodingBench> {
  const { sequence, dtype, threads, steps = 64, signal, onProgress } = options;
  const config = PRESETS[options.preset].model(Math.max(sequence, PROMPT + steps));
  const parameters = new Map(parametersOf(config).map((parameter) => [parameter.name, parameter]));
  const first = (name: string) => initialValues(parameters.get(name)!, 0);
  const decoder = createDecoder(config, first, { dtype, cpu: { threads } });
  const prompt = Array.from({ length: PROMPT }, (_, i) => (i * 997) % config.vocabSize);
  const seconds: number[] = [];
  let last = 0;
  const greedy = { temperature: 0, topK: 0, seed: 0, endOfText: [] };
  const onToken = () => {
    const now = performance.now();
    if (last > 0) seconds.push((now - last) / 1000); // the first one waits for the prompt
    last = now;
    onProgress?.({ task: "decode", done: seconds.length, total: steps, unit: "token" });
    return false;
  };
  await decoder.generate({ ...greedy, prompt, tokens: steps + 1 }, { signal, onToken });
  const plan = decoder.plan as Plan;
  decoder.dispose();
  const memory = peakMemory();
  const weights = trainingFlopsPerToken(config, 0) / 6; // every weight of a product, the head once
  const tokensPerSecond = 1 / median(seconds);
  const gigabytes = (4 * weights * tokensPerSecond) / 1e9;
  const { read = null } = await measurePeak({ threads: plan.threads, memory: true, signal });
  const given = { dtype, threads: plan.threads, target: plan.target, memory };
  return {
    ...(await figuresOf("decode", given, { tokensPerSecond, gflops: (2 * weights * tokensPerSecond) / 1e9 }, signal)),
    preset: options.preset,
    steps,
    prompt: PROMPT,
    parameters_per_token: weights,
    weights_gb_per_second: gigabytes,
    read_gb_per_second: read,
    bandwidth_share: read === null ? null : gigabytes / read,
  };
}
