/**
 * @file Benchmark: trains and evaluates nanoGPT's character-level Shakespeare model for CPUs. 4 layers of width 128 with 4
 * heads, 12 sequences of 64 characters per step, 2,000 steps, no dropout, AdamW with β₂ .99, learning rate from 1e-3 to 1e-4.
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ComputeDType } from "../../backends/index.js";
import { fileError, QuernError } from "../../errors.js";
import { countParameters, defineModel, initialValues, parametersOf, trainingFlopsPerToken } from "../../model/index.js";
import type { OnProgress } from "../../progress.js";
import { batchesOf, createLoader } from "../data/loader.js";
import { evaluate } from "../evaluation.js";
import { ADAMW_DEFAULTS, type AdamWOptions } from "../optimizer/adamw.js";
import { languageModelTrainer } from "../pretrain/language-model.js";
import { step } from "../step.js";
import { median } from "../throughput.js";
import { compileTrainer, resetOptimizer } from "../trainer.js";
import { type BenchFigures, figuresOf, peakMemory } from "./figures.js";

export interface ShakespeareOptions {
  readonly dtype: ComputeDType;
  readonly threads?: number;
  /** Optimizer steps of each model. */
  readonly steps?: number;
  /** Number of models, each from its own seed. */
  readonly seeds: number;
  /** The text file; by default tinyshakespeare.txt under `QUERN_SHARED`. */
  readonly text?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
}

export interface ShakespeareBench extends BenchFigures {
  readonly parameters: number;
  readonly steps: number;
  readonly seeds: number;
  /** Training time of one model, median over the seeds. */
  readonly seconds: number;
  /** Mean over the seeds of the loss on the whole validation split (the last tenth), in nats per character. */
  readonly validation_loss: number;
  readonly seconds_of_seeds: readonly number[];
  readonly validation_loss_of_seeds: readonly number[];
}

const SHAPE = { batch: 12, sequence: 64 } as const;
const SCHEDULE = { kind: "cosine", learningRate: 1e-3, warmupSteps: 100, decaySteps: 0, finalShare: 0.1 } as const;
const OPTIMIZER: AdamWOptions = { ...ADAMW_DEFAULTS, beta2: 0.99 };

/** Trains one model per seed and evaluates each on the whole validation split. */
export async function benchmarkShakespeare(options: ShakespeareOptions): Promise<ShakespeareBench> {
  const { dtype, threads, steps = 2000, seeds, signal, onProgress } = options;
  const characters = [...(await readText(options.text))];
  const alphabet = [...new Set(characters)].sort();
  const numbers = new Map(alphabet.map((character, id) => [character, id]));
  const ids = Uint32Array.from(characters, (character) => numbers.get(character)!);
  const cut = Math.floor(ids.length * 0.9);
  const source = (part: Uint32Array) => ({
    tokens: part.length,
    read: (offset: number, length: number) => part.subarray(offset, offset + length),
  });
  const heldOut = { ids: ids.subarray(cut), bytesOf: new Uint8Array(alphabet.length).fill(1) };
  const sizes = { layers: 4, width: 128, heads: 4, vocabSize: alphabet.length, sequence: SHAPE.sequence };
  const model = defineModel({ family: "gpt2", ...sizes });
  const training = await compileTrainer(languageModelTrainer(model, SHAPE), {
    ...{ optimizer: OPTIMIZER, accumulate: 1, dtype, cpu: { threads } },
  });
  const { program } = training;
  const seconds: number[] = [];
  const losses: number[] = [];
  try {
    for (let seed = 1; seed <= seeds; seed++) {
      const batches = batchesOf(createLoader(source(ids.subarray(0, cut)), { ...SHAPE, seed }), 1);
      for (const parameter of parametersOf(model)) program.write(parameter.name, initialValues(parameter, seed));
      resetOptimizer(training);
      const start = performance.now();
      let next = batches.load(0);
      for (let index = 0; index < steps; index++) {
        signal?.throwIfAborted();
        const running = step(training, await next, { step: index, steps, schedule: SCHEDULE });
        next = batches.load(index + 1);
        const { loss } = await running;
        if (index % 50 === 49 || index === steps - 1) {
          const note = `seed ${seed} of ${seeds}, loss ${loss?.toFixed(3)}`;
          onProgress?.({
            task: "train",
            done: (seed - 1) * steps + index + 1,
            total: seeds * steps,
            unit: "step",
            note,
          });
        }
      }
      seconds.push((performance.now() - start) / 1000);
      losses.push((await evaluate(program, heldOut, SHAPE, { signal })).loss);
    }
    const { plan } = program;
    const tokensPerSecond = (SHAPE.batch * SHAPE.sequence * steps) / median(seconds);
    const gflops = (tokensPerSecond * trainingFlopsPerToken(model, SHAPE.sequence)) / 1e9;
    const given = { dtype, threads: plan.threads, target: plan.target, memory: peakMemory() };
    return {
      ...(await figuresOf("shakespeare", given, { tokensPerSecond, gflops }, signal)),
      parameters: countParameters(model),
      steps,
      seeds,
      seconds: median(seconds),
      validation_loss: losses.reduce((a, b) => a + b) / losses.length,
      seconds_of_seeds: seconds,
      validation_loss_of_seeds: losses,
    };
  } finally {
    program.dispose();
  }
}

async function readText(text: readonly string[] | undefined): Promise<string> {
  const shared = process.env.QUERN_SHARED;
  const path = text?.[0] ?? (shared ? join(shared, "data", "text", "tinyshakespeare.txt") : undefined);
  if (path === undefined || (text?.length ?? 1) !== 1) {
    throw new QuernError(
      "name one text file with --text (Karpathy's tinyshakespeare, 1.1 MB), or set QUERN_SHARED to a folder that contains " +
        "data/text/tinyshakespeare.txt",
      { exitCode: 2 },
    );
  }
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw fileError(error, "read", path);
  }
}
