/** @file Loads a user's task file in TypeScript or JavaScript. */

import { statSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve } from "node:path";
import { QuernError } from "../../../errors.js";
import { quoted } from "../../../printable.js";
import { userPlace } from "../../../user-place.js";
import type { TaskFile } from "../task-files.js";
import { keysOfTypedGroup, keysOfTypedTask } from "./task-keys.js";
import { defineGroup, defineTask, type TypedGroup, type TypedTask } from "./typed-task.js";

/** A task or group of a module, as the registry holds it. */
export interface TypedEntry {
  readonly name: string;
  readonly kind: "task" | "group";
  readonly file: TaskFile;
}

/** Whether a name of `--tasks` is a TypeScript or JavaScript file. */
export const isTaskModule = (name: string): boolean => /\.[cm]?[jt]s$/.test(name);

/**
 * Imports a file and returns what it exports: the default export, or `task`, `tasks` or `group`. The tasks of a group come
 * before it.
 * @throws QuernError that names the file, and the line if its own code fails
 */
export function loadTaskModule(path: string): readonly TypedEntry[] {
  if (!(statSync(resolve(path), { throwIfNoEntry: false })?.isFile() ?? false)) {
    throw new QuernError(`there is no task file ${path}`, { exitCode: 2 });
  }
  const { createJiti } = createRequire(import.meta.url)("jiti") as typeof import("jiti");
  // Imports of quern/eval are this running program's, however it was installed.
  const virtualModules = { "quern/eval": { defineTask, defineGroup, QuernError } };
  const load = createJiti(import.meta.url, {
    fsCache: false,
    moduleCache: false,
    interopDefault: false,
    virtualModules,
  });
  let exported: Readonly<Record<string, unknown>>;
  try {
    exported = load(resolve(path)) as typeof exported;
  } catch (error) {
    throw new QuernError(loadFault(error, path), { exitCode: 2, cause: error });
  }
  const found = [exported.default ?? exported.task ?? exported.tasks ?? exported.group ?? exported].flat() as unknown[];
  if (!found.every(isTyped)) {
    const names = Object.keys(exported).filter((key) => key !== "__esModule");
    throw new QuernError(
      `the task file ${path} exports no task; export default defineTask({ … })` +
        `${names.length === 0 ? "" : ` (it exports ${names.join(", ")})`}`,
      { exitCode: 2 },
    );
  }
  return found.flatMap((item) => entriesOf(item, path));
}

/** Returns the entries of a task, or of a group and its tasks. */
export function entriesOf(item: TypedTask | TypedGroup, path: string): readonly TypedEntry[] {
  const fileOf = (keys: TaskFile["keys"]): TaskFile => ({ path, keys, places: new Map() });
  if (item.kind === "task") {
    const keys = keysOfTypedTask(item.definition, path);
    return [{ name: String(keys.task), kind: "task", file: fileOf(keys) }];
  }
  const { tasks } = item.definition;
  if (!Array.isArray(tasks) || !tasks.every((task) => isTyped(task) && task.kind === "task")) {
    throw new QuernError(
      `tasks of the group ${quoted(String(item.definition.name))} in ${path} must be made by defineTask`,
      {
        exitCode: 2,
      },
    );
  }
  const members = (tasks as readonly TypedTask[]).flatMap((task) => entriesOf(task, path));
  const keys = keysOfTypedGroup(
    item.definition,
    members.map(({ name }) => name),
    path,
  );
  return [...members, { name: String(keys.group), kind: "group", file: fileOf(keys) }];
}

function isTyped(value: unknown): value is TypedTask | TypedGroup {
  if (typeof value !== "object" || value === null) return false;
  const { kind, definition } = value as { kind?: unknown; definition?: unknown };
  return (kind === "task" || kind === "group") && typeof definition === "object" && definition !== null;
}

function loadFault(error: unknown, path: string): string {
  const message = (error instanceof Error ? error.message : String(error)).split("\n")[0];
  return `the task file ${path} cannot be loaded: ${quoted(message)} (${userPlace(error, path) ?? path})`;
}
