/** @file Tables: tells data tables from layout tables and arranges cells in a grid. */
import { TEXT } from "./tags.js";
import type { Node } from "./tree.js";

export interface Table {
  readonly caption: string;
  /** Rows of equal length. The text of a cell that spans columns or rows is in its first position. */
  readonly rows: readonly (readonly string[])[];
  /** Whether the first row contains the column names. */
  readonly headed: boolean;
}

/** Maximum columns; guards against a span of a million. */
const MAX_COLUMNS = 100;

/** Characters beyond which a cell is probably a column of the page layout, not a value. */
const LONG_CELL = 600;

/** Returns the table's cells, or undefined if the table is only used for layout. */
export function tableOf(table: Node, text: (cell: Node) => string): Table | undefined {
  const found = rowsOf(table);
  if (found.rows.length === 0 || !isData(table, found.rows)) return undefined;
  const grid: string[][] = [];
  /** For each column, the number of following rows covered by a cell that spans rows. */
  const taken: number[] = [];
  for (const row of found.rows) {
    const cells: string[] = [];
    let column = 0;
    for (const cell of row) {
      while ((taken[column] ?? 0) > 0) skipTaken(cells, taken, column++);
      if (column >= MAX_COLUMNS) break;
      const span = Math.min(spanOf(cell, "colspan"), MAX_COLUMNS - column);
      const down = spanOf(cell, "rowspan") - 1;
      const words = cell.skipped ? "" : text(cell);
      for (let i = 0; i < span; i++) {
        cells.push(i === 0 ? words : "");
        taken[column++] = down;
      }
    }
    while (column < taken.length && column < MAX_COLUMNS) {
      if (taken[column] > 0) skipTaken(cells, taken, column);
      column++;
    }
    if (cells.some((cell) => cell !== "")) grid.push(cells);
  }
  const width = grid.reduce((most, row) => Math.max(most, row.length), 0);
  for (const row of grid) while (row.length < width) row.push("");
  const first = found.rows[0] ?? [];
  const headed =
    first.length > 0 && first.every((cell) => cell.tag.name === "th" || cell.parent?.parent?.tag.name === "thead");
  return { caption: found.caption === null ? "" : text(found.caption), rows: grid, headed };
}

function skipTaken(cells: string[], taken: number[], column: number): void {
  taken[column]--;
  while (cells.length <= column) cells.push("");
}

function spanOf(cell: Node, name: string): number {
  const value = Number.parseInt(cell.get(name), 10);
  return Number.isSafeInteger(value) && value > 1 ? Math.min(value, 1000) : 1;
}

interface Rows {
  readonly rows: Node[][];
  caption: Node | null;
}

function rowsOf(table: Node): Rows {
  const found: Rows = { rows: [], caption: null };
  const visit = (node: Node): void => {
    for (let child = node.first; child !== null; child = child.next) {
      if (child.skipped) continue;
      const { name } = child.tag;
      if (name === "tr") {
        const cells: Node[] = [];
        for (let cell = child.first; cell !== null; cell = cell.next) {
          if (cell.tag.name === "td" || cell.tag.name === "th") cells.push(cell);
        }
        if (cells.length > 0) found.rows.push(cells);
      } else if (name === "caption") found.caption ??= child;
      else if (name === "thead" || name === "tbody" || name === "tfoot") visit(child);
    }
  };
  visit(table);
  return found;
}

/** Whether the table contains data: it has a heading cell, or at least two columns of short cells. */
function isData(table: Node, rows: readonly (readonly Node[])[]): boolean {
  const role = table.get("role");
  if (role === "presentation" || role === "none") return false;
  let long = 0;
  let cells = 0;
  let headings = 0;
  for (const row of rows) {
    for (const cell of row) {
      cells++;
      if (cell.tag.name === "th") headings++;
      if (cell.chars > LONG_CELL) long++;
      if (containsLayout(cell, 0)) return false;
    }
  }
  const columns = rows.reduce((most, row) => Math.max(most, row.length), 0);
  if (long > cells / 4) return false;
  if (headings > 0 && cells > 1) return true;
  return columns >= 2 && (rows.length >= 2 || long === 0);
}

/** Whether a cell contains page layout: another table, a form, headings, code. */
function containsLayout(node: Node, depth: number): boolean {
  for (let child = node.first; child !== null; child = child.next) {
    if (child.tag === TEXT) continue;
    const { name, heading } = child.tag;
    if (name === "table" || name === "pre" || name === "form" || (heading > 0 && heading < 4)) return true;
    if (depth < 6 && child.first !== null && containsLayout(child, depth + 1)) return true;
  }
  return false;
}
