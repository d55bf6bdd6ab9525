/** @file Runs a plan with the chosen executor. */
import { type ExecutorSettings, executorSettings } from "./executor-options.js";
import { runLocally } from "./local.js";
import { refuseLiveJobs } from "./slurm/journal.js";
import { type ClusterStatus, runOnSlurm } from "./slurm/slurm.js";
import { kindOf, type PlannedTask, type RunTask, type TaskEvents, type TaskPlan } from "./tasks.js";

export interface RunPlanOptions {
  /** Default: threads of this process. */
  readonly settings?: ExecutorSettings;
  /** Whether a task is finished and can be skipped. Default: asks the task kind when the run begins. */
  readonly isFinished?: (stage: string, task: PlannedTask) => boolean;
  /** Called before the first task of a run that starts from scratch. */
  readonly begin?: () => Promise<void>;
  /** Loads the task kind into this thread. Default: imports the module that the plan names. */
  readonly open?: () => Promise<RunTask>;
  /** Maximum threads of this machine, including this one. Default: the number of cores. */
  readonly workers?: number;
  /** Runs no task in this thread if there are others; for tasks that block a thread for seconds. */
  readonly apart?: boolean;
  readonly events?: TaskEvents;
  readonly onStatus?: (status: ClusterStatus) => void;
  /** Called with one line for the user, such as a submitted job, or a lost task with the reason. */
  readonly onNotice?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Runs the unfinished tasks, stage after stage. @throws as `runLocally` and `runOnSlurm` do */
export async function runPlan(plan: TaskPlan, options: RunPlanOptions = {}): Promise<void> {
  const settings = options.settings ?? executorSettings({});
  const isFinished = options.isFinished ?? (await finishedTasks(plan));
  if (settings.executor === "slurm") return runOnSlurm(plan, { ...options, settings, isFinished });
  await refuseLiveJobs(plan.out);
  await options.begin?.();
  for (const { name, tasks } of plan.stages) {
    const waiting = tasks.filter((task) => !isFinished(name, task));
    // One of many tasks needs only its own data. A stage's only task may need the whole plan, and runs in this thread.
    await runLocally(waiting.length > 1 ? { ...plan, stages: [] } : plan, name, waiting, options);
  }
}

/** Finds the tasks of a plan that are already finished. */
async function finishedTasks(plan: TaskPlan): Promise<(stage: string, task: PlannedTask) => boolean> {
  const kind = await kindOf(plan);
  const finished = new Set<string>();
  const key = (stage: string, { name }: PlannedTask) => `${stage}/${name}`;
  for (const { name, tasks } of plan.stages) {
    for (const task of tasks) if ((await kind.finished(plan, name, task)) !== undefined) finished.add(key(name, task));
  }
  return (stage, task) => finished.has(key(stage, task));
}
