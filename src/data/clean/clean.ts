/**
 * @file Cleaning: runs inputs through a recipe and writes a folder of documents with its funnel. A killed run resumes after
 * its finished tasks. A run with another recipe, input or option starts over.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, nothingRead, type OutputLayout, type ReadReport, withOutput } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import {
  checkExecutor,
  type PlannedJob,
  type PlannedTask,
  planSlurm,
  type RunTask,
  runPlan,
  type TaskEvents,
} from "../../executors/index.js";
import { checkOptions } from "../../options.js";
import type { OnProgress } from "../../progress.js";
import type { Funnel } from "../funnel/funnel.js";
import type { TaskManifest } from "../funnel/manifest.js";
import { loadRecipe, recipeIdentity } from "../recipes/load-recipe.js";
import { defineRecipe, type Recipe } from "../recipes/recipe.js";
import { planTasks, type Task, type TaskConfig } from "../tasks.js";
import { type CleanInput, cleanOptions } from "./clean-options.js";
import { type CleanPlanData, cleanPlanData, cleanTasks, runWith } from "./clean-tasks.js";
import { finishedTask, runTask } from "./run-task.js";
import { readFunnel } from "./write-funnel.js";

/** The files that cleaning writes. */
export const cleanLayout: OutputLayout = {
  writes: (path) =>
    /^((manifest|funnel)\.json|report\.html|(documents|(dropped|notes)\/[^/]+)\/\d{5,}\.jsonl|tasks\/\d{5,}\.json|cluster\/.+)$/.test(
      path,
    ),
  folders: /^(documents|dropped|notes|tasks|cluster)$/,
};

export interface CleanOptions extends Omit<CleanInput, "recipe"> {
  /** A file, a name, or a recipe object. An object runs in this thread, as functions cannot be sent to others. */
  readonly recipe?: string | Recipe;
  readonly signal?: AbortSignal;
  readonly onProgress?: OnProgress;
  /** On a cluster: called with a line for each submitted job and each lost task. */
  readonly onNotice?: (line: string) => void;
  /** Bytes of plain JSONL per task. Default: a 32nd of the input, 2 to 64 MiB. */
  readonly stretch?: number;
}

export interface CleanPlan {
  readonly recipe: Recipe;
  readonly tasks: readonly Task[];
  /** Tasks finished by an earlier run. */
  readonly finished: number;
  readonly bytes: number;
  /** What was skipped when the inputs were listed. */
  readonly unread: ReadReport;
}

export interface CleanResult {
  readonly out: string;
  readonly funnel: Funnel;
  readonly plan: CleanPlan;
  /** Tasks run by this call. */
  readonly ran: number;
  readonly report: string;
}

interface Prepared {
  readonly plan: CleanPlan;
  readonly work: CleanPlanData;
  readonly config: TaskConfig;
  readonly finished: Map<string, TaskManifest>;
  readonly settings: ReturnType<typeof check>;
  readonly isFinished: (stage: string, task: PlannedTask) => boolean;
}

function check({ recipe, signal: _, onProgress: __, onNotice: ___, stretch: ____, ...options }: CleanOptions) {
  const settings = checkOptions(cleanOptions.omit({ recipe: true }), options);
  checkExecutor(settings);
  if (settings.executor !== "local") {
    const local = `the executor "${settings.executor}"`;
    if (typeof recipe === "object") {
      throw new QuernError(`${local} needs the recipe as a file or a name: functions cannot be sent`, { exitCode: 2 });
    }
    // The limit is shared: each task gets what the earlier tasks left of it, so tasks cannot run on separate machines.
    if (settings.limit !== undefined)
      throw new QuernError(`${local} does not support limit; use sample`, { exitCode: 2 });
    if (settings.workers !== undefined) throw new QuernError(`${local} takes cpus, not workers`, { exitCode: 2 });
  }
  return settings;
}

