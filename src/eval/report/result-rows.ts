/** @file The table of results: each metric of each task and group with its standard error, 95 % interval and chance level. */
import type { MetricResults } from "../harness/groups.js";
import { normalInterval, wilsonInterval } from "../judge/intervals.js";
import { areBinary, type EvaluationRun, parseMetricKey } from "./evaluation-run.js";
import { viewDocuments } from "./sample-view.js";

export interface ResultRow {
  readonly name: string;
  readonly isGroup: boolean;
  /** Groups around it. */
  readonly depth: number;
  /** As in `results.json`: `acc,none`. */
  readonly key: string;
  readonly metric: string;
  readonly filter: string;
  readonly shots: number | null;
  readonly documents: number | null;
  readonly value: number;
  readonly error: number | null;
  /**
   * The 95 % interval: Wilson's for the share of a task's values of 0 and 1, else value ± 1.96 standard errors; null without a
   * standard error.
   */
  readonly interval: { readonly lower: number; readonly upper: number; readonly kind: "Wilson" | "normal" } | null;
  /** What guessing gives, for accuracies of choices; null where it is not known. */
  readonly chance: number | null;
  readonly higherIsBetter: boolean | null;
  /** Without the documents that training data contains; undefined if they were not looked up. */
  readonly clean?: CleanValue;
}

export interface CleanValue {
  /** Documents that the training data contains. */
  readonly contaminated: number;
  /** Null if no other document is left. */
  readonly value: number | null;
  readonly error: number | null;
}

/** Returns the rows, each group before its tasks. */
export function resultRows(run: EvaluationRun): readonly ResultRow[] {
  const { results, group_subtasks: groups } = run.results;
  const chances = new Map<string, number | null>();
  const rows: ResultRow[] = [];
  const seen = new Set<string>();
  const visit = (name: string, depth: number) => {
    if (seen.has(name) || results[name] === undefined) return;
    seen.add(name);
    const children = groups[name] ?? [];
    // The chance level of a group is that of its tasks.
    for (const leaf of leavesOf(name, groups)) if (!chances.has(leaf)) chances.set(leaf, chanceLevel(run, leaf));
    rows.push(...rowsOf(run, name, { depth, isGroup: children.length > 0, chances }));
    for (const child of children) visit(child, depth + 1);
  };
  const inner = new Set(Object.values(groups).flat());
  for (const name of Object.keys(results)) if (!inner.has(name)) visit(name, 0);
  for (const name of Object.keys(results)) visit(name, 0);
  return rows;
}

type Groups = EvaluationRun["results"]["group_subtasks"];

/** Returns the tasks of a group and of the groups within it; a task is its own. */
export function leavesOf(name: string, groups: Groups): readonly string[] {
  const seen = new Set<string>();
  const leaves: string[] = [];
  const visit = (at: string) => {
    if (seen.has(at)) return;
    seen.add(at);
    const children = groups[at] ?? [];
    if (children.length === 0) leaves.push(at);
    for (const child of children) visit(child);
  };
  visit(name);
  return leaves;
}

interface Place {
  readonly depth: number;
  readonly isGroup: boolean;
  readonly chances: ReadonlyMap<string, number | null>;
}

function rowsOf(run: EvaluationRun, name: string, { depth, isGroup, chances }: Place): ResultRow[] {
  const { results, "n-shot": shots, "n-samples": sizes, higher_is_better, group_subtasks, decontaminate } = run.results;
  const own = results[name];
  return Object.entries(own).flatMap(([key, value]): ResultRow[] => {
    const parsed = parseMetricKey(key);
    if (parsed === undefined || parsed.isError || typeof value !== "number") return [];
    const { metric, filter } = parsed;
    const given = own[`${metric}_stderr,${filter}`];
    const error = typeof given === "number" && Number.isFinite(given) ? given : null;
    const size = own.sample_len ?? sizes[name]?.effective;
    const documents = typeof size === "number" ? size : null;
    return [
      {
        ...{ name, isGroup, depth, key, metric, filter, value, error, documents },
        shots: shots[name] ?? null,
        interval: intervalOf(run, name, metric, filter, value, error),
        chance: chanceOf(leavesOf(name, group_subtasks), metric, chances, run, value, key),
        higherIsBetter: higher_is_better[name]?.[metric] ?? null,
        ...(decontaminate && { clean: cleanValue(decontaminate.results[name] ?? {}, metric, filter) }),
      },
    ];
  });
}

