/** @file Reads the runs of a fit: a CSV file, a sweep's folder with its `runs.csv`, or a folder of run folders. */
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { isCsv, ReadLog, type Row, readCsv } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import { nearest } from "../../options.js";
import { quoted } from "../../printable.js";
import { readRunRecord, runPaths } from "../../train/index.js";
import { type ExcludedRun, RUN_COLUMNS, type RunColumn, type RunTable, type ScalingRun } from "./run-table.js";

export const RUNS_FILE = "runs.csv";

/** Names of columns in the file, by Quern's names: `{ params: "Model Size" }`. */
export type ColumnNames = Partial<Readonly<Record<RunColumn, string>>>;

/** Parses `params=Model Size`. @throws QuernError (exit code 2) for another form or an unknown name */
export function parseColumns(given: readonly string[]): ColumnNames {
  const names: Partial<Record<RunColumn, string>> = {};
  for (const part of given) {
    const at = part.indexOf("=");
    const key = part.slice(0, Math.max(0, at)).trim();
    if (at < 1 || at === part.length - 1) {
      throw new QuernError(`--columns: ${quoted(part)} is not NAME=COLUMN, such as params=model_size`, { exitCode: 2 });
    }
    if (!(RUN_COLUMNS as readonly string[]).includes(key)) {
      throw new QuernError(
        `--columns: unknown name ${quoted(key)}; did you mean ${nearest(key, RUN_COLUMNS)}? Names are ${RUN_COLUMNS.slice(0, 12).join(", ")}`,
        { exitCode: 2 },
      );
    }
    names[key as RunColumn] = part.slice(at + 1).trim();
  }
  return names;
}

/**
 * Reads runs. Those that did not finish, and those with a loss that is not a number, are left out and named.
 * @throws QuernError if there is no such table, a column is missing, or no run is left
 */
export async function readRuns(
  path: string,
  { columns = {}, signal }: { readonly columns?: ColumnNames; readonly signal?: AbortSignal } = {},
): Promise<RunTable> {
  const found = await stat(path).catch((error: unknown) => {
    throw fileError(error, "read", path);
  });
  if (found.isDirectory()) {
    const table = join(path, RUNS_FILE);
    const isThere = await stat(table).then(
      () => true,
      () => false,
    );
    return isThere ? readTable(table, columns, signal) : readFolders(path);
  }
  if (!isCsv(path)) {
    throw new QuernError(`${path} is neither a .csv or .tsv file nor the folder of a sweep`, { exitCode: 2 });
  }
  return readTable(path, columns, signal);
}

async function readTable(path: string, columns: ColumnNames, signal: AbortSignal | undefined): Promise<RunTable> {
  const log = new ReadLog();
  const rows: Row[] = [];
  for await (const row of readCsv(path, { log, signal })) {
    rows.push(row);
    if (rows.length > MOST_RUNS) throw new QuernError(`${path} has more than ${MOST_RUNS} runs; fit a part of them`);
  }
  const { skipped, skippedAt } = log.report;
  const damage = Object.keys(skipped).map(
    (reason) => `${skipped[reason]} rows skipped as ${reason}: ${skippedAt[reason]?.join("; ") ?? ""}`,
  );
  if (rows.length === 0) {
    throw new QuernError(
      `${path} contains no runs${damage.length === 0 ? "" : ` (${damage[0]})`}; give a table with a header and one row per run`,
    );
  }
  const header = Object.keys(rows[0].fields as object);
  requireColumns(path, header, columns);
  return tableOf(path, rows, columns, header, damage);
}

const MOST_RUNS = 100_000;

/** What the needed columns are called elsewhere, for the example in a message. */
const LIKELY: Readonly<Record<"params" | "loss" | "flops", RegExp>> = {
  params: /param|model.?size|^n$|size/i,
  loss: /loss|nll|entropy/i,
  flops: /flop|compute|^c$/i,
};

/** The column of the header that holds `name`; null if none does. Spaces around a name in the header do not count. */
function columnOf(header: readonly string[], columns: ColumnNames, name: RunColumn): string | null {
  const wanted = columns[name] ?? name;
  return header.find((each) => each === wanted) ?? header.find((each) => each.trim() === wanted) ?? null;
}