/** Plans a run. Writes nothing. @throws QuernError as `clean` does */
export async function planClean(options: CleanOptions): Promise<CleanPlan> {
  return (await prepare(options)).plan;
}

async function prepare(options: CleanOptions): Promise<Prepared> {
  const settings = check(options);
  const file = typeof options.recipe === "string" || options.recipe === undefined ? options.recipe : undefined;
  const recipe = typeof options.recipe === "object" ? defineRecipe(options.recipe) : await loadRecipe(file);
  const config: TaskConfig = {
    ...(file === undefined ? {} : { recipe: file }),
    identity: await recipeIdentity(recipe, file),
    out: settings.out,
    keepDropped: settings.keepDropped,
    ...(settings.sample === undefined ? {} : { sample: settings.sample }),
    ...(settings.limit === undefined ? {} : { limit: settings.limit }),
    largest: settings.largest,
    ...(settings.textField === "text" ? {} : { textField: settings.textField }),
    ...(settings.strict ? { strict: true } : {}),
  };
  const { tasks, unread } = await planTasks(settings.inputs, config, options);
  if (tasks.length === 0) {
    throw nothingRead(settings.inputs, unread);
  }
  const finished = new Map<string, TaskManifest>();
  for (const task of tasks) {
    const manifest = await finishedTask(task, settings.out);
    if (manifest !== undefined) finished.set(task.name, manifest);
  }
  const bytes = tasks.reduce((sum, task) => sum + task.bytes, 0);
  const work = cleanPlanData(tasks, { task: config, inputs: settings.inputs, unread });
  const funnel =
    finished.size === tasks.length ? await cleanTasks.finished(work, "funnel", work.stages[1].tasks[0]) : undefined;
  const isFinished = (stage: string, { name }: PlannedTask) =>
    stage === "clean" ? known.has(name) : funnel !== undefined;
  const known = new Set(finished.keys());
  return {
    isFinished,
    settings,
    config,
    finished,
    work,
    plan: { recipe, tasks, finished: finished.size, bytes, unread },
  };
}

/** Returns the jobs that `clean` would submit to Slurm. Writes nothing. */
export async function planCleanOnSlurm(options: CleanOptions): Promise<PlannedJob[]> {
  const { work, settings, isFinished } = await prepare({ ...options, executor: "slurm" });
  return planSlurm(work, settings, isFinished);
}

/**
 * Cleans inputs. Writes `documents/`, `dropped/<step>/` on request, `tasks/`, `manifest.json`, `funnel.json` and
 * `report.html` under `out`. Throws a `QuernError` for wrong options, a wrong recipe, missing inputs, or a folder that
 * cannot be written; faults inside an input are only counted. Throws the signal's reason when aborted;
 * the next call resumes.
 */
export async function clean(options: CleanOptions): Promise<CleanResult> {
  return withOutput(claimOf(check(options)), () => cleanInto(options));
}

// Finished tasks of the same recipe and input are kept even with `force`: redoing them would write the same bytes.
const claimOf = ({ out, inputs, force }: ReturnType<typeof check>) =>
  ({ verb: "data clean", out, inputs, layout: cleanLayout, force, replace: "reuse" }) as const;