function cleanValue(values: MetricResults, metric: string, filter: string): CleanValue {
  const number = (key: string) => (typeof values[key] === "number" ? values[key] : null);
  return {
    contaminated: number("contaminated") ?? 0,
    value: number(`${metric},${filter}`),
    error: number(`${metric}_stderr,${filter}`),
  };
}

function intervalOf(
  run: EvaluationRun,
  task: string,
  metric: string,
  filter: string,
  value: number,
  error: number | null,
): ResultRow["interval"] {
  const values = (run.samples.get(task) ?? [])
    .filter((sample) => sample.filter === filter)
    .map((sample) => sample[metric]);
  const right = values.filter((each) => Number(each) === 1).length;
  // Another aggregation than the mean, such as acc_all's, is no share of documents.
  if (areBinary(values) && Math.abs(right / values.length - value) < 1e-9) {
    return { ...wilsonInterval(right, values.length), kind: "Wilson" };
  }
  return error === null ? null : { ...normalInterval(value, error), kind: "normal" };
}

/** Metrics that guessing among the choices gives a known share of. */
const GUESSED: readonly string[] = ["acc", "acc_norm", "acc_bytes", "acc_mutual_info", "mc1"];

/** Returns the chance level that a task states in its metadata; it holds for exact matches too. */
function statedChance({ results }: EvaluationRun, task: string): number | null {
  const metadata = results.configs[task]?.metadata;
  const chance =
    typeof metadata === "object" && metadata !== null && "chance" in metadata ? metadata.chance : undefined;
  return typeof chance === "number" && chance >= 0 && chance <= 1 ? chance : null;
}

/** Returns the share that a uniform guess among the choices gets right; null if a document has no choices. */
function chanceLevel(run: EvaluationRun, task: string): number | null {
  const stated = statedChance(run, task);
  if (stated !== null) return stated;
  const type = run.results.configs[task]?.output_type;
  if (type !== undefined && type !== "multiple_choice") return null;
  const views = viewDocuments(run, task);
  if (views.length === 0 || views.some(({ choices }) => choices.length < 2)) return null;
  const acc = views.map(({ values }) => values["acc,none"]).filter((value) => value !== undefined);
  if (acc.length > 0 && !areBinary(acc)) return null;
  return views.reduce((sum, { choices, right }) => sum + (right?.length ?? 1) / choices.length, 0) / views.length;
}

/** Combines the chance levels of tasks as their values are combined: by documents, else equally. */
function chanceOf(
  leaves: readonly string[],
  metric: string,
  chances: ReadonlyMap<string, number | null>,
  run: EvaluationRun,
  value: number,
  key: string,
): number | null {
  const { results } = run.results;
  const having = leaves.filter((leaf) => typeof results[leaf]?.[key] === "number");
  const levels = having.map((leaf) => {
    if (GUESSED.includes(metric)) return chances.get(leaf) ?? null;
    return metric === "exact_match" ? statedChance(run, leaf) : null;
  });
  if (levels.length === 0 || levels.includes(null)) return null;
  const sizes = having.map((leaf) => Number(results[leaf].sample_len ?? 1));
  const mean = (values: readonly number[], weights: readonly number[]) =>
    values.reduce((sum, each, i) => sum + each * weights[i], 0) / weights.reduce((sum, weight) => sum + weight, 0);
  const byDocuments = mean(
    having.map((leaf) => results[leaf][key] as number),
    sizes,
  );
  const weights = Math.abs(byDocuments - value) < 1e-9 ? sizes : sizes.map(() => 1);
  return mean(levels as readonly number[], weights);
}
