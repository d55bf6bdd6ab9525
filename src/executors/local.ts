/**
 * @file Running tasks on this machine: in this thread, and in worker threads beside it where there is enough to do. All of
 * them take the next task from one counter in shared memory, so that none waits for a busy thread.
 */
import { availableParallelism } from "node:os";
import { isBuilt } from "../built-module.js";
import { receiveError, type SentError } from "./sent-error.js";
import { openPlan, type PlannedTask, type RunTask, type TaskEvents, type TaskPlan } from "./tasks.js";
import { WorkerPool } from "./worker-pool.js";

/** What a worker is asked: tasks of this list until the counter is past its end. */
export interface StageOrder {
  readonly stage: string;
  readonly tasks: readonly PlannedTask[];
  /** One integer in shared memory: the index of the next task that nobody has taken. */
  readonly next: Int32Array;
}

/** What it reports of a task, by its index in the list. */
export type TaskMessage =
  | { readonly started: number }
  | { readonly progress: number; readonly done: number }
  | { readonly finished: number; readonly result: unknown }
  | { readonly failed: number; readonly error: SentError };

/** Worker threads for the tasks of one plan. */
export type TaskPool = WorkerPool<StageOrder, undefined, TaskMessage>;

export interface LocalOptions {
  /** Loads the plan's task kind into this thread. Default: as the plan says. */
  readonly open?: () => Promise<RunTask>;
  /** Threads at most, this one among them. Default: as many as there are cores. */
  readonly workers?: number;
  readonly events?: TaskEvents;
  readonly signal?: AbortSignal;
  /** Keeps this thread free where there are others, for tasks that run for seconds without a pause. */
  readonly apart?: boolean;
  /** Threads that outlive the stage, of the same plan; the caller closes them. Default: the stage's own. */
  readonly pool?: TaskPool;
}

/** Worker threads of a plan, started when a stage first wants them: starting them takes longer than many a stage. */
export function taskPool(plan: TaskPlan): TaskPool {
  return new WorkerPool({ module: new URL("./task-worker.js", import.meta.url), setup: plan, threads: 0 });
}

/**
 * Runs tasks of one stage. Throws the first error unless `events.failed` takes it, and the signal's reason when that aborts;
 * either ends the worker threads at once.
 * @param plan `{ ...plan, stages: [] }` will do for tasks that need to know only themselves, where the list is long
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
  // The largest first, so that none of them is left over when the others have ended.
  const list = threads > 1 ? tasks.toSorted((a, b) => b.bytes - a.bytes) : tasks;
  const order: StageOrder = { stage, tasks: list, next: new Int32Array(new SharedArrayBuffer(4)) };
  // The caller's abort, or the first error of any thread.
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

/** Tasks in this thread, until none is left. */
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

/** What a worker reports, to the caller; an error that nobody takes stops the stage. */
function report(message: TaskMessage, { stage, tasks }: StageOrder, events: TaskEvents, stop: AbortController): void {
  if ("started" in message) events.started?.(stage, tasks[message.started]);
  else if ("progress" in message) events.progress?.(stage, tasks[message.progress], message.done);
  else if ("finished" in message) events.finished?.(stage, tasks[message.finished], message.result);
  else if (events.failed !== undefined) events.failed(stage, tasks[message.failed], receiveError(message.error));
  else stop.abort(receiveError(message.error));
}
