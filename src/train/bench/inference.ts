/** @file Benchmarks generation with weights in a storage type: a long prompt, then tokens of one text or of several at once. */
import { examineMachine, type Plan } from "../../backends/index.js";
import { createDecoder, type GenerateCallbacks, typedWeights, type WeightType } from "../../infer/index.js";
import { initialValues, openModel, parametersOf, type StoredModel } from "../../model/index.js";
import type { OnProgress } from "../../progress.js";
import { median } from "../throughput.js";
import { peakMemory } from "./figures.js";
import { PRESETS, type PresetName } from "./presets.js";

export interface InferenceBenchOptions {
  /** A run, model folder or .gguf file; by default untrained weights of the preset. */
  readonly model?: string;
  readonly preset: PresetName;
  readonly type: WeightType;
  /** Texts decoded at once. */
  readonly streams: number;
  readonly promptTokens: number;
  readonly threads?: number;
  /** Timed tokens per text; default 64. */
  readonly steps?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface InferenceBench {
  readonly bench: "inference";
  readonly model: string;
  readonly type: WeightType;
  readonly streams: number;
  readonly prompt_tokens: number;
  readonly steps: number;
  /** Prompt tokens divided by the time to the first token, of one text. */
  readonly prefill_tokens_per_second: number;
  /** Tokens of all streams in the median step. */
  readonly decode_tokens_per_second: number;
  readonly time_to_first_token_ms: number;
  readonly threads: number;
  readonly target: string;
  /** Bytes of weights and cache. */
  readonly state_bytes: number;
  readonly peak_rss_mb: number;
  readonly machine: string;
}

/** Prompts that are timed alone; the median counts. */
const PROMPTS = 5;

/** @throws QuernError for a path without a model, or one that cannot be stored in `type` */
export async function benchmarkInference(options: InferenceBenchOptions): Promise<InferenceBench> {
  const { type, streams, promptTokens, threads, steps = 64, signal, onProgress } = options;
  const model =
    options.model === undefined ? untrained(options.preset, promptTokens + steps + 1) : await openModel(options.model);
  try {
    const { types, source } = typedWeights(model, type);
    const sequence = Math.min(model.config.sequence, promptTokens + steps + 1);
    const decoder = createDecoder(model.config, source, { types, slots: streams, sequence, cpu: { threads } });
    let prompts = 0;
    /** Continues a new prompt, of which the cache has no token. */
    const generate = (length: number, tokens: number, callbacks: GenerateCallbacks = {}) => {
      prompts += 1;
      const prompt = Array.from({ length }, (_, i) => (i * 997 + prompts * 31) % model.config.vocabSize);
      const request = { prompt, tokens, temperature: 0, topK: 0, seed: 0, endOfText: [], tooLong: "error" as const };
      return decoder.generate(request, { signal, ...callbacks });
    };
    await generate(promptTokens, 2); // compiles and warms up
    const first: number[] = [];
    for (let i = 0; i < PROMPTS; i++) {
      const start = performance.now();
      await generate(promptTokens, 1);
      first.push(performance.now() - start);
      onProgress?.({ task: "prefill", done: i + 1, total: PROMPTS, unit: "prompt" });
    }
    const times: number[] = [];
    let drawn = 0;
    const onToken = () => {
      drawn += 1;
      if (drawn % streams === 0) times.push(performance.now());
      onProgress?.({ task: "decode", done: times.length, total: steps, unit: "step" });
      return false;
    };
    // Short prompts, so that all texts are decoded at the same time from the first step.
    await Promise.all(
      Array.from({ length: streams }, () => generate(Math.min(promptTokens, 8), steps + 1, { onToken })),
    );
    const intervals = times.slice(1).map((time, i) => time - times[i]);
    const plan = decoder.plan as Plan;
    decoder.dispose();
    const milliseconds = median(first);
    return {
      ...{
        bench: "inference",
        model: options.model ?? options.preset,
        type,
        streams,
        prompt_tokens: promptTokens,
        steps,
      },
      prefill_tokens_per_second: (1000 * promptTokens) / milliseconds,
      decode_tokens_per_second: (1000 * streams) / median(intervals),
      time_to_first_token_ms: milliseconds,
      ...{ threads: plan.threads, target: plan.target, state_bytes: plan.stateBytes, peak_rss_mb: peakMemory() },
      machine: (await examineMachine({ measure: false })).line,
    };
  } finally {
    await model.close();
  }
}

/** A model with the preset's sizes and initial weights, which are as fast as trained ones. */
function untrained(preset: PresetName, sequence: number): StoredModel {
  const config = PRESETS[preset].model(sequence);
  const parameters = new Map(parametersOf(config).map((parameter) => [parameter.name, parameter]));
  return {
    ...{ path: preset, config, endOfText: [], warnings: [], close: async () => {} },
    readParameter: async (name) => initialValues(parameters.get(name)!, 0),
  };
}
