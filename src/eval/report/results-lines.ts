/** @file Prints results as a table: each metric of each task with its standard error, interval and chance level. */
import type { EvaluationRun } from "./evaluation-run.js";
import { resultRows } from "./result-rows.js";

/** Returns the lines of a table for people. */
export function evaluationTable(run: EvaluationRun): string[] {
  const rows = resultRows(run);
  const header = [
    ...["task", "filter", "shots", "metric", "documents", "value", "error", "95 % interval", "chance"],
    ...["contaminated", "clean value", "clean error"],
  ];
  const cells = rows.map((row) => [
    "  ".repeat(row.depth) + row.name,
    row.filter,
    row.shots === null ? "" : String(row.shots),
    row.metric,
    row.documents === null ? "" : String(row.documents),
    figure(row.value),
    row.error === null ? "" : figure(row.error),
    row.interval === null ? "" : `${figure(row.interval.lower)} – ${figure(row.interval.upper)}`,
    row.chance === null ? "" : figure(row.chance),
    row.clean === undefined ? "" : String(row.clean.contaminated),
    ...[row.clean?.value, row.clean?.error].map((each) => (typeof each === "number" ? figure(each) : "")),
  ]);
  // Many tasks have no chance level, and few runs look for training data.
  const shown = header.map((_, i) => i < 8 || cells.some((row) => row[i] !== ""));
  const widths = header.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i].length)));
  const numeric = [2, 4, 5, 6, 8, 9, 10, 11];
  return [header, ...cells].map((row) =>
    row
      .map((cell, i) => (numeric.includes(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .filter((_, i) => shown[i])
      .join("  ")
      .trimEnd(),
  );
}

/** Four decimals, or six digits of a large number. */
const figure = (value: number): string => (Math.abs(value) < 1e5 ? value.toFixed(4) : value.toPrecision(6));
