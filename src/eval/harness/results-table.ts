/** @file Prints results as a table: each metric of each task with its standard error and interval. */
import { normalInterval, wilsonInterval } from "../judge/intervals.js";
import type { EvaluationResults } from "./evaluation-results.js";
import type { MetricResults } from "./groups.js";

export interface MetricRow {
  readonly task: string;
  readonly metric: string;
  readonly filter: string;
  readonly shots: number | null;
  readonly documents: number;
  readonly value: number;
  readonly error: number | null;
  /** 95 %: Wilson's for a share of documents, else value ± 1.96 standard errors; null without a standard error. */
  readonly interval: readonly [lower: number, upper: number] | null;
  /** Without the documents that training data contains; undefined if they were not looked up. */
  readonly clean?: CleanValue;
}

export interface CleanValue {
  /** Documents that the training data contains. */
  readonly contaminated: number;
  /** Null if no other document is left. */
  readonly value: number | null;
  readonly error: number | null;
}

/** Returns the numbers of results, one row per task, metric and filter. */
export function metricRows(results: EvaluationResults): MetricRow[] {
  const rows: MetricRow[] = [];
  for (const [task, values] of Object.entries(results.results)) {
    const documents = Number(values.sample_len ?? 0);
    for (const [key, value] of Object.entries(values)) {
      const [, metric, filter] = /^(.*?),(.*)$/.exec(key) ?? [];
      if (metric === undefined || metric.endsWith("_stderr") || typeof value !== "number") continue;
      const given = values[`${metric}_stderr,${filter}`];
      const error = typeof given === "number" ? given : null;
      rows.push({
        task,
        metric,
        filter: filter!,
        shots: results["n-shot"][task] ?? null,
        documents,
        value,
        error,
        interval: intervalOf(value, error, documents),
        ...(results.decontaminate && { clean: cleanValue(results.decontaminate.results[task] ?? {}, metric, filter!) }),
      });
    }
  }
  return rows;
}

function cleanValue(values: MetricResults, metric: string, filter: string): CleanValue {
  const number = (key: string) => (typeof values[key] === "number" ? values[key] : null);
  return {
    contaminated: number("contaminated") ?? 0,
    value: number(`${metric},${filter}`),
    error: number(`${metric}_stderr,${filter}`),
  };
}

/** A share of n documents has the standard error √(p(1 − p)/(n − 1)), as lm-eval computes it. */
export function intervalOf(value: number, error: number | null, n: number): MetricRow["interval"] {
  if (error === null || n < 2) return null;
  const ofShare = Math.sqrt((value * (1 - value)) / (n - 1));
  const isShare = value >= 0 && value <= 1 && Math.abs(ofShare - error) < 1e-9;
  const { lower, upper } = isShare ? wilsonInterval(value * n, n) : normalInterval(value, error);
  return [lower, upper];
}

/** Returns the lines of a table for people. */
export function evaluationTable(results: EvaluationResults): string[] {
  const isCompared = results.decontaminate !== undefined;
  const header = [
    ...["task", "filter", "shots", "metric", "documents", "value", "error", "95 % interval"],
    ...(isCompared ? ["contaminated", "clean value", "clean error"] : []),
  ];
  const cells = metricRows(results).map((row) => [
    row.task,
    row.filter,
    row.shots === null ? "" : String(row.shots),
    row.metric,
    String(row.documents),
    row.value.toFixed(4),
    row.error?.toFixed(4) ?? "",
    row.interval === null ? "" : `${row.interval[0].toFixed(4)} – ${row.interval[1].toFixed(4)}`,
    ...(row.clean === undefined
      ? []
      : [String(row.clean.contaminated), row.clean.value?.toFixed(4) ?? "", row.clean.error?.toFixed(4) ?? ""]),
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  const numeric = [2, 4, 5, 6, 8, 9, 10];
  return [header, ...cells].map((row) =>
    row
      .map((cell, i) => (numeric.includes(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd(),
  );
}
