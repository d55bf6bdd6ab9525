/** @file Inference: opening a model with its tokenizer, scoring text, decoding and sampling. */
export { QuernError } from "../errors.js";
export { type AdapterPrograms, openAdapterPrograms } from "./adapter-programs.js";
export { type Chat, type ChatAnswer, type ChatCallbacks, type ChatOptions, createChat, openChat } from "./chat.js";
export { chatOptions } from "./chat-options.js";
export { CheckpointModel } from "./checkpoint-model.js";
export {
  type Completion,
  type GenerateCallbacks,
  type GeneratedToken,
  type GenerateRequest,
  type PromptLogprob,
  type PromptStart,
  PromptTooLongError,
  type TokenLogprob,
} from "./completion.js";
export { endOfTurn, requireChatTemplate } from "./conversation.js";
export { checkKvDtype, createDecoder, type Decoder, type DecoderOptions } from "./decoder.js";
export { bytesPerSlot } from "./decoding-program.js";
export { createEmbedder, type Embedder, type EmbedderOptions } from "./embedder.js";
export {
  type ExportedModel,
  type ExportModelOptions,
  exportModel,
  writeGgufFile,
} from "./export/export-model.js";
export { exportOptions } from "./export/export-options.js";
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
export {
  anyJsonObject,
  compileJsonSchema,
  compileRegularExpression,
  type GrammarVocabulary,
  grammarVocabulary,
  type JsonSchemaOptions,
} from "./grammar/index.js";
export {
  compileParts,
  compileTriggered,
  type PartVocabulary,
  type TextPart,
} from "./grammar/triggered.js";
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
  ScoreRequestOptions,
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
export { completeText, type TextCallbacks, type TextCompletion, type TextRequest } from "./text-completion.js";
export { checkFits, openTextModel, type TextModel } from "./text-model.js";
export { type TextPiece, type TextPieces, type TextToken, textPieces } from "./text-pieces.js";
export type { CompiledConstraint, TokenConstraint } from "./token-constraint.js";
export { type ContentLogprob, contentLogprob, type LogprobEntry, logprobEntry, tokenText } from "./token-logprobs.js";
export { WEIGHT_TYPES, type WeightType } from "./weight-type.js";
export { type TypedWeights, typedWeights } from "./weight-types.js";
export { overlappingWindows, rollingWindows, type Window } from "./windows.js";
