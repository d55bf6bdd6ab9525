/** @file Training: optimizer, schedule, batches, loop, runs on disk, evaluation, generation. */
export { ADAMW_DEFAULTS, type AdamWOptions, adamw, adamwScalars } from "./adamw.js";
export { type BenchOptions, type BenchResult, benchmark } from "./bench/index.js";
export { createDecoder, type Decoder, type DecoderOptions, type GenerateOptions } from "./decoder.js";
export {
  type CompressionBaselines,
  compressionBaselines,
  type Evaluation,
  evaluate,
  type HeldOutText,
} from "./evaluation.js";
export { explainTraining } from "./explain-training.js";
export { type GenerateTextOptions, generateText } from "./generate.js";
export { generateOptions } from "./generate-options.js";
export { type Batch, createLoader, type Loader, type TokenSource } from "./loader.js";
export { type Trained, type TrainOptions, train } from "./loop.js";
export { MUON_DEFAULTS, type MuonOptions, muon, muonScalars, muonStateNames } from "./muon.js";
export { OPTIMIZERS, type OptimizerOptions, optimizerState, type StateVariable } from "./optimizer.js";
export { endOf, type RunPlan } from "./plan.js";
export { type PretrainOptions, type PretrainResult, planPretraining, pretrain } from "./pretrain.js";
export { pretrainOptions } from "./pretrain-options.js";
export { type MetricsLine, type RunRecord, type RunResult, writeReport } from "./report.js";
export { findModelFolder, listCheckpoints, readRunRecord } from "./run-folder.js";
export { learningRateAt, SCHEDULES, type Schedule } from "./schedule.js";
export { openTextModel, type TextModel } from "./text-model.js";
export { type TrainingEntries, type TrainingShape, trainingEntries } from "./training-program.js";
