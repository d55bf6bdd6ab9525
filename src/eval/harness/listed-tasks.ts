/** @file Reads all task files of a folder: which tasks, groups and tags they define, and what stops each task. */
import { QuernError } from "../../errors.js";
import type { ListedGroup, ListedLine, ListedTag, ListedTask } from "./listed-lines.js";
import { obstaclesOf } from "./obstacles.js";
import { type FolderIndex, type RegistryEntry, TaskRegistry } from "./registry.js";

export interface ReadFolder {
  readonly index: FolderIndex;
  /** Files that task files include; they may be outside the folder. */
  readonly included: readonly string[];
  /** Those of `included` that could not be read. */
  readonly unreadable: readonly string[];
}

/** @throws QuernError if the folder cannot be read */
export function readFolder(root: string): ReadFolder {
  const registry = new TaskRegistry({ builtIn: false });
  registry.addFolder(root);
  const { files, broken } = registry;
  return { index: { files, lines: linesOf(registry), broken }, ...registry.includes() };
}

/** Returns the lines of the built-in tasks. */
export const linesOfBuiltIn = (): readonly ListedLine[] => linesOf(new TaskRegistry());

function linesOf(registry: TaskRegistry): readonly ListedLine[] {
  return registry.entries().map((entry): ListedLine => {
    const { name, kind } = entry;
    if (kind === "group")
      return { name, kind, runs: false, json: json({ name, file: entry.path! } satisfies ListedGroup) };
    if (kind === "tag") {
      return { name, kind, runs: false, json: json({ name, tasks: [...entry.members].sort() } satisfies ListedTag) };
    }
    const task = listed(registry, entry);
    return { name, kind, runs: task.runs, json: json(task) };
  });
}

const json = (value: object) => JSON.stringify(value);

function listed(registry: TaskRegistry, { name, path }: RegistryEntry): ListedTask {
  const file = path!;
  try {
    const task = registry.select([name]).tasks.get(name)!;
    const { config } = task;
    const obstacles = obstaclesOf(task);
    return {
      name,
      file,
      output_type: task.isPython ? null : config.outputType,
      dataset: config.datasetPath === null ? null : [config.datasetPath, config.datasetName ?? []].flat().join("/"),
      tags: config.tags,
      runs: obstacles.length === 0,
      obstacles,
    };
  } catch (error) {
    if (!(error instanceof QuernError)) throw error;
    return { name, file, output_type: null, dataset: null, tags: [], runs: false, obstacles: [error.message] };
  }
}
