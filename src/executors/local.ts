/**
 * @file Runs tasks on this machine, in this thread and in worker threads. All threads take the next task from a counter in
 * shared memory, so no task waits for a busy thread.
 */
import { availableParallelism } from "node:os";
import { isBuilt } from "../built-module.js";
import { receiveError, type SentError } from "./sent-error.js";
import { openPlan, type PlannedTask, type RunTask, type TaskEvents, type TaskPlan } from "./tasks.js";
import { WorkerPool } from "./worker-pool.js";

/** The request to a worker: run tasks of this list until the counter passes its end. */
export interface StageOrder {
  readonly stage: string;
  readonly tasks: readonly PlannedTask[];
  /** One integer in shared memory: the index of the next unclaimed task. */
  readonly next: Int32Array;
}

/** A worker's report on a task, given by its index in the list. */
export type TaskMessage =
  | { readonly started: number }
  | { readonly progress: number; readonly done: number }
  | { readonly finished: number; readonly result: unknown }
  | { readonly failed: number; readonly error: SentError };

/** Worker threads for the tasks of one plan. */
export type TaskPool = WorkerPool<StageOrder, undefined, TaskMessage>;

export interface LocalOptions {
  /** Loads the task kind into this thread. Default: imports the module that the plan names. */
  readonly open?: () => Promise<RunTask>;
  /** Maximum threads, including this one. Default: the number of cores. */
  readonly workers?: number;
  readonly events?: TaskEvents;
  readonly signal?: AbortSignal;
  /** Runs no task in this thread if there are others; for tasks that block a thread for seconds. */
  readonly apart?: boolean;
  /** Threads of the same plan that outlive the stage; the caller closes them. Default: threads for this stage only. */
  readonly pool?: TaskPool;
}

/** Creates a pool for a plan. Threads start when a stage first needs them and are then reused, since starting is slow. */
export function taskPool(plan: TaskPlan): TaskPool {
  return new WorkerPool({ module: new URL("./task-worker.js", import.meta.url), setup: plan, threads: 0 });
}

/**
 * Runs tasks of one stage. An error or an abort ends the worker threads at once.
 *
 * @param plan pass `{ ...plan, stages: [] }` if the list is long and tasks do not need other tasks' data
 * @throws the first task's error unless `events.failed` is given, or the signal's reason
 */
export async function runLocally(
  plan: TaskPlan,
  stage: string,
  tasks: readonly PlannedTask[],
  { open = () => openPlan(plan), workers, events = {}, signal, apart = false, pool: given }: LocalOptions = {},
): Promise<void> {
  signal?.throwIfAborted();
  if (tasks.length === 0) return;
  const threads = isBuilt() ? Math.min(workers ?? availableParallelism(), tasks.length) : 1;
  // Largest first, so that no large task starts last.
  const list = threads > 1 ? tasks.toSorted((a, b) => b.bytes - a.bytes) : tasks;
  const order: StageOrder = { stage, tasks: list, next: new Int32Array(new SharedArrayBuffer(4)) };
  // Aborts on the caller's signal or on the first error of any thread.
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const pool = threads > 1 ? (given ?? taskPool(plan)) : undefined;
  either.addEventListener("abort", () => void pool?.end(either.reason), { once: true });
  try {
    const here = !apart || threads === 1;
    const others = here ? threads - 1 : threads;
    pool?.grow(others);
    const onMessage = (message: TaskMessage) => report(message, order, events, stop);
    const work: (Promise<unknown> | undefined)[] = [];
    for (let index = 0; index < others; index++) work.push(pool?.runOn(index, order, { onMessage }));
    if (here) work.push(runHere(order, open, events, either));
    await Promise.all(work.map((one) => one?.catch((error: unknown) => stop.abort(error))));
    signal?.throwIfAborted();
    if (stop.signal.aborted) throw stop.signal.reason;
  } finally {
    if (given === undefined) await pool?.close();
  }
}

/** Runs tasks in this thread until none is left. */
async function runHere(
  { stage, tasks, next }: StageOrder,
  open: () => Promise<RunTask>,
  events: TaskEvents,
  signal: AbortSignal,
): Promise<void> {
  const run = await open();
  for (let index = Atomics.add(next, 0, 1); index < tasks.length; index = Atomics.add(next, 0, 1)) {
    const task = tasks[index];
    signal.throwIfAborted();
    events.started?.(stage, task);
    try {
      const onProgress = (done: number) => events.progress?.(stage, task, done);
      const result = await run(stage, task, { signal, onProgress });
      events.finished?.(stage, task, result);
    } catch (error) {
      if (events.failed === undefined || signal.aborted || !(error instanceof Error)) throw error;
      events.failed(stage, task, error);
    }
  }
}

/** Forwards a worker's report to the caller's events. An error without a handler stops the stage. */
function report(message: TaskMessage, { stage, tasks }: StageOrder, events: TaskEvents, stop: AbortController): void {
  if ("started" in message) events.started?.(stage, tasks[message.started]);
  else if ("progress" in message) events.progress?.(stage, tasks[message.progress], message.done);
  else if ("finished" in message) events.finished?.(stage, tasks[message.finished], message.result);
  else if (events.failed !== undefined) events.failed(stage, tasks[message.failed], receiveError(message.error));
  else stop.abort(receiveError(message.error));
}
