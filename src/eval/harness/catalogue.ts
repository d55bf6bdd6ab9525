/** @file Describes and checks task files: which tasks can run here, and what stops the others. */
import { resolve } from "node:path";
import { QuernError } from "../../errors.js";
import { PythonFloat } from "../../tokenizer/index.js";
import { readTaskDocuments } from "./documents.js";
import { obstaclesOf } from "./obstacles.js";
import { FunctionReference, isMapping, type YamlValue } from "./python-yaml.js";
import { type LoadedTask, type TaskGroup, TaskRegistry } from "./registry.js";
import { type IndexOptions, indexOfFolder } from "./task-index.js";

export interface TaskDescription {
  readonly name: string;
  readonly kind: "task" | "group";
  readonly file: string | null;
  readonly runs: boolean;
  readonly obstacles: readonly string[];
  /** Of a task: every key with its value, and where it was written. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly places: Readonly<Record<string, string>>;
  /** Of a group: its tasks and groups. */
  readonly children: readonly string[];
}

/**
 * Describes what a name or file stands for: a task, a group, or the tasks of a tag or pattern.
 * @throws QuernError if the name is unknown or a file has faults
 */
export async function describeTasks(
  given: { readonly task: string; readonly include: readonly string[] } & IndexOptions,
): Promise<readonly TaskDescription[]> {
  const { tasks, groups } = (await openRegistry(given.include, given)).select([given.task]);
  return [...[...groups.values()].map(describeGroup), ...[...tasks.values()].map(describeTask)];
}

function describeTask(task: LoadedTask): TaskDescription {
  const obstacles = obstaclesOf(task);
  return {
    name: task.name,
    kind: "task",
    file: task.file,
    runs: obstacles.length === 0,
    obstacles,
    config: printedConfig(task),
    places: Object.fromEntries([...task.places].map(([key, { file, line }]) => [key, `${file}:${line}`])),
    children: [],
  };
}

function describeGroup(group: TaskGroup): TaskDescription {
  const blocked = group.children.filter((child) => !("isGroup" in child) && obstaclesOf(child).length > 0);
  return {
    name: group.name,
    kind: "group",
    file: null,
    runs: blocked.length === 0,
    obstacles: blocked.map(({ name }) => `the task ${name} cannot run`),
    config: { group_alias: group.alias, aggregate_metric_list: group.aggregates, metadata: printed(group.metadata) },
    places: {},
    children: group.children.map(({ name }) => name),
  };
}

/** Returns the keys of a task as JSON can hold them. */
export function printedConfig(task: LoadedTask): Record<string, unknown> {
  return Object.fromEntries(Object.entries(task.config.keys).map(([key, value]) => [key, printed(value)]));
}

/** Returns a value as JSON can hold it: `!function` as text, mappings with keys of any type as objects. */
function printed(value: YamlValue): unknown {
  if (value instanceof FunctionReference) return value.toJSON();
  if (value instanceof PythonFloat) return value.value;
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), printed(item)]));
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return value.map(printed);
  if (!isMapping(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, printed(item)]));
}

export interface CheckedFile {
  readonly file: string;
  /** Null for a template, which others include, and for a file that cannot be read. */
  readonly name: string | null;
  readonly kind: "task" | "group" | "template" | "broken";
  readonly runs: boolean;
  readonly obstacles: readonly string[];
}

/**
 * Checks task files one by one; faults become obstacles with file and line.
 * @param given.data folder of data: the documents of each task that can run are read too
 */
export async function checkTaskFiles(
  given: {
    readonly files: readonly string[];
    readonly include: readonly string[];
    readonly data?: string;
    readonly signal?: AbortSignal;
  } & IndexOptions,
): Promise<readonly CheckedFile[]> {
  const registry = await openRegistry(given.include, given);
  const checked: CheckedFile[] = [];
  for (const file of given.files) {
    given.signal?.throwIfAborted();
    checked.push(await checkFile(registry, file, given));
  }
  return checked;
}

async function checkFile(
  registry: TaskRegistry,
  file: string,
  { data, signal }: { readonly data?: string; readonly signal?: AbortSignal },
): Promise<CheckedFile> {
  try {
    if (registry.isTemplate(resolve(file))) return { file, name: null, kind: "template", runs: false, obstacles: [] };
    const item = registry.load(resolve(file));
    if ("isGroup" in item) {
      const { name, obstacles } = describeGroup(item);
      return { file, name, kind: "group", runs: obstacles.length === 0, obstacles };
    }
    const obstacles = [...obstaclesOf(item)];
    if (obstacles.length === 0 && data !== undefined) {
      await readTaskDocuments(item, item.config.numFewshot ?? 0, { data, signal }).catch((error: unknown) => {
        if (!(error instanceof QuernError)) throw error;
        obstacles.push(error.message);
      });
    }
    return { file, name: item.name, kind: "task", runs: obstacles.length === 0, obstacles };
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    return { file, name: null, kind: "broken", runs: false, obstacles: [error.message] };
  }
}

/**
 * Opens folders of task files, by their cached indexes if nothing in them changed.
 * @throws QuernError if a folder cannot be read
 */
export async function openRegistry(include: readonly string[], options: IndexOptions = {}): Promise<TaskRegistry> {
  const registry = new TaskRegistry();
  for (const folder of include) registry.addIndex(folder, await indexOfFolder(folder, options));
  return registry;
}
