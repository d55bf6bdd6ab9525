/** @file The report of an evaluation, and what changed between two runs. */
export {
  type CompareOptions,
  compareRuns,
  type FlippedDocuments,
  type MetricComparison,
  type RunComparison,
} from "./compare-runs.js";
export { comparisonTable } from "./comparison-table.js";
export { type EvaluationRun, modelNameOf } from "./evaluation-run.js";
export { readRun } from "./read-run.js";
export { type EvaluationReportOptions, evaluationReport, writeEvaluationReport } from "./report.js";
export { type EvaluationReport, type ReportEvaluationOptions, reportEvaluation } from "./report-evaluation.js";
export { evaluationReportOptions } from "./report-options.js";
export { type ResultRow, resultRows } from "./result-rows.js";
export { evaluationTable } from "./results-lines.js";
export { type TokenPieces, tokenPieces } from "./token-lengths.js";
