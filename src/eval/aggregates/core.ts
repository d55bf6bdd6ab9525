/**
 * @file CORE and Extended, the aggregates of DCLM (Li et al. 2024, "DataComp-LM", arXiv 2406.11794): the mean accuracy of
 * many tasks, each centred so that chance is 0 and perfection 1.
 */
import { basename } from "node:path";
import { QuernError } from "../../errors.js";
import { show } from "../../options.js";
import { type CsvRow, numberAt, parseCsv } from "../csv.js";
import { readJsonInput, readTextInput } from "../json-input.js";

/** The 22 tasks of CORE, which vary least between runs of small models. */
export const CORE_TASKS: readonly string[] = [
  ...["hellaswag_zeroshot", "hellaswag", "jeopardy", "bigbench_qa_wikidata", "arc_easy", "arc_challenge", "copa"],
  ...["commonsense_qa", "piqa", "openbook_qa", "lambada_openai", "winograd", "winogrande", "bigbench_dyck_languages"],
  ...["agi_eval_lsat_ar", "bigbench_cs_algorithms", "bigbench_operators", "bigbench_repeat_copy_logic", "squad"],
  ...["coqa", "boolq", "bigbench_language_identification"],
];

/** A task of the meta table. */
export interface TaskBaseline {
  readonly task: string;
  readonly category: string;
  /** Accuracy of guessing in [0, 1]. */
  readonly chance: number;
}

/** Means of centred accuracies; null if a task of theirs has no result. */
export interface CoreAggregates {
  /** Mean of the 22 CORE tasks. */
  readonly core: number | null;
  /** Mean of all tasks of the meta table. */
  readonly extended: number | null;
  /** Mean of each category's tasks that have a result. */
  readonly categories: Readonly<Record<string, number>>;
  /** Tasks of the meta table without a result. */
  readonly missing: readonly string[];
}

export interface CoreRow extends CoreAggregates {
  /** `model` of the results file, or the file's name. */
  readonly model: string;
  readonly file: string;
}

export interface CoreOptions {
  /** DCLM's evaluation files: accuracies in [0, 1] by task in `eval_metrics.icl`. */
  readonly results: readonly string[];
  /** DCLM's eval_meta_data.csv (baselines v2) or eval_meta_data_v1.csv. */
  readonly meta: string;
  readonly signal?: AbortSignal;
}

/** Returns an accuracy with chance at 0 and perfection at 1; below 0 is worse than chance. */
export function centered(accuracy: number, chance: number): number {
  return (accuracy - chance) / (1 - chance);
}

/**
 * Computes CORE and Extended of each results file.
 * @throws QuernError for a damaged file, an accuracy outside [0, 1], a meta table without one of the CORE tasks
 */
export async function coreScores({ results, meta, signal }: CoreOptions): Promise<readonly CoreRow[]> {
  const tasks = await readTaskBaselines(meta, signal);
  const absent = CORE_TASKS.filter((name) => !tasks.some(({ task }) => task === name));
  if (absent.length > 0) throw new QuernError(`${meta} has no row for the CORE tasks ${absent.join(", ")}`);
  const rows: CoreRow[] = [];
  for (const file of results) {
    const { model, accuracies } = await readAccuracies(file, signal);
    rows.push({ model, file, ...aggregate(tasks, accuracies) });
  }
  return rows;
}

/** Centres accuracies by task and averages them. */
export function aggregate(tasks: readonly TaskBaseline[], accuracies: ReadonlyMap<string, number>): CoreAggregates {
  const scores = new Map<string, number>();
  const byCategory = new Map<string, number[]>();
  for (const { task, category, chance } of tasks) {
    const accuracy = accuracies.get(task);
    if (accuracy === undefined) continue;
    const score = centered(accuracy, chance);
    scores.set(task, score);
    byCategory.set(category, [...(byCategory.get(category) ?? []), score]);
  }
  const meanOf = (names: readonly string[]) =>
    names.every((name) => scores.has(name)) ? mean(names.map((name) => scores.get(name)!)) : null;
  return {
    core: meanOf(CORE_TASKS),
    extended: meanOf(tasks.map(({ task }) => task)),
    categories: Object.fromEntries([...byCategory].map(([category, values]) => [category, mean(values)])),
    missing: tasks.filter(({ task }) => !scores.has(task)).map(({ task }) => task),
  };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

const TASK = "Eval Task";
const CATEGORY = "Task Category";
const CHANCE = "Random baseline";

/** Reads DCLM's meta table: task, category, and the accuracy of guessing in percent. */
export async function readTaskBaselines(path: string, signal?: AbortSignal): Promise<readonly TaskBaseline[]> {
  const { columns, rows } = parseCsv(await readTextInput(path, signal), path);
  for (const column of [TASK, CATEGORY, CHANCE]) {
    if (!columns.includes(column)) throw new QuernError(`${path} has no column "${column}"`);
  }
  const seen = new Set<string>();
  return rows.map((row) => {
    const task = row.cells[TASK];
    if (seen.has(task)) throw new QuernError(`line ${row.line} of ${path} lists ${task} again; remove one of the rows`);
    seen.add(task);
    return { task, category: row.cells[CATEGORY], chance: chanceOf(row, path) };
  });
}

function chanceOf(row: CsvRow, path: string): number {
  const percent = numberAt(row, CHANCE, path);
  if (percent >= 0 && percent < 100) return 0.01 * percent;
  throw new QuernError(`"${CHANCE}" in line ${row.line} of ${path} must be at least 0 and below 100, not ${percent}`);
}

async function readAccuracies(path: string, signal?: AbortSignal) {
  const found = await readJsonInput(path, signal);
  const at = (value: unknown, key: string): unknown =>
    typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
  const icl = at(at(found, "eval_metrics"), "icl");
  if (typeof icl !== "object" || icl === null || Array.isArray(icl)) {
    throw new QuernError(`${path} has no accuracies by task in "eval_metrics.icl"; give an evaluation file of DCLM`);
  }
  const accuracies = new Map<string, number>();
  for (const [task, accuracy] of Object.entries(icl)) {
    // Python's NaN: the task has no result.
    if (accuracy === null) continue;
    if (typeof accuracy !== "number" || !(accuracy >= 0 && accuracy <= 1)) {
      throw new QuernError(`the accuracy of ${task} in ${path} must be a number from 0 to 1, not ${show(accuracy)}`);
    }
    accuracies.set(task, accuracy);
  }
  const model = at(found, "model");
  return { model: typeof model === "string" ? model : basename(path).replace(/\.json(\.\w+)?$/, ""), accuracies };
}
