/** @file Log-probabilities of answers under the reference, which are computed once in a run and kept in its cache. */
import { compile, type Program } from "../backends/index.js";
import { QuernError } from "../errors.js";
import {
  type ModelConfig,
  type ModelVariables,
  modelVariables,
  openModel,
  openSafetensors,
  parametersOf,
  writeSafetensors,
} from "../model/index.js";
import type { Entry } from "../tensor/index.js";
import type { TrainingProgram } from "../train/index.js";
import type { Context } from "./task.js";

/**
 * Values that are computed once in a run, by rank 0, and read again when it is resumed.
 * @param path null for a run without a folder
 */
export async function cached(
  path: string | null,
  count: number,
  { ranks }: Pick<TrainingProgram, "ranks">,
  compute: () => Promise<Float32Array<ArrayBuffer>>,
): Promise<Float32Array<ArrayBuffer>> {
  const values = ranks.rank === 0 ? await readOrCompute(path, count, compute) : new Float32Array(count);
  await ranks.broadcast([values], 0);
  return values;
}

async function readOrCompute(
  path: string | null,
  count: number,
  compute: () => Promise<Float32Array<ArrayBuffer>>,
): Promise<Float32Array<ArrayBuffer>> {
  if (path !== null) {
    const stored = await openSafetensors(path).catch(() => null);
    if (stored !== null) {
      try {
        const values = await stored.readFloats("log_probabilities");
        if (values.length === count) return Float32Array.from(values);
      } finally {
        await stored.close();
      }
    }
  }
  const values = await compute();
  if (path !== null) {
    await writeSafetensors(path, [
      { name: "log_probabilities", shape: [count], dtype: "F32", data: async () => values },
    ]);
  }
  return values;
}

/**
 * Runs the entry `score` with another model, which is closed afterwards.
 * @throws QuernError for a model with another vocabulary
 */
export async function withOtherModel<T>(
  path: string,
  vocabSize: number,
  {
    entry,
    training,
    target,
  }: {
    /** The entry in a graph of the other model. */
    readonly entry: (model: { readonly config: ModelConfig; readonly weights: ModelVariables }) => Entry;
    readonly training: TrainingProgram;
    readonly target: Context<unknown>["target"];
  },
  work: (program: Program) => Promise<T>,
): Promise<T> {
  const other = await openModel(path);
  try {
    const { config } = other;
    if (config.vocabSize !== vocabSize) {
      throw new QuernError(
        `the reference ${path} has ${config.vocabSize} tokens and the model ${vocabSize}; they must share a vocabulary`,
        { exitCode: 2 },
      );
    }
    const { dtype, threads } = training.program.plan;
    const score = entry({ config, weights: modelVariables(config) });
    const program = await compile({ score }, { ...target, dtype, cpu: { threads, ...target?.cpu } });
    try {
      for (const { name } of parametersOf(config)) program.write(name, await other.readParameter(name));
      return await work(program);
    } finally {
      program.dispose();
    }
  } finally {
    await other.close();
  }
}

/** 0 … count − 1 in lists of at most `size`. */
export const chunks = (count: number, size: number): number[][] =>
  Array.from({ length: Math.ceil(count / size) }, (_, c) =>
    Array.from({ length: Math.min(size, count - c * size) }, (_, i) => c * size + i),
  );
