/** @file An open model on disk, in any format. */
import type { ModelConfig } from "./config.js";

/** The weights stay on disk and are read one at a time. */
export interface StoredModel {
  /** The folder or file of the model and its tokenizer. */
  readonly path: string;
  readonly config: ModelConfig;
  /** Ids of the tokens that end a text, from the model's files. */
  readonly endOfText: readonly number[];
  /** Unusual properties of the files and how they were interpreted, one sentence each. */
  readonly warnings: readonly string[];
  /** Reads one parameter by its name in `parametersOf(config)`; matrices are (out, in). */
  readParameter(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}
