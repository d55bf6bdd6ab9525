/** @file Benchmarks training: whole optimizer steps on real tokens, as in a run. */
import type { ComputeDType } from "../../backends/index.js";
import { countParameters, initialise, parametersOf, trainingFlopsPerToken } from "../../model/index.js";
import type { OnProgress } from "../../progress.js";
import { batchesOf, createLoader } from "../data/loader.js";
import { ADAMW_DEFAULTS } from "../optimizer/adamw.js";
import { languageModelTrainer } from "../pretrain/language-model.js";
import { step } from "../step.js";
import { median } from "../throughput.js";
import { compileTrainer } from "../trainer.js";
import { type BenchFigures, figuresOf, peakMemory } from "./figures.js";
import { PRESETS, type PresetName } from "./presets.js";
import { realTokens } from "./real-tokens.js";

export interface TrainingBenchOptions {
  readonly preset: PresetName;
  /** B; by default the preset's. */
  readonly batch?: number;
  readonly sequence: number;
  readonly dtype: ComputeDType;
  readonly threads?: number;
  /** Timed steps, after two warm-up steps. */
  readonly steps?: number;
  readonly text?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface TrainingBench extends BenchFigures {
  readonly preset: string;
  readonly parameters: number;
  readonly batch: number;
  readonly sequence: number;
  readonly steps: number;
  /** Median time of a step. */
  readonly step_seconds: number;
  /** Time of tracing, differentiating, fusing, emitting, and building or loading from the cache. */
  readonly compile_seconds: number;
  readonly cached: boolean;
  /** Kernel launches of a step. */
  readonly launches: number;
  /** Memory of the program, in units of 2^20 bytes. */
  readonly plan_mb: number;
  readonly first_loss: number;
  readonly last_loss: number;
}

/** A learning rate at which every preset learns and none diverges. */
const RATE = 3e-4;
const SCHEDULE = { kind: "constant", learningRate: RATE, warmupSteps: 0, decaySteps: 0, finalShare: 1 } as const;
const WARMUP = 2;

/** Times optimizer steps: batch, forward, backward, clipping, AdamW. */
export async function benchmarkTraining(options: TrainingBenchOptions): Promise<TrainingBench> {
  const { sequence, dtype, threads, steps = 10, signal, onProgress } = options;
  const preset = PRESETS[options.preset];
  const model = preset.model(sequence);
  const batch = options.batch ?? preset.batch;
  const tokens = await realTokens(preset, options);
  const source = batchesOf(createLoader(tokens, { batch, sequence, seed: 0 }), 1);
  const start = performance.now();
  const training = await compileTrainer(languageModelTrainer(model, { batch, sequence }), {
    ...{ optimizer: ADAMW_DEFAULTS, accumulate: 1, dtype, cpu: { threads } },
  });
  const { program } = training;
  const compileSeconds = (performance.now() - start) / 1000;
  try {
    for (const parameter of parametersOf(model)) {
      program.write(parameter.name, (values) => initialise(parameter, 0, values));
    }
    const seconds: number[] = [];
    const losses: number[] = [];
    for (let index = 0; index < WARMUP + steps; index++) {
      signal?.throwIfAborted();
      const start = performance.now();
      const { loss } = await step(training, await source.load(index), {
        step: index,
        steps: WARMUP + steps,
        schedule: SCHEDULE,
      });
      losses.push(loss as number);
      if (index >= WARMUP) seconds.push((performance.now() - start) / 1000);
      onProgress?.({ task: "train", done: index + 1, total: WARMUP + steps, unit: "step" });
    }
    const { plan } = program;
    const tokensPerSecond = (batch * sequence) / median(seconds);
    const gflops = (tokensPerSecond * trainingFlopsPerToken(model, sequence)) / 1e9;
    const given = { dtype, threads: plan.threads, target: plan.target, memory: peakMemory() };
    return {
      ...(await figuresOf("train", given, { tokensPerSecond, gflops }, signal)),
      preset: options.preset,
      parameters: countParameters(model),
      batch,
      sequence,
      steps,
      step_seconds: median(seconds),
      compile_seconds: compileSeconds,
      cached: plan.cached,
      launches: ["counts", "firstGradient", "update"].reduce((sum, entry) => sum + plan.launches[entry], 0),
      plan_mb: Math.round(plan.arenaBytes / 2 ** 20),
      first_loss: losses[0],
      last_loss: losses[losses.length - 1],
    };
  } finally {
    program.dispose();
  }
}
