/** @file A plan through the executor that was chosen. */
import { type ExecutorSettings, executorSettings } from "./executor-options.js";
import { runLocally } from "./local.js";
import { refuseLiveJobs } from "./slurm/journal.js";
import { type ClusterStatus, runOnSlurm } from "./slurm/slurm.js";
import { kindOf, type PlannedTask, type RunTask, type TaskEvents, type TaskPlan } from "./tasks.js";

export interface RunPlanOptions {
  /** Default: threads of this process. */
  readonly settings?: ExecutorSettings;
  /** Whether a task need not run. Default: what the task kind finds finished when the run begins. */
  readonly isFinished?: (stage: string, task: PlannedTask) => boolean;
  /** Called before the first task of a run that begins anew. */
  readonly begin?: () => Promise<void>;
  /** Loads the task kind into this thread. Default: as the plan says. */
  readonly open?: () => Promise<RunTask>;
  /** Threads of this machine at most, this one among them. Default: as many as there are cores. */
  readonly workers?: number;
  readonly events?: TaskEvents;
  readonly onStatus?: (status: ClusterStatus) => void;
  /** Called with a line for a person: a job was submitted, a task was lost and why. */
  readonly onNotice?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** Runs what is not finished, stage after stage. Throws as `runLocally` and `runOnSlurm` do. */
export async function runPlan(plan: TaskPlan, options: RunPlanOptions = {}): Promise<void> {
  const settings = options.settings ?? executorSettings({});
  const isFinished = options.isFinished ?? (await finishedTasks(plan));
  if (settings.executor === "slurm") return runOnSlurm(plan, { ...options, settings, isFinished });
  await refuseLiveJobs(plan.out);
  await options.begin?.();
  for (const { name, tasks } of plan.stages) {
    const waiting = tasks.filter((task) => !isFinished(name, task));
    // A task of many needs to know only itself; the one of a stage may need all before it, and runs in this thread.
    await runLocally(waiting.length > 1 ? { ...plan, stages: [] } : plan, name, waiting, options);
  }
}

/** The tasks of a plan that are finished now. */
async function finishedTasks(plan: TaskPlan): Promise<(stage: string, task: PlannedTask) => boolean> {
  const kind = await kindOf(plan);
  const finished = new Set<string>();
  const key = (stage: string, { name }: PlannedTask) => `${stage}/${name}`;
  for (const { name, tasks } of plan.stages) {
    for (const task of tasks) if ((await kind.finished(plan, name, task)) !== undefined) finished.add(key(name, task));
  }
  return (stage, task) => finished.has(key(stage, task));
}