function requireColumns(path: string, header: readonly string[], columns: ColumnNames): void {
  const has = (name: RunColumn) => columnOf(header, columns, name) !== null;
  const shown = header.map(quoted).join(", ");
  for (const [name, column] of Object.entries(columns)) {
    if (!has(name as RunColumn)) {
      throw new QuernError(`${path} has no column ${quoted(column)} for ${name}; its columns are ${shown}`, {
        exitCode: 2,
      });
    }
  }
  const missing = (["params", "loss"] as const).filter((name) => !has(name));
  if (missing.length === 0 && (has("tokens") || has("flops"))) return;
  const what = missing.length > 0 ? missing.join(" and no column ") : "tokens or flops";
  const example = [...missing, ...(has("tokens") || has("flops") ? [] : (["flops"] as const))].map((name) => {
    const column = header.find((each) => LIKELY[name].test(each)) ?? "COLUMN";
    return `${name}=${quoted(column)}`;
  });
  throw new QuernError(
    `${path} has no column ${what}; its columns are ${shown}; name them, such as --columns "${example.join(",")}"`,
    { exitCode: 2 },
  );
}

/** Parses a number: `1.5e9`, `70B`, `1.4T` or `1,000`. */
function numberOf(text: string): number {
  const plain = text.trim().replace(/(\d),(?=\d{3}\b)/g, "$1");
  const [, digits, suffix] = /^([-+]?[\d.]+(?:e[-+]?\d+)?)\s*([KMBGT])$/i.exec(plain) ?? [];
  if (suffix === undefined) return plain === "" ? Number.NaN : Number(plain);
  return (
    Number(digits) * { K: 1e3, M: 1e6, B: 1e9, G: 1e9, T: 1e12 }[suffix.toUpperCase() as "K" | "M" | "B" | "G" | "T"]
  );
}

function tableOf(
  path: string,
  rows: readonly Row[],
  columns: ColumnNames,
  header: readonly string[],
  damage: readonly string[],
): RunTable {
  const known = new Map(RUN_COLUMNS.map((name) => [name, columnOf(header, columns, name)]));
  const has = (name: RunColumn) => known.get(name) !== null;
  const runs: ScalingRun[] = [];
  const excluded: ExcludedRun[] = [];
  let derived: RunTable["derived"] = has("tokens") ? null : "tokens";
  if (!has("flops")) derived = "flops";
  rows.forEach(({ fields, place }, index) => {
    const cells = fields as Readonly<Record<string, string>>;
    const text = (name: RunColumn) => cells[known.get(name) ?? ""] ?? "";
    const positive = (name: RunColumn) => {
      const value = numberOf(text(name));
      return Number.isFinite(value) && value > 0 ? value : null;
    };
    const run = text("run") || `row ${index + 1}`;
    const exclude = (reason: string) => excluded.push({ run, reason });
    const status = text("status").toLowerCase() || "finished";
    if (status !== "finished") {
      exclude([status, text("reason")].filter((part) => part !== "").join(": "));
      return;
    }
    const loss = numberOf(text("loss"));
    if (!Number.isFinite(loss)) {
      exclude(`its loss is ${text("loss").trim() === "" ? "missing" : `not a number (${quoted(text("loss"))})`}`);
      return;
    }
    if (loss <= 0) throw new QuernError(`${place}: a loss of ${loss} is not above 0; give nats per token`);
    const params = positive("params");
    if (params === null) throw new QuernError(`${place}: params is ${quoted(text("params"))}, not a number above 0`);
    const [tokens, flops] = [positive("tokens"), positive("flops")];
    if (tokens === null && flops === null) {
      throw new QuernError(`${place}: neither tokens nor flops is a number above 0; give one of them`);
    }
    const D = tokens ?? (flops as number) / (6 * params);
    runs.push({
      ...{ run, params, loss, tokens: D, flops: flops ?? 6 * params * D },
      paramsWithoutEmbeddings: positive("params_without_embeddings"),
      uniqueTokens: positive("unique_tokens"),
      bitsPerByte: positive("bits_per_byte"),
      learningRate: positive("learning_rate"),
      batch: positive("batch"),
      accuracy: has("accuracy") ? unit(numberOf(text("accuracy"))) : null,
    });
  });
  return finish({ path, runs, excluded, derived, warnings: damage });
}

const unit = (value: number) => (value >= 0 && value <= 1 ? value : null);

/** Least share of C = 6·N·D that is plausible: embeddings that are not multiplied make FLOPs smaller, bytes far smaller. */
const LEAST_FLOPS_SHARE = 0.42;
/** Beyond these shares another unit is likelier than bytes, or than the attention of a narrow model. */
const OTHER_UNIT = [1 / 12, 20] as const;
/** No model has fewer params. */
const FEWEST_PARAMS = 1000;

