/**
 * @file The table of runs, `runs.csv`: one row per trained model (or per token count of one, with a WSD schedule). Sweeps write
 * it, fits read it, and anybody's own table is read under other column names.
 */

/** Columns of `runs.csv`. A reader needs `params`, `loss`, and `tokens` or `flops`; it ignores columns that it does not know. */
export const RUN_COLUMNS = [
  "run", // folder of the run, relative to the sweep; any name in others' tables
  "status", // finished, diverged, failed or stopped; empty means finished
  "params",
  "params_without_embeddings", // weights in the layers and the final norm
  "tokens", // trained on, repetitions included
  "unique_tokens", // in the training text
  "flops", // of training
  "loss", // held-out, nats per token
  "bits_per_byte", // held-out
  "learning_rate", // peak
  "batch", // tokens per optimizer step
  "accuracy", // of a downstream task, 0 to 1
  "steps",
  "layers",
  "width",
  "heads",
  "vocab_size",
  "sequence",
  "seed",
  "seconds", // of training
  "reason", // why a run is not finished
] as const;
export type RunColumn = (typeof RUN_COLUMNS)[number];

export const RUN_STATUSES = ["finished", "diverged", "failed", "stopped"] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

/** A row to write; what is unknown is left out. Further columns, such as the loss of a source, follow the known ones. */
export type RunRow = Partial<Readonly<Record<RunColumn, string | number | null>>> &
  Readonly<Record<string, string | number | null | undefined>>;

/** Returns `runs.csv` (RFC 4180). */
export function formatRuns(rows: readonly RunRow[]): string {
  const known = RUN_COLUMNS.filter((column) => rows.some((row) => row[column] !== undefined));
  const further = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter(
    (column) => !(RUN_COLUMNS as readonly string[]).includes(column),
  );
  const columns: readonly string[] = [...known, ...further];
  const line = (cells: readonly unknown[]) => cells.map(cell).join(",");
  return `${[line(columns), ...rows.map((row) => line(columns.map((column) => row[column])))].join("\n")}\n`;
}

function cell(value: unknown): string {
  const text = value === undefined || value === null ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** A run that a fit can use. */
export interface ScalingRun {
  readonly run: string;
  /** N */
  readonly params: number;
  readonly paramsWithoutEmbeddings: number | null;
  /** D */
  readonly tokens: number;
  readonly uniqueTokens: number | null;
  readonly flops: number;
  /** Nats per token. */
  readonly loss: number;
  readonly bitsPerByte: number | null;
  readonly learningRate: number | null;
  /** Tokens per step. */
  readonly batch: number | null;
  readonly accuracy: number | null;
}

/** A run that is left out, and why. */
export interface ExcludedRun {
  readonly run: string;
  readonly reason: string;
}

export interface RunTable {
  readonly path: string;
  readonly runs: readonly ScalingRun[];
  readonly excluded: readonly ExcludedRun[];
  /** Whether tokens, or FLOPs, were derived from the other by C = 6·N·D. */
  readonly derived: "tokens" | "flops" | null;
  readonly warnings: readonly string[];
}
