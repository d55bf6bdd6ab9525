/** @file Reads what an evaluation wrote: `results.json` of Quern or lm-eval, or folders of them. */
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileError, QuernError } from "../../errors.js";
import { show } from "../../options.js";
import { readJsonInput } from "../json-input.js";
import { accuracyEstimate, type Estimate } from "./estimate.js";

/** A metric of a task. */
export interface Score extends Estimate {
  readonly metric: string;
  readonly filter: string;
  /** 0 if the file does not say. */
  readonly documents: number;
}

/** The results of one model. */
export interface ModelResults {
  readonly model: string;
  readonly files: readonly string[];
  /** Every metric of every task and group. */
  readonly scores: ReadonlyMap<string, readonly Score[]>;
  /** Keys of each task's file, where the results have them. */
  readonly configs: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
  /** Few-shot examples by task. */
  readonly shots: ReadonlyMap<string, number>;
  /** Tasks and groups by group. */
  readonly groups: ReadonlyMap<string, readonly string[]>;
}

type Mapping = Readonly<Record<string, unknown>>;
const isMapping = (value: unknown): value is Mapping =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const mappingAt = (value: unknown, key: string): Mapping => {
  const found = isMapping(value) ? value[key] : undefined;
  return isMapping(found) ? found : {};
};

/** lm-eval's names: `results.json`, `results_2025-01-31T….json`. */
const RESULTS = /^results(_.*)?\.json$/;

/**
 * Reads results. A file is one model. The files of a folder are joined by model, a later file overriding the tasks of an
 * earlier one, because suites are often evaluated apart.
 * @throws QuernError for a folder without results, or a file of another kind
 */
export async function readModelResults(path: string, signal?: AbortSignal): Promise<readonly ModelResults[]> {
  let isFolder: boolean;
  try {
    isFolder = (await stat(path)).isDirectory();
  } catch (error) {
    throw fileError(error, "read", path);
  }
  if (!isFolder) return [await readFile(path, signal)];
  const names = (await readdir(path, { recursive: true })).filter((name) => RESULTS.test(basename(name))).sort();
  if (names.length === 0) {
    throw new QuernError(`${path} has no results.json; give a folder of \`quern eval --out\` or lm-eval`);
  }
  const byModel = new Map<string, ModelResults>();
  for (const name of names) {
    const found = await readFile(join(path, name), signal);
    const before = byModel.get(found.model);
    byModel.set(found.model, before === undefined ? found : joined(before, found));
  }
  return [...byModel.values()];
}

function joined(a: ModelResults, b: ModelResults): ModelResults {
  return {
    model: a.model,
    files: [...a.files, ...b.files],
    scores: new Map([...a.scores, ...b.scores]),
    configs: new Map([...a.configs, ...b.configs]),
    shots: new Map([...a.shots, ...b.shots]),
    groups: new Map([...a.groups, ...b.groups]),
  };
}

async function readFile(path: string, signal?: AbortSignal): Promise<ModelResults> {
  const found = await readJsonInput(path, signal);
  const results = isMapping(found) ? found.results : undefined;
  if (!isMapping(results) || !Object.values(results).every(isMapping)) {
    const hint = isMapping(found) && "eval_metrics" in found ? "DCLM's files are for `quern eval core`" : "";
    throw new QuernError(`${path} has no "results" by task; ${hint || "give results.json of `quern eval` or lm-eval"}`);
  }
  const sizes = mappingAt(found, "n-samples");
  const shots = Object.entries(mappingAt(found, "n-shot")).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number",
  );
  const groups = Object.entries(mappingAt(found, "group_subtasks")).filter(([, list]) => Array.isArray(list));
  const scores = new Map<string, readonly Score[]>();
  for (const [task, values] of Object.entries(results as Record<string, Mapping>)) {
    const size = values.sample_len ?? mappingAt(sizes, task).effective;
    scores.set(task, scoresOf(task, values, typeof size === "number" ? size : 0, path));
  }
  return {
    model: modelOf(found as Mapping) ?? basename(path).replace(/\.json(\.\w+)?$/, ""),
    files: [path],
    scores,
    configs: new Map(
      Object.entries(mappingAt(found, "configs")).filter((entry): entry is [string, Mapping] => isMapping(entry[1])),
    ),
    shots: new Map(shots),
    // lm-eval lists every task as a group without members.
    groups: new Map((groups as [string, string[]][]).filter(([, list]) => list.length > 0)),
  };
}

function scoresOf(task: string, values: Mapping, documents: number, path: string): readonly Score[] {
  return Object.entries(values).flatMap(([key, value]) => {
    const [, metric, filter] = /^(.*?),(.*)$/.exec(key) ?? [];
    // "N/A" and NaN: no result.
    if (metric === undefined || metric.endsWith("_stderr") || value === null || typeof value === "string") return [];
    if (typeof value !== "number")
      throw new QuernError(`${key} of ${task} in ${path} must be a number, not ${show(value)}`);
    const error = values[`${metric}_stderr,${filter}`];
    const known = typeof error === "number" ? error : null;
    return [{ metric, filter: filter!, documents, ...accuracyEstimate(value, known, documents) }];
  });
}

function modelOf(found: Mapping): string | undefined {
  if (typeof found.model_name === "string" && found.model_name !== "") return found.model_name;
  const given = mappingAt(found, "config").model_args;
  const args = isMapping(given) ? given.pretrained : /(?:^|,)pretrained=([^,]+)/.exec(String(given))?.[1];
  return typeof args === "string" ? args : undefined;
}

/**
 * Returns the first of the wanted metrics that one of the tasks has, tasks before metrics; undefined if none has any.
 * @param tasks names of the same benchmark, the usual one first
 * @param metrics `metric`, or `metric,filter` for one filter only
 */
export function scoreAmong(results: ModelResults, tasks: readonly string[], metrics: readonly string[]) {
  for (const task of tasks) {
    for (const wanted of metrics) {
      const found = results.scores
        .get(task)
        ?.find(({ metric, filter }) => metric === wanted || `${metric},${filter}` === wanted);
      if (found !== undefined) return { task, ...found };
    }
  }
  return undefined;
}
