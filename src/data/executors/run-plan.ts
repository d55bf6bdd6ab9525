/** @file A plan through the executor that was chosen. */
import { QuernError } from "../../errors.js";
import type { ExecutorSettings } from "./executor-options.js";
import { runLocally } from "./local.js";
import { refuseLiveJobs } from "./slurm/earlier-jobs.js";
import type { ClusterStatus } from "./slurm/run-state.js";
import { runOnSlurm } from "./slurm/slurm.js";
import type { RunTask, TaskEvents, WorkPlan, WorkTask } from "./work.js";

export interface RunPlanOptions {
  /** Of the executors `local` and `slurm`; Kubernetes runs what `kubernetesJobs` writes. */
  readonly settings: ExecutorSettings;
  readonly isFinished: (stage: string, task: WorkTask) => boolean;
  /** Called before the first task of a run that begins anew. */
  readonly begin: () => Promise<void>;
  /** Loads the program into this thread. */
  readonly open: () => Promise<RunTask>;
  /** Worker threads here. */
  readonly workers?: number;
  readonly events: TaskEvents;
  readonly onStatus?: (status: ClusterStatus) => void;
  readonly onNotice?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** What pods do is seen by what they leave. */
function refuseUnfinished({ stages }: WorkPlan, { isFinished }: RunPlanOptions): void {
  for (const { name, tasks } of stages) {
    const left = tasks.filter((task) => !isFinished(name, task)).length;
    if (left > 0)
      throw new QuernError(`${left} of ${tasks.length} tasks of ${name} are not finished; let their job run`);
  }
}

/** Runs what is not finished, stage after stage. Throws as `runLocally` and `runOnSlurm` do. */
export async function runPlan(plan: WorkPlan, options: RunPlanOptions): Promise<void> {
  if (options.settings.executor === "slurm") return runOnSlurm(plan, options);
  if (options.settings.executor === "kubernetes") return refuseUnfinished(plan, options);
  await refuseLiveJobs(plan.out);
  await options.begin();
  for (const { name, tasks } of plan.stages) {
    const waiting = tasks.filter((task) => !options.isFinished(name, task));
    // A task of many asks only for itself; the one of a stage may ask for all before it, and runs in this thread.
    await runLocally({ ...plan, stages: [] }, name, waiting, options);
  }
}
