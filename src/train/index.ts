/** @file Public API of training: optimizers, schedules, batches, the loop, runs on disk, evaluation. */
export { InterruptedError, QuernError } from "../errors.js";
export { type BenchOptions, type BenchResult, benchmark } from "./bench/index.js";
export { type Batch, batchesOf, createLoader, type Loader, permute, type TokenSource } from "./data/loader.js";
export { type MixtureShards, shareMixtures } from "./data/mixture-shards.js";
export {
  planSharedDataset,
  type SharedDataset,
  type SharedDatasetOptions,
  shareDataset,
} from "./data/shared-dataset.js";
export { alone, joinRanks, type Team } from "./distributed/join.js";
export { oneRank, type Ranks } from "./distributed/ranks.js";
export { startRanks } from "./distributed/start-ranks.js";
export { type Evaluation, evaluate, type HeldOutText } from "./evaluation.js";
export {
  APPROACHES,
  type Approach,
  flopsForLawTokens,
  flopsForParams,
  kaplanLoss,
  LAW_FORMAT,
  lawSchema,
  lossOf,
  optimumOf,
  type ParametricLaw,
  type PowerLaw,
  parametricFrontier,
  parametricLoss,
  parametricOf,
  powerAt,
  readLaw,
  type ScalingLaw,
} from "./law.js";
export { type Evaluated, type Trained, type TrainHooks, type TrainOptions, train } from "./loop.js";
export { ADAMW_DEFAULTS, type AdamWOptions, adamw, adamwScalars } from "./optimizer/adamw.js";
export { MUON_DEFAULTS, type MuonOptions, muon, muonScalars, muonStateNames } from "./optimizer/muon.js";
export { OPTIMIZERS, type OptimizerOptions, optimizerState, type StateVariable } from "./optimizer/optimizer.js";
export { learningRateAt, SCHEDULES, type Schedule } from "./optimizer/schedule.js";
export { bestParams, flopsForTokens, vocabularyFor, weightsForParams } from "./pretrain/dial.js";
export { refuseOtherOptions } from "./pretrain/follow-run.js";
export { languageModelTrainer, type TrainingShape } from "./pretrain/language-model.js";
export { modelFormat } from "./pretrain/model-format.js";
export { chooseSizes, diskFor, type PretrainPlan, type Sizes, stepsFor } from "./pretrain/plan.js";
export { type PlanAhead, planAhead } from "./pretrain/plan-ahead.js";
export type { PretrainOptions } from "./pretrain/prepare-run.js";
export {
  type PretrainResult,
  planPretraining,
  pretrain,
  type RankReport,
  rankReport,
} from "./pretrain/pretrain.js";
export { pretrainOptions } from "./pretrain/pretrain-options.js";
export { type Shortened, shortenedLine, shortenedOf } from "./pretrain/shortened.js";
export { planSubmission, type SubmitOptions, submitPretraining } from "./pretrain/submit-run.js";
export { type ProgramTime, timeProgram } from "./pretrain/time-program.js";
export { type PushOptions, type PushResult, pushModel } from "./push/push.js";
export { pushOptions } from "./push/push-options.js";
export { type CompressionBaselines, compressionBaselines } from "./report/compression.js";
export { explainTrainer, explainTraining } from "./report/explain-training.js";
export { ngramLosses } from "./report/ngram.js";
export { type MetricsLine, type RunRecord, type RunResult, writeReport } from "./report/report.js";
export {
  bestCheckpoint,
  type CheckpointFormat,
  restoreCheckpoint,
  restoreState,
  saveCheckpoint,
  trainableFormat,
} from "./run/checkpoints.js";
export { createEventFile, type EventFile } from "./run/event-file.js";
export { endOf, identityOf, type RunPlan, validationInterval } from "./run/plan.js";
export {
  appendMetrics,
  checkSpace,
  readRunRecord,
  rewindMetrics,
  runPaths,
  writeRunRecord,
} from "./run/run-folder.js";
export {
  type BatchSource,
  evaluateBatches,
  type Measures,
  type StepResult,
  type StepTime,
  step,
  type TrainingBatch,
} from "./step.js";
export { deadlineOf, measureThroughput, median, type Throughput } from "./throughput.js";
export {
  compileTrainer,
  contributeState,
  countedTargets,
  type LossTerm,
  type Mean,
  meanOver,
  type Objective,
  resetOptimizer,
  storedState,
  type TrainableParameter,
  type Trainer,
  type TrainingEntries,
  type TrainingOptions,
  type TrainingProgram,
  traceTrainer,
  trainable,
  trainableParameters,
  type ZeroStage,
} from "./trainer.js";
