/** @file Aggregates over the tasks of a benchmark. */
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
