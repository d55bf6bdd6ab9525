/** @file Public API of models: configurations, parameters, forward pass, and model files (Hugging Face, GGUF). */
export { QuernError } from "../errors.js";

export type { FloatDType } from "../tensor/index.js";
export {
  adapterBase,
  isAdapter,
  openAdaptedModel,
  openAdapter,
  type StoredAdapter,
  type WriteAdapterOptions,
  writeAdapter,
} from "./adapter-folder.js";
export { checkpointPath, checkpointsFolder, findModel, listCheckpoints, openModel } from "./checkpoint.js";
export {
  defineModel,
  FAMILIES,
  type Family,
  type ModelConfig,
  type ModelSizes,
  type RopeScaling,
} from "./config.js";
export { type GgufFile, type GgufValue, isGguf, openGguf } from "./gguf/file.js";
export { type GgufModel, openGgufModel } from "./gguf/model.js";
export {
  type GgufModelSource,
  type WriteGgufModelOptions,
  writeGgufModel,
} from "./gguf/model-writer.js";
export { quantiseRows, type WritableType } from "./gguf/quantise.js";
export { FILE_TYPE_NAMES, type FileType } from "./gguf/type-mixtures.js";
export type { GgufEntry } from "./gguf/writer.js";
export { fetchHubModel, type HubOptions, isHubAddress } from "./hub.js";
export {
  type ByteWeights,
  type DescribedModel,
  type EndOfText,
  fromHuggingFaceConfig,
  fromHuggingFaceGenerationConfig,
  toHuggingFaceConfig,
  toHuggingFaceGenerationConfig,
} from "./hugging-face-config.js";
export { type WriteModelOptions, writeModel } from "./hugging-face-folder.js";
export {
  initialLora,
  type LoraConfig,
  type LoraMatrix,
  type LoraPair,
  loraPairs,
  loraScale,
  mergeLora,
  projectionNames,
  withLora,
} from "./lora.js";
export {
  activationBytes,
  countParameters,
  type InitialValue,
  initialise,
  initialValues,
  type Parameter,
  parametersOf,
  trainingFlopsPerToken,
} from "./parameters.js";
export { type RandomStream, randomStream } from "./random.js";
export {
  openSafetensors,
  type SafetensorsFile,
  type StoredDType,
  type StoredTensor,
  type TensorToWrite,
  writeSafetensors,
} from "./safetensors.js";
export { lastToken, rowsAt, SCORE, scoreParameter, scoresOf, withoutHead } from "./sequence-classifier.js";
export type { OpenModelOptions, StoredModel } from "./stored-model.js";
export {
  copyCache,
  type ForwardOptions,
  type ForwardResult,
  forward,
  headOf,
  type KeyValueCache,
  KV_DTYPES,
  type KvDType,
  keyValueCache,
  logits,
  type ModelVariables,
  modelVariables,
  sampledTokenLosses,
  type TokenTree,
  tokenLosses,
  tokenStatistics,
} from "./transformer.js";
