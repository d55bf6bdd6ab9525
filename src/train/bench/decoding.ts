/** @file Benchmarks greedy decoding of one text, or of several in a batch. */
import { measurePeak, type Plan } from "../../backends/index.js";
import { createDecoder, type GenerateCallbacks } from "../../infer/index.js";
import { initialValues, parametersOf, trainingFlopsPerToken } from "../../model/index.js";
import { median } from "../throughput.js";
import { type BenchFigures, figuresOf, peakMemory } from "./figures.js";
import { PRESETS } from "./presets.js";
import type { TrainingBenchOptions } from "./training.js";

export interface DecodingBench extends BenchFigures {
  readonly preset: string;
  /** Texts per batch, timed tokens per text, and prompt tokens per text. */
  readonly batch: number;
  readonly steps: number;
  readonly prompt: number;
  /** Tokens/s of the whole job, including prompts; `tokens_per_second` is that of the median step. */
  readonly job_tokens_per_second: number;
  /** Weights that multiply each token. */
  readonly parameters_per_token: number;
  /** Rate of reading weights, in 1e9 bytes/s: bytes of weights per step times steps per second. */
  readonly weights_gb_per_second: number;
  /** This machine's peak read bandwidth, and the share of it that decoding reaches; null if not measured. */
  readonly read_gb_per_second: number | null;
  readonly bandwidth_share: number | null;
}

const PROMPT = 16;

/** Decodes `steps` tokens after a short prompt, for `batch` texts. The weights are untrained, which does not affect the speed. */
export async function benchmarkDecoding(options: TrainingBenchOptions): Promise<DecodingBench> {
  const { batch = 1, sequence, dtype, threads, steps = 64, signal, onProgress } = options;
  const config = PRESETS[options.preset].model(Math.max(sequence, PROMPT + steps));
  const parameters = new Map(parametersOf(config).map((parameter) => [parameter.name, parameter]));
  const first = (name: string) => initialValues(parameters.get(name)!, 0);
  const decoder = createDecoder(config, first, { dtype, cpu: { threads } });
  const seconds: number[] = [];
  let last = 0;
  let drawn = 0;
  const onToken = () => {
    drawn += 1;
    if (drawn % batch > 0) return false;
    const now = performance.now();
    if (last > 0) seconds.push((now - last) / 1000); // the first step includes the prompts
    last = now;
    onProgress?.({ task: "decode", done: seconds.length, total: steps, unit: "step" });
    return false;
  };
  const decode = (tokens: number, first: number, callbacks: GenerateCallbacks) =>
    Promise.all(
      Array.from({ length: batch }, (_, text) => {
        const prompt = Array.from({ length: PROMPT }, (_, i) => (i * 997 + (first + text) * 31) % config.vocabSize);
        const request = { prompt, tokens, temperature: 0, topK: 0, seed: 0, endOfText: [] };
        return decoder.generate(request, { signal, ...callbacks });
      }),
    );
  await decode(2, batch, {}); // warms up, with other prompts because slots keep their cache
  const start = performance.now();
  await decode(steps + 1, 0, { onToken });
  const jobSeconds = (performance.now() - start) / 1000;
  const plan = decoder.plan as Plan;
  decoder.dispose();
  const memory = peakMemory();
  const weights = trainingFlopsPerToken(config, 0) / 6; // all weights of matrix products, including the head
  const stepsPerSecond = 1 / median(seconds);
  const tokensPerSecond = batch * stepsPerSecond;
  const gigabytes = (4 * weights * stepsPerSecond) / 1e9;
  const { read = null } = await measurePeak({ threads: plan.threads, memory: true, signal });
  const given = { dtype, threads: plan.threads, target: plan.target, memory };
  return {
    ...(await figuresOf("decode", given, { tokensPerSecond, gflops: (2 * weights * tokensPerSecond) / 1e9 }, signal)),
    preset: options.preset,
    batch,
    steps,
    prompt: PROMPT,
    job_tokens_per_second: (batch * (steps + 1)) / jobSeconds,
    parameters_per_token: weights,
    weights_gb_per_second: gigabytes,
    read_gb_per_second: read,
    bandwidth_share: read === null ? null : gigabytes / read,
  };
}
