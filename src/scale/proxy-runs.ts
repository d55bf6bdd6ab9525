/**
 * @file Proxy runs: one small program, compiled once, trains on each mixture from the same initial values and is
 * evaluated on each group's held-out text. Two runs differ only in the mixture.
 */
import type { CompileOptions } from "../backends/index.js";
import { defineModel, initialValues, type ModelConfig, parametersOf, randomStream } from "../model/index.js";
import {
  ADAMW_DEFAULTS,
  compileTrainer,
  evaluate,
  languageModelTrainer,
  resetOptimizer,
  step,
  type TrainingProgram,
} from "../train/index.js";
import { uniforms } from "./mixture-sampling.js";

/** A group's tokens. */
export interface GroupTokens {
  readonly train: Uint32Array;
  readonly heldOut: Uint32Array;
}

export interface ProxyOptions {
  readonly groups: readonly GroupTokens[];
  /** UTF-8 bytes per token id. */
  readonly bytesOf: ArrayLike<number>;
  readonly vocabSize: number;
  readonly steps: number;
  readonly layers: number;
  readonly width: number;
  readonly sequence: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly seed: number;
  readonly target?: Pick<CompileOptions, "backend" | "cpu">;
  readonly signal?: AbortSignal;
}

export class ProxyRuns {
  readonly #o: ProxyOptions;
  readonly #model: ModelConfig;
  readonly #training: TrainingProgram;

  private constructor(o: ProxyOptions, model: ModelConfig, training: TrainingProgram) {
    this.#o = o;
    this.#model = model;
    this.#training = training;
  }

  static async create(o: ProxyOptions): Promise<ProxyRuns> {
    const heads = Math.max(1, Math.floor(o.width / 32));
    const model = defineModel({
      family: "llama",
      layers: o.layers,
      width: o.width,
      heads,
      vocabSize: o.vocabSize,
      sequence: o.sequence,
    });
    const options = { ...o.target, optimizer: ADAMW_DEFAULTS, accumulate: 1 };
    return new ProxyRuns(o, model, await compileTrainer(languageModelTrainer(model, o), options));
  }

  dispose(): void {
    this.#training.dispose();
  }

  /** Trains on a mixture; returns the held-out loss of each group in nats per token. */
  async run(shares: readonly number[]): Promise<number[]> {
    const { steps, batch, sequence, learningRate, groups, signal, bytesOf } = this.#o;
    const training = this.#training;
    const { program } = training;
    for (const parameter of parametersOf(this.#model))
      program.write(parameter.name, initialValues(parameter, this.#o.seed));
    resetOptimizer(training);
    const schedule = {
      kind: "cosine",
      learningRate,
      warmupSteps: Math.ceil(steps / 10),
      decaySteps: steps,
      finalShare: 0.1,
    } as const;
    // All runs use the same random numbers, so similar mixtures train on mostly the same sequences.
    const uniform = uniforms(randomStream(this.#o.seed, "proxy"));
    for (let index = 0; index < steps; index++) {
      signal?.throwIfAborted();
      const ids = new Int32Array(batch * sequence);
      const targets = new Int32Array(batch * sequence);
      for (let row = 0; row < batch; row++) {
        const { train } = groups[groupAt(shares, uniform())];
        const offset = Math.floor(uniform() * (train.length - sequence - 1));
        for (let t = 0; t < sequence; t++) {
          ids[row * sequence + t] = train[offset + t];
          targets[row * sequence + t] = train[offset + t + 1];
        }
      }
      await step(training, [{ ids, targets }], { step: index, steps, schedule });
    }
    const losses: number[] = [];
    for (const { heldOut } of groups) {
      const { loss } = await evaluate(program, { ids: heldOut, bytesOf }, { batch, sequence }, { signal });
      losses.push(loss);
    }
    return losses;
  }
}

function groupAt(shares: readonly number[], place: number): number {
  let sum = 0;
  for (let i = 0; i < shares.length; i++) {
    sum += shares[i];
    if (place < sum) return i;
  }
  return shares.findLastIndex((share) => share > 0);
}