/** Checks what only the whole table shows. */
function finish(table: RunTable): RunTable {
  const { path, runs, excluded } = table;
  if (runs.length === 0) {
    const [first] = excluded;
    throw new QuernError(
      `${path} contains no finished run with a finite loss: ${quoted(first.run)}: ${first.reason}; train the runs again, or check the loss column`,
    );
  }
  if (table.derived === null) {
    const shares = runs.map(({ params, tokens, flops }) => flops / (6 * params * tokens)).sort((a, b) => a - b);
    const share = shares[Math.floor(shares.length / 2)];
    if (share < OTHER_UNIT[0] || share > OTHER_UNIT[1]) {
      throw new QuernError(
        `${path}: flops are ${share.toPrecision(2)} times 6 · params · tokens; one of the columns has another unit: ` +
          "give plain numbers (70e9, not 70), or leave out flops or tokens",
      );
    }
    if (share < LEAST_FLOPS_SHARE) {
      throw new QuernError(
        `${path}: 6 · params · tokens is ${(1 / share).toFixed(1)} times flops; the tokens look like bytes: ` +
          "give tokens, or leave that column out so that tokens are flops / (6 · params)",
      );
    }
  }
  const largest = Math.max(...runs.map(({ params }) => params));
  if (largest >= FEWEST_PARAMS) return table;
  const unit = `the largest params are ${largest}: give plain numbers (70e6, not 70)`;
  return { ...table, warnings: [...table.warnings, unit] };
}

/** Reads a folder of run folders without `runs.csv`: each run's plan, and its last validation. */
async function readFolders(path: string): Promise<RunTable> {
  const entries = (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  const runs: ScalingRun[] = [];
  const excluded: ExcludedRun[] = [];
  for (const { name } of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const folder = join(path, name);
    const record = await readRunRecord(folder);
    if (record === null) continue;
    const plan = (record.plan ?? {}) as Readonly<Record<string, unknown>>;
    const number = (key: string) => (typeof plan[key] === "number" ? (plan[key] as number) : Number.NaN);
    const cuts = plan.cuts as readonly { readonly steps: number }[] | undefined;
    const batch = number("batch") * number("accumulate") * number("sequence");
    const tokens = (cuts?.at(-1)?.steps ?? number("steps")) * batch;
    const params = number("parameters");
    const flops = number("training_flops_per_token") * tokens;
    const last = await lastValidation(folder);
    if (last === null || record.result?.bits_per_byte === undefined) {
      excluded.push({ run: name, reason: "not finished: resume it with quern pretrain --resume" });
      continue;
    }
    if (![params, tokens, flops, last].every((value) => Number.isFinite(value) && value > 0)) {
      excluded.push({ run: name, reason: "its plan or its loss is not a number" });
      continue;
    }
    const model = plan.model as { readonly vocabSize?: number; readonly width?: number; readonly tiedHead?: boolean };
    const table = (model.vocabSize ?? 0) * (model.width ?? 0) * (model.tiedHead === false ? 2 : 1);
    const unique = number("training_tokens");
    const rate = (plan.schedule as { readonly learningRate?: number } | undefined)?.learningRate ?? null;
    runs.push({
      ...{ run: name, params, paramsWithoutEmbeddings: params - table, tokens, flops, loss: last },
      uniqueTokens: Number.isFinite(unique) ? unique : null,
      bitsPerByte: record.result.bits_per_byte ?? null,
      learningRate: rate,
      ...{ batch, accuracy: null },
    });
  }
  if (runs.length + excluded.length === 0) {
    throw new QuernError(
      `${path} contains neither ${RUNS_FILE} nor run folders; make runs with quern scale sweep --out ${basename(path)}`,
      { exitCode: 2 },
    );
  }
  return finish({ path, runs, excluded, derived: null, warnings: [] });
}

/** Returns the last held-out loss in a run's metrics; null without one. */
async function lastValidation(folder: string): Promise<number | null> {
  const text = await readFile(runPaths(folder).metrics, "utf8").catch(() => "");
  for (const line of text.split("\n").reverse()) {
    try {
      const { validation_loss: loss } = JSON.parse(line) as { readonly validation_loss?: unknown };
      if (typeof loss === "number") return loss;
    } catch {
      // A killed run may leave an incomplete line.
    }
  }
  return null;
}
