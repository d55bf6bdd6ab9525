/** @file Tables: numbers are right-aligned, empty columns are omitted, wide tables scroll. */
import { escapeHtml } from "./html.js";

export interface Column {
  /** Text of the column head. */
  readonly name: string;
  /** Text is left-aligned and may wrap; numbers are right-aligned. Default: number. */
  readonly kind?: "text" | "number";
  /** The head of a group of neighbouring columns. */
  readonly group?: string;
}

/** A cell: text, or `{ html }` that is already escaped. */
export type Cell = string | { readonly html: string };

export interface TableOptions {
  /** Describes the table for screen readers, and names its scrolling region. */
  readonly label: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly Cell[])[];
}

/** A table whose first column contains the row heads. Columns with only empty cells are omitted. */
export function table({ label, columns, rows }: TableOptions): string {
  if (rows.length === 0) return "";
  const shown = columns.flatMap((_, i) => (i === 0 || rows.some((row) => row[i] !== "") ? [i] : []));
  const html = (cell: Cell) => (typeof cell === "string" ? escapeHtml(cell) : cell.html);
  const kind = (i: number) => (columns[i].kind === "text" ? "text" : "number");
  // The first column of a group has a line on its left.
  const starts = (i: number, place: number) =>
    place > 0 && columns[i].group !== columns[shown[place - 1]].group ? " group" : "";
  const grouped = shown.some((i) => columns[i].group !== undefined);
  const heads = shown.map((i, place) => {
    const name = escapeHtml(columns[i].name);
    return name === ""
      ? `<td class="${kind(i)}${starts(i, place)}"></td>`
      : `<th scope="col" class="${kind(i)}${starts(i, place)}">${name}</th>`;
  });
  const body = rows.map((row) => {
    const cells = shown.map((i, place) =>
      place === 0
        ? `<th scope="row">${html(row[i])}</th>`
        : `<td class="${kind(i)}${starts(i, place)}">${html(row[i] ?? "")}</td>`,
    );
    return `<tr>${cells.join("")}</tr>`;
  });
  const head = `<thead>${grouped ? groupRow(columns, shown) : ""}<tr>${heads.join("")}</tr></thead>`;
  return `<div class="wide" role="region" tabindex="0" aria-label="${escapeHtml(label)}"><table>${head}<tbody>${body.join("\n")}</tbody></table></div>`;
}

function groupRow(columns: readonly Column[], shown: readonly number[]): string {
  const groups: { name: string; span: number }[] = [];
  for (const i of shown) {
    const name = columns[i].group ?? "";
    const last = groups.at(-1);
    if (last?.name === name) last.span += 1;
    else groups.push({ name, span: 1 });
  }
  const cells = groups.map(({ name, span }, place) => {
    const rule = place > 0 ? ' class="group"' : "";
    return name === ""
      ? `<td colspan="${span}"${rule}></td>`
      : `<th scope="colgroup" colspan="${span}"${rule}>${escapeHtml(name)}</th>`;
  });
  return `<tr>${cells.join("")}</tr>`;
}

/** A table of two columns: names and values. */
export function properties(label: string, rows: readonly (readonly [name: string, value: Cell])[]): string {
  return table({
    label,
    columns: [
      { name: "", kind: "text" },
      { name: "", kind: "text" },
    ],
    rows,
  }).replace(/<thead>.*?<\/thead>/, "");
}

/** The numbers of a chart, in a collapsed table. */
export function numbersBehind(options: TableOptions): string {
  return `<details class="numbers"><summary>The numbers</summary>${table(options)}</details>`;
}
