/** @file An open model on disk, in any format. */
import type { DType } from "../tensor/index.js";
import type { ModelConfig } from "./config.js";

/** The weights stay on disk and are read one at a time. */
export interface StoredModel {
  /** The folder or file of the model and its tokenizer. */
  readonly path: string;
  /** Location of the model that an adapter was merged into; absent from other models. */
  readonly basePath?: string;
  readonly config: ModelConfig;
  /** Ids of the tokens that end a text, from the model's files. */
  readonly endOfText: readonly number[];
  /** Id of the token that pads batches, from the model's configuration; null or absent if it names none. */
  readonly padding?: number | null;
  /** Reads the head (1,C) of a reward model; absent from a language model. */
  readonly readScore?: () => Promise<Float32Array>;
  /** Unusual properties of the files and how they were interpreted, one sentence each. */
  readonly warnings: readonly string[];
  /** Reads one parameter by its name in `parametersOf(config)`; matrices are (out, in). */
  readParameter(name: string): Promise<Float32Array>;
  /** The type that a parameter is stored in; f32 for a type without kernels. Absent from models that are no GGUF file. */
  storedType?(name: string): DType;
  /** Reads a parameter as it is stored: the bytes of its blocks or 16-bit floats, in the order of `readParameter`. */
  readStored?(name: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Which kinds of model may be opened. */
export interface OpenModelOptions {
  /** Opens reward models too, whose `score` takes the place of the head. They are rejected by default. */
  readonly classifier?: boolean;
}
