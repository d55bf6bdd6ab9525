/** @file Aggregates over the tasks of a benchmark. */
export { BLIMP_PHENOMENA, type BlimpSummary } from "./blimp.js";
export type { CentredMean, CentredPart } from "./centred-means.js";
export {
  aggregate,
  CORE_TASKS,
  type CoreAggregates,
  type CoreOptions,
  type CoreRow,
  centered,
  coreScores,
  readTaskBaselines,
  type TaskBaseline,
} from "./core.js";
export { type Aggregate, type Estimate, meanEstimate } from "./estimate.js";
export { MMLU_CATEGORIES, type MmluSummary } from "./mmlu.js";
export type { Score } from "./results-file.js";
export { evaluationSummary, type ModelSummary, type SummaryOptions, type TaskSummary } from "./summary.js";
export { summaryOptions } from "./summary-options.js";
