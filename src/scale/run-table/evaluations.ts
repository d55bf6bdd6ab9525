/**
 * @file Accuracies of a harness task for the runs of a table: a folder of evaluations (`quern eval --out`, or lm-eval's), one per
 * run. An evaluation belongs to the run whose name ends the path of the evaluated model, else to the run after which its folder is named.
 */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileError, QuernError } from "../../errors.js";
import { modelNameOf, type ResultRow, readRun, resultRows } from "../../eval/index.js";
import { nearest } from "../../options.js";
import { quoted } from "../../printable.js";
import type { ScalingRun } from "./run-table.js";

export interface EvaluationsRequest {
  /** Folder of the evaluations. */
  readonly evals: string;
  /** Default: the only task. */
  readonly task?: string;
  /** Default: `acc,none`, else the task's first metric between 0 and 1. */
  readonly metric?: string;
  readonly signal?: AbortSignal;
}

export interface EvaluatedRuns {
  readonly runs: readonly ScalingRun[];
  readonly task: string;
  readonly metric: string;
  /** Accuracy of guessing; null where the evaluations do not know it. */
  readonly chance: number | null;
  /** Names runs without an evaluation. */
  readonly warnings: readonly string[];
}

const slashed = (path: string) => path.replaceAll("\\", "/").replace(/\/+$/, "");

/**
 * Returns the runs with the accuracy of a task.
 * @throws QuernError if there are no evaluations, none belongs to a run, or the task or metric is unknown
 */
export async function withEvaluations(
  runs: readonly ScalingRun[],
  { evals, task, metric, signal }: EvaluationsRequest,
): Promise<EvaluatedRuns> {
  const found = await evaluationsIn(evals, signal);
  const tasks = [...new Set(found.flatMap(({ rows }) => rows.map((row) => row.name)))];
  const wanted = taskOf(evals, tasks, task);
  const rows = found.flatMap((each) => each.rows).filter((row) => row.name === wanted);
  const key = metricOf(wanted, rows, metric);
  const accuracies = new Map<string, number>();
  for (const each of found) {
    const value = each.rows.find((row) => row.name === wanted && keyOf(row) === key)?.value;
    const run = runs.find((one) => belongs(each, one));
    if (run !== undefined && typeof value === "number") accuracies.set(run.run, value);
  }
  if (accuracies.size === 0) {
    throw new QuernError(
      `none of the ${found.length} evaluations in ${evals} belongs to a run; name each one's folder after its run, such as ` +
        `quern eval --model ${runs[0].run} --out ${join(evals, basename(runs[0].run))}`,
      { exitCode: 2 },
    );
  }
  const without = runs.filter(({ run }) => !accuracies.has(run)).map(({ run }) => run);
  const named = `${without.slice(0, 8).join(", ")}${without.length > 8 ? " …" : ""}`;
  return {
    runs: runs.map((run) => ({ ...run, accuracy: accuracies.get(run.run) ?? run.accuracy })),
    ...{ task: wanted, metric: key, chance: rows.find((row) => keyOf(row) === key)?.chance ?? null },
    warnings: without.length === 0 ? [] : [`${without.length} runs have no evaluation of ${wanted}: ${named}`],
  };
}

interface Evaluation {
  /** Its folder's name. */
  readonly name: string;
  readonly model: string;
  readonly rows: readonly ResultRow[];
}

async function evaluationsIn(evals: string, signal: AbortSignal | undefined): Promise<Evaluation[]> {
  const entries = await readdir(evals, { withFileTypes: true }).catch((error: unknown) => {
    throw fileError(error, "read", evals);
  });
  const found: Evaluation[] = [];
  for (const { name } of entries.filter((entry) => entry.isDirectory()).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    signal?.throwIfAborted();
    const run = await readRun(join(evals, name), { signal });
    found.push({ name, model: slashed(modelNameOf(run)), rows: resultRows(run) });
  }
  if (found.length > 0) return found;
  throw new QuernError(
    `${evals} contains no evaluations; write one per run with quern eval --model RUN --tasks TASK --out ${join(evals, "RUN")}`,
    { exitCode: 2 },
  );
}

function belongs({ name, model }: Evaluation, { run }: ScalingRun): boolean {
  const path = slashed(run);
  return model === path || model.endsWith(`/${path}`) || name === basename(path);
}

function taskOf(evals: string, tasks: readonly string[], task: string | undefined): string {
  if (task === undefined && tasks.length === 1) return tasks[0];
  if (task !== undefined && tasks.includes(task)) return task;
  const list = `${tasks.slice(0, 12).join(", ")}${tasks.length > 12 ? " …" : ""}`;
  throw new QuernError(
    task === undefined
      ? `${evals} has evaluations of ${tasks.length} tasks; choose one with --task: ${list}`
      : `${evals} has no evaluation of ${quoted(task)}; did you mean ${nearest(task, tasks)}? Tasks are ${list}`,
    { exitCode: 2 },
  );
}

const isShare = ({ value }: ResultRow) => typeof value === "number" && value >= 0 && value <= 1;
const keyOf = ({ key }: ResultRow) => key;

function metricOf(task: string, rows: readonly ResultRow[], metric: string | undefined): string {
  const keys = [...new Set(rows.filter(isShare).map(keyOf))];
  const chosen =
    metric === undefined
      ? (keys.find((key) => key === "acc,none") ?? keys[0])
      : keys.find((key) => key === metric || key.split(",")[0] === metric);
  if (chosen !== undefined) return chosen;
  throw new QuernError(
    keys.length === 0
      ? `the evaluations of ${task} have no metric between 0 and 1, which a sigmoid needs`
      : `the evaluations of ${task} have no metric ${quoted(metric ?? "")}; they have ${keys.join(", ")}`,
    { exitCode: 2 },
  );
}