/** Does the work of `clean` in a folder that the caller has claimed. */
export async function cleanInto(options: CleanOptions): Promise<CleanResult> {
  const { signal, onProgress } = options;
  const { plan, work, config, finished, isFinished, settings } = await prepare(options);
  const { tasks, recipe } = plan;
  const waiting = tasks.filter(({ name }) => !finished.has(name));

  const running = new Map<string, number>();
  let status = "";
  let documents = 0;
  let doneBytes = plan.bytes - waiting.reduce((sum, task) => sum + task.bytes, 0);
  const report = () => {
    const now = documents + [...running.values()].reduce((sum, count) => sum + count, 0);
    onProgress?.({
      task: "clean",
      done: doneBytes,
      total: plan.bytes,
      unit: "byte",
      note: `${now} documents${status}`,
    });
  };
  const events: TaskEvents = {
    progress: (stage, task, count) => {
      if (stage !== "clean") return;
      running.set(task.name, count);
      report();
    },
    finished: (stage, task, result) => {
      if (stage !== "clean") return;
      const manifest = result as TaskManifest;
      finished.set(task.name, manifest);
      running.delete(task.name);
      documents += manifest.read;
      doneBytes += task.bytes;
      report();
    },
  };
  const begin = () => sweep(config.out, tasks, finished, config.keepDropped);
  await runPlan(work, {
    settings,
    // Locally the funnel is always rewritten, which takes no time.
    isFinished: (stage, task) => (settings.executor !== "local" || stage === "clean") && isFinished(stage, task),
    begin,
    open: async () =>
      config.limit === undefined ? runWith(recipe, work) : limited(config.limit, work, recipe, finished),
    // Functions cannot be sent to a thread, and a limit needs the tasks in order.
    workers: typeof options.recipe === "object" || config.limit !== undefined ? 1 : settings.workers,
    events,
    onStatus: ({ queued, running, retried }) => {
      status = `, ${running} running, ${queued} queued${retried === 0 ? "" : `, ${retried} retried`}`;
      report();
    },
    onNotice: options.onNotice,
    signal,
  });
  // Removes the unfinished files of lost machines.
  if (settings.executor !== "local") await begin();
  const funnel = await readFunnel(config.out);
  if (funnel.reading.read.documents === 0) throw nothingRead(settings.inputs, funnel.reading);
  return { out: config.out, funnel, plan, ran: waiting.length, report: join(config.out, "report.html") };
}

/** Runs tasks with a shared limit: each task gets what the earlier ones left of it. */
function limited(
  limit: number,
  plan: CleanPlanData,
  recipe: Recipe,
  finished: ReadonlyMap<string, TaskManifest>,
): RunTask {
  const { task: config } = plan.config;
  const run = runWith(recipe, plan);
  return (stage, task, context) => {
    if (stage !== "clean") return run(stage, task, context);
    let read = 0;
    for (const [name, manifest] of finished) if (name < task.name) read += manifest.read;
    return runTask(task as Task, { ...config, limit: Math.max(0, limit - read) }, recipe, context);
  };
}

/** Removes files that do not belong to this run: those of tasks that will run (again) or no longer exist. */
async function sweep(
  out: string,
  tasks: readonly Task[],
  finished: ReadonlyMap<string, TaskManifest>,
  keepDropped: boolean,
): Promise<void> {
  try {
    await makeFolder(out);
    const known = new Set(tasks.filter(({ name }) => finished.has(name)).map(({ name }) => name));
    // Manifests first: a task without one counts as unfinished, whatever else is there.
    const folders = ["tasks", "documents"];
    const dropped = await readdir(join(out, "dropped")).catch(() => []);
    const noted = await readdir(join(out, "notes")).catch(() => []);
    folders.push(...noted.map((step) => join("notes", step)));
    if (!keepDropped) await rm(join(out, "dropped"), { recursive: true, force: true });
    else folders.push(...dropped.map((step) => join("dropped", step)));
    const written = new Set([...finished.values()].flatMap(({ files }) => files.map(({ path }) => path)));
    for (const folder of folders) {
      for (const name of await readdir(join(out, folder)).catch(() => [])) {
        const path = `${folder.replaceAll("\\", "/")}/${name}`;
        const ours = folder === "tasks" ? known.has(name.replace(/\.json$/, "")) : written.has(path);
        if (!ours) await rm(join(out, folder, name), { recursive: true, force: true });
      }
    }
    // An older funnel must not be mistaken for this run's while it is running.
    for (const name of ["funnel.json", "report.html", "manifest.json"]) {
      if (finished.size < tasks.length) await rm(join(out, name), { force: true });
    }
    await mkdir(join(out, "documents"), { recursive: true });
  } catch (error) {
    throw fileError(error, "write", out);
  }
}
