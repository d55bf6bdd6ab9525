/** @file The model that post-training changes, as part of a graph: its variables, and which of them learn. */
import type { Program } from "../backends/index.js";
import { type ModelConfig, type ModelVariables, modelVariables, parametersOf } from "../model/index.js";
import { type TrainableParameter, trainableParameters } from "../train/index.js";

export interface Policy {
  readonly config: ModelConfig;
  readonly weights: ModelVariables;
  readonly trainable: readonly TrainableParameter[];
}

/** A policy of which all parameters learn. */
export function fullPolicy(config: ModelConfig): Policy {
  const weights = modelVariables(config);
  return { config, weights, trainable: trainableParameters(config, weights) };
}

export type ReadParameter = (name: string) => Promise<Float32Array>;

/** Writes a model's weights into a program whose variables have the parameters' names. */
export async function writeWeights(program: Program, config: ModelConfig, read: ReadParameter): Promise<void> {
  for (const { name } of parametersOf(config)) program.write(name, await read(name));
}

/**
 * A model with further rows in its embedding table and head, for tokens that were added to the vocabulary. Each new row is
 * the mean of the old ones (Hewitt, "Initializing new word embeddings for pretrained language models", 2021).
 * @param added ids of the new tokens; rows of padding that the model already has are used
 */
export function withTokenRows(
  config: ModelConfig,
  read: ReadParameter,
  added: readonly number[],
): { readonly config: ModelConfig; readonly read: ReadParameter } {
  if (added.length === 0) return { config, read };
  const { vocabSize, width } = config;
  const first = Math.min(...added);
  const grown = { ...config, vocabSize: Math.max(vocabSize, ...added.map((id) => id + 1)) };
  const isTable = new Set(
    parametersOf(config).flatMap(({ name, kind }) => (kind === "table" && !name.endsWith("wpe.weight") ? [name] : [])),
  );
  return {
    config: grown,
    async read(name) {
      const values = await read(name);
      if (!isTable.has(name)) return values;
      const table = new Float32Array(grown.vocabSize * width);
      table.set(values);
      const mean = new Float64Array(width);
      for (let row = 0; row < first; row++) {
        for (let c = 0; c < width; c++) mean[c] += values[row * width + c] / first;
      }
      for (const id of added) table.set(mean, id * width);
      return table;
    },
  };
}
