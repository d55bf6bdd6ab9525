/** @file A model on disk that is open for reading, whatever its format. */
import type { ModelConfig } from "./config.js";

/** The weights stay on disk and are read one at a time. */
export interface StoredModel {
  /** The folder or file that holds the model, and its tokenizer. */
  readonly path: string;
  readonly config: ModelConfig;
  /** Ids of tokens that end a text, as the model's own files name them. */
  readonly endOfText: readonly number[];
  /** What is unusual about the files and how it was understood, a sentence each. */
  readonly warnings: readonly string[];
  /** The values of one parameter, by its name in `parametersOf(config)`, matrices as (out, in). */
  readParameter(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}
