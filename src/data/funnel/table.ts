/** @file Formats the funnel for a terminal. */
import { readLines } from "../../documents/index.js";
import { size } from "../../pages/index.js";
import type { Funnel, FunnelStep } from "./funnel.js";

/** Returns one line per step, followed by its commonest reasons. */
export function funnelLines(funnel: Funnel): string[] {
  const rows = funnel.steps
    .filter(
      ({ step, documents }, _, all) =>
        step !== "extract" || all.length === 1 || documents.dropped + documents.edited > 0,
    )
    .map(rowOf);
  const head = ["step", "documents in", "kept", "", "text out", "words out"];
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map(({ cells }) => cells[column].length)));
  const line = (cells: readonly string[]) =>
    cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("  ");
  const lines = [line(head), ...rows.flatMap(({ cells, notes }) => [line(cells), ...notes])];
  lines.push(...readLines(funnel.reading));
  if (funnel.idle.length > 0) lines.push(`changed nothing: ${funnel.idle.join(", ")}; is that expected?`);
  for (const fault of funnel.faults) lines.push(`the funnel does not add up: ${fault}`);
  return lines;
}

function rowOf({ step, documents, bytes, words, reasons, edits }: FunnelStep) {
  const share = documents.in === 0 ? "" : `${((100 * documents.kept) / documents.in).toFixed(1)} %`;
  const why = [
    ...Object.entries(reasons).map(([reason, { documents: count }]) => [reason, count, "−"] as const),
    ...Object.entries(edits).map(([reason, count]) => [reason, count, "~"] as const),
  ].sort((a, b) => b[1] - a[1]);
  const shown = why.slice(0, 5).map(([reason, count, sign]) => `${sign}${count} ${reason}`);
  if (why.length > shown.length) shown.push(`and ${why.length - shown.length} more`);
  return {
    cells: [step, String(documents.in), String(documents.kept), share, size(bytes.out), String(words.out)],
    notes: shown.length === 0 ? [] : [`    ${shown.join(", ")}`],
  };
}
