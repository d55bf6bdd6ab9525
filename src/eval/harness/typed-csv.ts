/** @file Gives the columns of a CSV file the types that pandas infers, as Hugging Face's datasets does. */
import { PythonFloat } from "../../tokenizer/index.js";
import { type CsvOptions, parseCsv } from "../csv.js";

/** Cells that pandas reads as missing. */
const MISSING = new Set(
  [
    "",
    "#N/A",
    "#N/A N/A",
    "#NA",
    "-1.#IND",
    "-1.#QNAN",
    "-NaN",
    "-nan",
    "1.#IND",
    "1.#QNAN",
    "<NA>",
    "N/A",
    "NA",
  ].concat([...["NULL", "NaN", "None", "n/a", "nan", "null"]]),
);
const INTEGER = /^[ \t]*[-+]?\d+[ \t]*$/;
const FLOAT = /^[ \t]*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?[ \t]*$/;
const BOOLEAN = /^(?:True|TRUE|true|False|FALSE|false)$/;

/**
 * Returns one object per row; the first row names the columns, unless they are given.
 * @throws QuernError with the line of a row that has another number of cells than the first
 */
export function typedRowsOfCsv(
  text: string,
  path: string,
  options: CsvOptions = {},
): readonly Readonly<Record<string, unknown>>[] {
  const { columns, rows } = parseCsv(text, path, options);
  const typedColumns = columns.map((column) => typed(rows.map(({ cells }) => cells[column])));
  return rows.map((_, row) => Object.fromEntries(columns.map((name, column) => [name, typedColumns[column][row]])));
}

function typed(cells: readonly string[]): readonly unknown[] {
  const present = cells.filter((cell) => !MISSING.has(cell));
  const isComplete = present.length === cells.length;
  if (present.length === 0) return cells.map(() => null);
  if (present.every((cell) => FLOAT.test(cell))) {
    const isInteger = isComplete && present.every((cell) => INTEGER.test(cell) && isIn64Bits(BigInt(cell.trim())));
    return cells.map((cell) => {
      if (MISSING.has(cell)) return null;
      const value = Number(cell);
      if (isInteger) return Number.isSafeInteger(value) ? value : BigInt(cell.trim());
      return Number.isInteger(value) ? new PythonFloat(value) : value;
    });
  }
  if (present.every((cell) => BOOLEAN.test(cell))) {
    return cells.map((cell) => (MISSING.has(cell) ? null : /^t/i.test(cell)));
  }
  return cells.map((cell) => (MISSING.has(cell) ? null : cell));
}

const isIn64Bits = (value: bigint): boolean => value >= -(2n ** 63n) && value < 2n ** 64n;
