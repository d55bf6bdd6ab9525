/** @file Experiments at small scale that guide large runs: scaling laws and their predictions, the planner, the mixture search. */
export { QuernError } from "../errors.js";
export { HOFFMANN } from "./fit/approaches.js";
export { type DownstreamFit, fitDownstream } from "./fit/downstream.js";
export {
  type FitOptions,
  fitScalingLaw,
  LAW_FILE,
  LAW_REPORT,
} from "./fit/fit-law.js";
export { fitOptions } from "./fit/fit-options.js";
export type { FitResult, OptimalRow, WithoutEmbeddings } from "./fit/fit-result.js";
export { fitRepeated, type RepeatedFit, repeatedLoss } from "./fit/repeated.js";
export { fitTuning, type TuningFit } from "./fit/tuning.js";
export {
  bestMixture,
  fitMixtureModel,
  type MixtureModel,
  type ProxyRun,
  rankCorrelation,
} from "./mixture-regression.js";
export { sampleMixtures } from "./mixture-sampling.js";
export { type MixtureSearch, type MixtureSearchRequest, optimiseMix, searchMixture } from "./mixture-search.js";
export { HARDWARE, type Hardware, hardwareOf } from "./plan/hardware.js";
export { decodingCost, type InferenceCost, type InferenceSetup } from "./plan/inference.js";
export { type TrainingMemory, type TrainingSetup, trainingMemory } from "./plan/memory.js";
export { ALGORITHMS, type Network, type ScalingRow, simulateScaling } from "./plan/network.js";
export {
  assumedShape,
  type MemoryRow,
  type PlanOptions,
  planTraining,
  type Scaling,
  type TrainingPlan,
} from "./plan/plan.js";
export { planOptions } from "./plan/plan-options.js";
export { PUBLISHED, type PublishedRun, publishedRows, publishedTable } from "./plan/published.js";
export type { PredictionCheck } from "./predict/check.js";
export { type ServedModel, sizeForServing } from "./predict/inference-aware.js";
export { type Prediction, type PredictOptions, predictRun } from "./predict/predict.js";
export { predictOptions } from "./predict/predict-options.js";
export { RUNS_FILE, readRuns } from "./run-table/read-runs.js";
export {
  type ExcludedRun,
  formatRuns,
  RUN_COLUMNS,
  RUN_STATUSES,
  type RunColumn,
  type RunRow,
  type RunStatus,
  type RunTable,
  type ScalingRun,
} from "./run-table/run-table.js";
export { type SweepOptions, type SweepResult, sweepRuns } from "./sweep/sweep.js";
export { sweepOptions } from "./sweep/sweep-options.js";
