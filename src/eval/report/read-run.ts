/**
 * @file Reads a finished evaluation from its folder: Quern's own (`results.json`, `samples_TASK.jsonl`) or lm-eval's, whose file
 * names end in a date and which may lie in a folder named after the model.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileError, QuernError } from "../../errors.js";
import { show } from "../../options.js";
import type { EvaluationResults, EvaluationSample } from "../harness/evaluation-results.js";
import { readJsonInput, readJsonItems } from "../json-input.js";
import type { EvaluationRun } from "./evaluation-run.js";

/** The results file of a run, and what its sample files end in before `.jsonl`. */
interface RunFiles {
  readonly folder: string;
  readonly results: string;
  readonly suffix: string;
}

const DATED = /^.*?_(\d{4}-\d\d-\d\dT[\d.:-]+)\.json$/;

/**
 * Reads the results and samples of a run.
 * @param path the run's folder or its results file. Of several dated results, the latest is read
 * @throws QuernError if there are no results, several models' results, or a file is not in lm-eval's layout
 */
export async function readRun(
  path: string,
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<EvaluationRun> {
  const files = await findRun(path);
  const results = checkResults(await readJsonInput(join(files.folder, files.results), signal), files);
  const samples = new Map<string, readonly EvaluationSample[]>();
  const present = new Set(await namesIn(files.folder));
  for (const task of new Set([...Object.keys(results.results), ...Object.keys(results.configs)])) {
    const name = `samples_${task}${files.suffix}.jsonl`;
    if (present.has(name)) samples.set(task, await readSamples(join(files.folder, name), signal));
  }
  return { name: path, results, samples };
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).sort();
  } catch (error) {
    throw fileError(error, "read", folder);
  }
}

async function findRun(path: string): Promise<RunFiles> {
  const found = await stat(path).catch((error) => {
    throw fileError(error, "read", path);
  });
  if (!found.isDirectory()) return runFiles(dirname(path), basename(path));
  const here = resultsAmong(await namesIn(path));
  if (here !== undefined) return runFiles(path, here);
  const folders: RunFiles[] = [];
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const folder = join(path, entry.name);
    const results = resultsAmong(await namesIn(folder));
    if (results !== undefined) folders.push(runFiles(folder, results));
  }
  if (folders.length === 1) return folders[0];
  throw new QuernError(
    folders.length === 0
      ? `${path} has no results.json; give the folder of an evaluation`
      : `${path} has results of ${folders.length} models; give one of ${folders.map(({ folder }) => folder).join(", ")}`,
  );
}

/** Returns the name of the results file: `results.json`, else the latest with a date. */
function resultsAmong(names: readonly string[]): string | undefined {
  if (names.includes("results.json")) return "results.json";
  const dated = names.filter((name) => name.startsWith("results_") && DATED.test(name));
  return dated.at(-1);
}

function runFiles(folder: string, results: string): RunFiles {
  const date = DATED.exec(results)?.[1];
  return { folder, results, suffix: date === undefined ? "" : `_${date}` };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function checkResults(value: unknown, { folder, results: name }: RunFiles): EvaluationResults {
  const path = join(folder, name);
  const wrong = (what: string) => new QuernError(`${path} is not the results of an evaluation: ${what}`);
  if (!isRecord(value)) throw wrong("it is not an object");
  const { results } = value;
  if (!isRecord(results)) throw wrong(`"results" must be an object, not ${show(results)}`);
  const odd = Object.keys(results).find((task) => !isRecord(results[task]));
  if (odd !== undefined) throw wrong(`the results of ${show(odd)} must be an object`);
  // Old versions of lm-eval lack some keys.
  const filled = Object.fromEntries(TASK_KEYS.map((key) => [key, isRecord(value[key]) ? value[key] : {}]));
  const groups = filled.group_subtasks;
  const oddGroup = Object.keys(groups).find((name) => !isList(groups[name], "string"));
  if (oddGroup !== undefined) throw wrong(`the tasks of the group ${show(oddGroup)} must be a list of names`);
  const { decontaminate, ...others } = value;
  const isWhole = isRecord(decontaminate) && isRecord(decontaminate.results);
  return { ...others, ...filled, ...(isWhole && { decontaminate }) } as unknown as EvaluationResults;
}

/** The keys whose values are by task, and the settings. */
const TASK_KEYS = [
  "group_subtasks",
  "configs",
  "versions",
  "n-shot",
  "higher_is_better",
  "n-samples",
  "config",
] as const;

const isList = (value: unknown, type: "string") => Array.isArray(value) && value.every((item) => typeof item === type);

async function readSamples(path: string, signal?: AbortSignal): Promise<readonly EvaluationSample[]> {
  const seen = new Set<string>();
  return (await readJsonItems(path, signal)).map(({ value, place }) => {
    const { doc_id, filter = "none", resps, filtered_resps, metrics } = value;
    const wrong = (key: string, what: string) =>
      new QuernError(`"${key}" of ${place} must be ${what}, not ${show(value[key])}`);
    if (typeof doc_id !== "number") throw wrong("doc_id", "a number");
    if (typeof filter !== "string") throw wrong("filter", "text");
    if (!Array.isArray(resps)) throw wrong("resps", "a list");
    if (!Array.isArray(filtered_resps)) throw wrong("filtered_resps", "a list");
    if (metrics !== undefined && !isList(metrics, "string")) throw wrong("metrics", "a list of names");
    const key = JSON.stringify([doc_id, filter]);
    if (seen.has(key)) throw new QuernError(`${place} repeats document ${doc_id} with the filter ${show(filter)}`);
    seen.add(key);
    const requests = argumentsOf(value.arguments);
    if (requests === undefined) throw wrong("arguments", "gen_args_0, gen_args_1 … with the arguments of each request");
    return { ...value, filter, arguments: requests } as unknown as EvaluationSample;
  });
}

/** Old versions of lm-eval write lists of arguments in place of `gen_args_0` and `arg_0`. Returns undefined for other forms. */
function argumentsOf(value: unknown): EvaluationSample["arguments"] | undefined {
  if (Array.isArray(value)) {
    const named = (name: string, list: unknown) =>
      Object.fromEntries((Array.isArray(list) ? list : [list]).map((item, i) => [`${name}${i}`, item]));
    return Object.fromEntries(value.map((list, i) => [`gen_args_${i}`, named("arg_", list)]));
  }
  if (!isRecord(value) || !Object.values(value).every(isRecord)) return undefined;
  return value as EvaluationSample["arguments"];
}
