/** @file What a worker thread does with a plan: takes tasks of a stage from the shared counter until none is left. */
import type { StageOrder, TaskMessage } from "./local.js";
import { sendError } from "./sent-error.js";
import { openPlan, type TaskPlan } from "./tasks.js";
import type { Answer } from "./worker-pool.js";

export function openWorker(plan: TaskPlan): Answer<StageOrder, undefined, TaskMessage> {
  const opened = openPlan(plan);
  // A recipe that does not load is reported with the first task.
  opened.catch(() => {});
  return async ({ stage, tasks, next }, tell) => {
    for (let index = Atomics.add(next, 0, 1); index < tasks.length; index = Atomics.add(next, 0, 1)) {
      tell({ started: index });
      try {
        const run = await opened;
        const onProgress = (done: number) => tell({ progress: index, done });
        tell({ finished: index, result: await run(stage, tasks[index], { onProgress }) });
      } catch (error) {
        tell({ failed: index, error: sendError(error) });
      }
    }
    return { result: undefined };
  };
}
