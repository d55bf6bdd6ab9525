/**
 * @file What executors run. A plan is plain data: stages of tasks, which any process on any machine can read from a file. A
 * task kind is the code of the tasks. A module of Quern or of a user exports it, and the plan names that module, so
 * executors import no task kind. Tasks are pure functions of the plan: where they run, how often, and in which order
 * within a stage does not matter.
 */
import type { z } from "zod";
import { moduleName, moduleUrl } from "../built-module.js";
import { QuernError } from "../errors.js";

export interface PlannedTask {
  /** Unique in its stage; names its files. */
  readonly name: string;
  /** Bytes of input, for progress and to run large tasks first; 0 if unknown. */
  readonly bytes: number;
}

export interface Stage {
  readonly name: string;
  /** Earlier stages whose tasks must all be finished first. */
  readonly after: readonly string[];
  readonly tasks: readonly PlannedTask[];
}

export interface TaskPlan<Config = unknown> {
  /** The name of the task kind. */
  readonly kind: string;
  /** The module that exports the kind, by its `moduleName`. */
  readonly module: string;
  /** Output folder of all tasks. */
  readonly out: string;
  /** Configuration shared by all tasks; JSON. */
  readonly config: Config;
  /** In order: each stage comes after the stages that it needs. */
  readonly stages: readonly Stage[];
}

export interface TaskContext {
  readonly signal?: AbortSignal;
  /** Called with the number of documents (or rows, steps, …) that the task has done. */
  readonly onProgress?: (done: number) => void;
}

/** Runs one task. Resolves to its result (plain data) after all its files are complete. */
export type RunTask = (stage: string, task: PlannedTask, context?: TaskContext) => Promise<unknown>;

/** A kind of task: a name, the module that exports it, a schema of its input, and the code. */
export interface TaskKind<Config = unknown> {
  readonly name: string;
  /** `import.meta.url` of the module that exports this kind. */
  readonly module: string;
  /** Checks a plan's `config`, which a process on another machine reads from a file. */
  readonly config: z.ZodType<Config>;
  /** Prepares a process for tasks, for example by loading a recipe. @throws QuernError if it differs from the planned one */
  open(plan: TaskPlan<Config>): Promise<RunTask>;
  /** Reads the result of a finished task from its files; undefined if the task is unfinished or its files incomplete. */
  finished(plan: TaskPlan<Config>, stage: string, task: PlannedTask): Promise<unknown>;
}

/**
 * Defines a kind of task. Its module must export it, and on a cluster all machines must find the module under the same path.
 *
 *     export const sweep = defineTasks({ name: "sweep", module: import.meta.url, config: schema, open, finished });
 *     await runPlan(planOf(sweep, { out, config, stages }), { workers: 4 });
 */
export function defineTasks<Config>(kind: TaskKind<Config>): TaskKind<Config> {
  return kind;
}

/** Builds a plan for tasks of a kind. */
export function planOf<Config>(
  { name, module }: TaskKind<Config>,
  plan: Pick<TaskPlan<Config>, "out" | "config" | "stages">,
): TaskPlan<Config> {
  return { kind: name, module: moduleName(module), ...plan };
}

/** Callbacks for task progress. */
export interface TaskEvents {
  readonly started?: (stage: string, task: PlannedTask) => void;
  readonly progress?: (stage: string, task: PlannedTask, done: number) => void;
  readonly finished?: (stage: string, task: PlannedTask, result: unknown) => void;
  /** If given, a failing task does not stop the others. */
  readonly failed?: (stage: string, task: PlannedTask, error: Error) => void;
}

/**
 * Loads the kind of a plan's tasks from the module that the plan names.
 *
 * @throws QuernError (exit code 2) if the module cannot be loaded or exports no such kind, or the plan's config is invalid
 */
export async function kindOf(plan: TaskPlan): Promise<TaskKind> {
  const { kind, module } = plan;
  const wrong = (why: string, cause?: unknown) =>
    new QuernError(`the tasks "${kind}" cannot run: ${why}`, { exitCode: 2, cause });
  let exported: Record<string, unknown>;
  try {
    exported = await import(/* @vite-ignore */ moduleUrl(module));
  } catch (error) {
    throw wrong(`their module ${module} cannot be loaded (${(error as Error).message.split("\n")[0]})`, error);
  }
  const found = Object.values(exported).find(
    (value): value is TaskKind =>
      typeof value === "object" && value !== null && "open" in value && "name" in value && value.name === kind,
  );
  if (found === undefined) throw wrong(`their module ${module} exports no such kind`);
  const checked = found.config.safeParse(plan.config);
  if (checked.success) return found;
  const [{ path, message }] = checked.error.issues;
  throw wrong(`the plan's config${path.map((key) => `.${String(key)}`).join("")} is invalid (${message})`);
}

/** Prepares this process for the tasks of a plan. @throws as `kindOf` does */
export async function openPlan(plan: TaskPlan): Promise<RunTask> {
  return (await kindOf(plan)).open(plan);
}
