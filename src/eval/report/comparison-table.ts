/** @file Prints what changed between two runs as a table. */
import type { RunComparison } from "./compare-runs.js";
import { pValue } from "./comparison-section.js";
import { number, signed } from "./results-section.js";

/** Returns the lines of a table for people, and what could not be compared. */
export function comparisonTable(comparison: RunComparison): string[] {
  const { tests, against, confidence, not_comparable, unmatched, only_in_run, untested } = comparison;
  const header = ["task", "metric", "documents", "value", "before", "difference"];
  const cells = tests.map((test) => [
    test.task,
    test.metric,
    String(test.documents),
    number(test.value),
    number(test.against),
    signed(test.difference),
    `${signed(test.lower)} to ${signed(test.upper)}`,
    pValue(test.p_value),
    String(test.rose),
    String(test.fell),
    test.test,
  ]);
  const rows = [[...header, `${confidence * 100} % interval`, "p", "rose", "fell", "test"], ...cells];
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  const isText = (i: number) => i < 2 || i === 10;
  const lines = rows.map((row) =>
    row
      .map((cell, i) => (isText(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ")
      .trimEnd(),
  );
  const reasons = { document: "other documents", prompt: "other prompts", choices: "other choices" } as const;
  const notes = Object.entries(not_comparable).flatMap(([task, found]) =>
    Object.entries(found).map(
      ([reason, ids]) =>
        `${task}: ${ids.length} documents are not comparable (${reasons[reason as keyof typeof reasons]}): ${listed(ids)}`,
    ),
  );
  for (const [task, { run, against }] of Object.entries(unmatched)) {
    notes.push(`${task}: ${run} documents only in this run, ${against} only in the other`);
  }
  for (const { task, metric, reason } of untested) notes.push(`${task} ${metric}: not compared, ${reason}`);
  if (only_in_run.length > 0) notes.push(`the other run has no samples of ${only_in_run.join(", ")}`);
  return [`against ${against}:`, ...(tests.length === 0 ? [] : lines), ...notes];
}

const MOST_IDS = 10;

const listed = (ids: readonly number[]) => ids.slice(0, MOST_IDS).join(", ") + (ids.length > MOST_IDS ? " …" : "");
