/** @file Inference: opening a model with its tokenizer, scoring text, decoding and sampling. */
export { QuernError } from "../errors.js";
export { type Chat, type ChatAnswer, type ChatCallbacks, type ChatOptions, createChat, openChat } from "./chat.js";
export { chatOptions } from "./chat-options.js";
export { CheckpointModel } from "./checkpoint-model.js";
export type { Completion, GenerateCallbacks, GeneratedToken, GenerateRequest } from "./completion.js";
export { endOfTurn, requireChatTemplate } from "./conversation.js";
export { createDecoder, type Decoder, type DecoderOptions } from "./decoder.js";
export {
  type CompletionResult,
  type GenerateOptions,
  type GenerateResult,
  type GenerateTextOptions,
  generate,
  generateText,
  type NamedPrompt,
  type NextToken,
  type PromptResult,
} from "./generate.js";
export { generateOptions } from "./generate-options.js";
export { type ImportedModel, type ImportModelOptions, importModel } from "./import-model.js";
export { importOptions } from "./import-options.js";
export type {
  Generation,
  GenerationOptions,
  LanguageModel,
  LikelihoodRequest,
  LogLikelihood,
  RequestOptions,
  RollingLogLikelihood,
} from "./language-model.js";
export { type ModelPrograms, modelPrograms } from "./model-programs.js";
export { openNamedModel, serverAddress } from "./named-model.js";
export { type OpenModelOptions, openModel } from "./open-model.js";
export {
  type ChatChoice,
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
export { type EncodedPrompt, encodePrompt, type Prompt, readPrompts } from "./prompts.js";
export type { SamplingOptions } from "./sampling.js";
export {
  createScorer,
  type ScoreOptions,
  type Scorer,
  type ScorerOptions,
  type ScoringBatch,
  type ScoringProgram,
  scoreWindows,
} from "./scorer.js";
export { ServerModel, type ServerModelOptions } from "./server-model.js";
export { completeText, type TextCompletion, type TextRequest } from "./text-completion.js";
export { checkFits, openTextModel, type TextModel } from "./text-model.js";
export { overlappingWindows, rollingWindows, type Window } from "./windows.js";
