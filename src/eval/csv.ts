/** @file Parses CSV tables with a header row (RFC 4180): quoted fields may contain commas, quotes ("") and line ends. */
import { QuernError } from "../errors.js";

export interface CsvTable {
  readonly columns: readonly string[];
  readonly rows: readonly CsvRow[];
}

export interface CsvRow {
  /** Line of the file on which the row starts, from 1. */
  readonly line: number;
  readonly cells: Readonly<Record<string, string>>;
}

export interface CsvOptions {
  /** One character. Default a comma. */
  readonly separator?: string;
  /** Names of the columns; the text then has no header row. */
  readonly columns?: readonly string[];
}

/**
 * Parses a CSV text. Blank lines are skipped.
 * @param name of the file, for errors
 * @throws QuernError with the line: no header, a column named twice, a row of another length, a quote that never closes
 */
export function parseCsv(text: string, name: string, options: CsvOptions = {}): CsvTable {
  const records = recordsOf(text.replace(/^\uFEFF/, ""), name, options.separator ?? ",");
  const header = options.columns === undefined ? records[0]?.fields : options.columns;
  if (header === undefined) throw new QuernError(`${name} is empty; it needs a header row`);
  const columns = header;
  const rest = options.columns === undefined ? records.slice(1) : records;
  const twice = columns.find((column, index) => columns.indexOf(column) !== index);
  if (twice !== undefined) throw new QuernError(`${name} has two columns named "${twice}"`);
  const rows = rest.map(({ line, fields }) => {
    if (fields.length !== columns.length) {
      throw new QuernError(`line ${line} of ${name} has ${fields.length} fields, but its header has ${columns.length}`);
    }
    return { line, cells: Object.fromEntries(columns.map((column, index) => [column, fields[index]])) };
  });
  return { columns, rows };
}

interface CsvRecord {
  readonly line: number;
  readonly fields: readonly string[];
}

function recordsOf(text: string, name: string, separator: string): CsvRecord[] {
  const records: CsvRecord[] = [];
  // A field, quoted or not, and what ends it. A quote within an unquoted field is a character like any other, as in pandas.
  const escaped = /[\w\s]/.test(separator) ? separator : `\\${separator}`;
  const pattern = new RegExp(
    `(?:"((?:[^"]|"")*)"|([^"${escaped}\\r\\n][^${escaped}\\r\\n]*|))(${escaped}|\\r\\n|\\n|\\r|$)`,
    "y",
  );
  let fields: string[] = [];
  let line = 1;
  let start = 1;
  while (pattern.lastIndex < text.length || fields.length > 0) {
    const match = pattern.exec(text);
    if (match === null) {
      throw new QuernError(`line ${start} of ${name} has text after a closing quote, or a quote that never closes`);
    }
    const [whole, quoted, plain, end] = match;
    fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    line += whole.match(/\r\n|\n|\r/g)?.length ?? 0;
    if (end === separator) continue;
    if (fields.length > 1 || fields[0] !== "") records.push({ line: start, fields });
    fields = [];
    start = line;
  }
  return records;
}

/** Returns the number in a cell. */
export function numberAt({ cells, line }: CsvRow, column: string, name: string): number {
  const cell = cells[column];
  if (cell === undefined) throw new QuernError(`${name} has no column "${column}"`);
  const number = cell.trim() === "" ? Number.NaN : Number(cell);
  if (!Number.isFinite(number)) {
    throw new QuernError(`"${column}" in line ${line} of ${name} must be a number, not "${cell}"`);
  }
  return number;
}
