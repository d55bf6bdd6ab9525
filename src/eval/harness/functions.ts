/**
 * @file The Python functions of lm-eval's task files (`!function utils.process_docs`), written in TypeScript. A function is
 * found by the folder of its module and its name; any other is refused by name.
 */
import { basename, dirname, join } from "node:path";
import { QuernError } from "../../errors.js";
import { BBQ_FUNCTIONS } from "./functions/bbq.js";
import { BENCH_FUNCTIONS } from "./functions/benches.js";
import { BIAS_FUNCTIONS } from "./functions/bias.js";
import { COMPLETION_FUNCTIONS } from "./functions/completions.js";
import { DETOKENIZED_FUNCTIONS } from "./functions/detokenized.js";
import { DROP_FUNCTIONS } from "./functions/drop.js";
import { EXAM_FUNCTIONS } from "./functions/exams.js";
import { LANGUAGE_FUNCTIONS } from "./functions/languages.js";
import { LONG_BENCH_FUNCTIONS } from "./functions/long-bench.js";
import { READING_FUNCTIONS } from "./functions/reading.js";
import { REASONING_FUNCTIONS } from "./functions/reasoning.js";
import { SUPER_GLUE_FUNCTIONS } from "./functions/super-glue.js";
import { CLASS_FUNCTIONS } from "./functions/task-classes.js";
import { TRUTHFULQA_FUNCTIONS } from "./functions/truthfulqa.js";
import type { FunctionReference } from "./python-yaml.js";
import type { FunctionTable, TaskFunction } from "./task-function.js";
import { TypedFunction } from "./typed/typed-function.js";

export type { FunctionTable, TaskDocument, TaskFunction, TaskResult } from "./task-function.js";

/** The functions that Quern has. */
export const TASK_FUNCTIONS: FunctionTable = new Map<string, TaskFunction>([
  ...COMPLETION_FUNCTIONS,
  ...REASONING_FUNCTIONS,
  ...READING_FUNCTIONS,
  ...DROP_FUNCTIONS,
  ...EXAM_FUNCTIONS,
  ...SUPER_GLUE_FUNCTIONS,
  ...TRUTHFULQA_FUNCTIONS,
  ...DETOKENIZED_FUNCTIONS,
  ...BIAS_FUNCTIONS,
  ...BBQ_FUNCTIONS,
  ...BENCH_FUNCTIONS,
  ...LANGUAGE_FUNCTIONS,
  ...LONG_BENCH_FUNCTIONS,
  ...CLASS_FUNCTIONS,
]);

/** Returns the function that a task file names, or that a typed task holds; undefined if Quern has none. */
export function findFunction(
  reference: FunctionReference,
  table: FunctionTable = TASK_FUNCTIONS,
): TaskFunction | undefined {
  if (reference instanceof TypedFunction) return reference.implementation;
  const split = reference.name.lastIndexOf(".");
  const module = join(dirname(reference.file), reference.name.slice(0, Math.max(0, split)).replaceAll(".", "/"));
  const name = `${basename(module)}.${reference.name.slice(split + 1)}`;
  const folder = dirname(module);
  const parent = basename(dirname(folder));
  return table.get(`${parent}/${basename(folder)}/${name}`) ?? table.get(`${basename(folder)}/${name}`);
}

/** @throws QuernError that names the function if Quern has none, or one for another place */
export function requireFunction<K extends TaskFunction["takes"]>(
  reference: FunctionReference,
  takes: K,
  table?: FunctionTable,
): Extract<TaskFunction, { takes: K }> {
  const found = findFunction(reference, table);
  if (found?.takes === takes) return found as Extract<TaskFunction, { takes: K }>;
  throw new QuernError(
    `${reference.file} calls the Python function ${reference.name}, which Quern does not have; ` +
      "`quern eval check` lists what stops a task",
  );
}
