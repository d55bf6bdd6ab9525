/** @file The section of the report with the results: values, standard errors, intervals and chance levels. */
import { type Cell, count, escapeHtml, folded, paragraph, section, table } from "../../pages/index.js";
import type { ResultRow } from "./result-rows.js";

/** A metric's value: four decimals, or four digits above 10. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) < 10 ? value.toFixed(4) : Math.abs(value) < 1e5 ? value.toFixed(2) : value.toPrecision(4);
}

export const signed = (value: number): string => (value > 0 ? "+" : value < 0 ? "−" : "") + number(Math.abs(value));

/** Returns the section. */
export function resultsSection(rows: readonly ResultRow[]): string {
  const kinds = new Set(rows.map(({ interval }) => interval?.kind));
  const notes = [
    ...(kinds.has("Wilson") ? ["Wilson: the score interval of a share, for values of 0 and 1."] : []),
    ...(kinds.has("normal") ? ["Normal: the value ± 1.96 standard errors."] : []),
    ...(rows.some(({ chance }) => chance !== null)
      ? ["Chance: what a uniform guess among the choices gets, the orange line in the plots from 0 to 1."]
      : []),
  ];
  if (rows.some(({ clean }) => clean !== undefined)) {
    notes.push("Clean value: without the documents that the training data contains.");
  }
  const outer = rows.filter(({ depth }) => depth === 0);
  const isLong = rows.length > MOST_ROWS && outer.length < rows.length;
  return section(
    "Results",
    resultTable("Results", isLong ? outer : rows),
    isLong
      ? folded(`All ${count(rows.length)} results, with the tasks of groups`, resultTable("All results", rows))
      : "",
    paragraph(notes.join(" "), "small"),
  );
}

/** In longer tables the tasks of groups are folded. */
export const MOST_ROWS = 40;

function resultTable(label: string, rows: readonly ResultRow[]): string {
  return table({
    label,
    columns: [
      { name: "task", kind: "text" },
      { name: "metric", kind: "text" },
      { name: "filter", kind: "text" },
      { name: "shots" },
      { name: "documents" },
      { name: "value" },
      { name: "standard error" },
      { name: "95 % interval" },
      { name: "by", kind: "text" },
      { name: "chance" },
      { name: "contaminated" },
      { name: "clean value" },
      { name: "", kind: "text" },
    ],
    rows: rows.map((row, i): Cell[] => {
      const isFirst = rows[i - 1]?.name !== row.name;
      return [
        { html: isFirst ? nameOf(row) : `<span class="muted">${nameOf(row)}</span>` },
        row.higherIsBetter === null ? row.metric : `${row.metric} ${row.higherIsBetter ? "↑" : "↓"}`,
        row.filter === "none" ? "" : row.filter,
        row.shots === null ? "" : String(row.shots),
        row.documents === null ? "" : count(row.documents),
        number(row.value),
        row.error === null ? "" : number(row.error),
        row.interval === null ? "" : `${number(row.interval.lower)} to ${number(row.interval.upper)}`,
        row.interval?.kind ?? "",
        row.chance === null ? "" : number(row.chance),
        row.clean === undefined ? "" : count(row.clean.contaminated),
        typeof row.clean?.value === "number" ? number(row.clean.value) : "",
        { html: plot(row) },
      ];
    }),
  });
}

function nameOf({ name, depth, isGroup }: ResultRow): string {
  const text = isGroup ? `<b>${escapeHtml(name)}</b>` : escapeHtml(name);
  return `<span class="name" style="padding-left:${depth}rem">${text}</span>`;
}

const WIDTH = 110;

/** A dot with its interval between 0 and 1; the table has the numbers. */
function plot({ value, interval, chance }: ResultRow): string {
  if (interval === null || value < 0 || value > 1 || interval.lower < -0.05 || interval.upper > 1.05) return "";
  const x = (at: number) => (4 + Math.min(1, Math.max(0, at)) * (WIDTH - 8)).toFixed(1);
  const guess = chance === null ? "" : `<path class="chance" d="M${x(chance)} 1V15"/>`;
  return (
    `<svg class="plot" viewBox="0 0 ${WIDTH} 16" aria-hidden="true"><path class="grid" d="M${x(0)} 8H${x(1)}"/>${guess}` +
    `<path class="line a" d="M${x(interval.lower)} 8H${x(interval.upper)}"/><circle class="mark a" cx="${x(value)}" cy="8" r="3.5"/></svg>`
  );
}
