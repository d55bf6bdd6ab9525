/** @file Everything that only goes forward: a model with its tokenizer, decoding, sampling. */
export { QuernError } from "../errors.js";
export { createDecoder, type Decoder, type DecoderOptions, type GenerateOptions } from "./decoder.js";
export { type GenerateTextOptions, generateText } from "./generate.js";
export { generateOptions } from "./generate-options.js";
export {
  type ChatRequest,
  type CompletionChoice,
  type CompletionRequest,
  OpenAIClient,
  type OpenAIClientOptions,
  type ServerChoice,
  ServerError,
  type TokenLogProbabilities,
  type Usage,
} from "./openai-client.js";
export type { SamplingOptions } from "./sampling.js";
export { checkFits, openTextModel, type TextModel } from "./text-model.js";
