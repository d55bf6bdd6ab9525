/** @file A worker thread of a plan: takes tasks of a stage from the shared counter until none is left. */
import type { StageOrder, TaskMessage } from "./local.js";
import { sendError } from "./sent-error.js";
import { openPlan, type TaskPlan } from "./tasks.js";
import type { Answer } from "./worker-pool.js";

export function openWorker(plan: TaskPlan): Answer<StageOrder, undefined, TaskMessage> {
  const opened = openPlan(plan);
  // A loading error, such as an invalid recipe, is reported by the first task.
  opened.catch(() => {});
  return async ({ stage, tasks, next }, send) => {
    for (let index = Atomics.add(next, 0, 1); index < tasks.length; index = Atomics.add(next, 0, 1)) {
      send({ started: index });
      try {
        const run = await opened;
        const onProgress = (done: number) => send({ progress: index, done });
        send({ finished: index, result: await run(stage, tasks[index], { onProgress }) });
      } catch (error) {
        send({ failed: index, error: sendError(error) });
      }
    }
    return { result: undefined };
  };
}
