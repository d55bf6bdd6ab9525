/**
 * @file Running tasks here: in this thread, and in worker threads beside it where there is enough to do. All of them take the
 * next task from one counter in shared memory, so that none waits for a thread that is at work.
 */
import { readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { QuernError } from "../../errors.js";
import type { RunTask, TaskEvents, WorkPlan, WorkTask } from "./work.js";

/** What a worker is asked: tasks of this list until the counter is past its end. */
export interface StageOrder {
  readonly stage: string;
  readonly tasks: readonly WorkTask[];
  /** One integer in shared memory: the place of the task that nobody has taken yet. */
  readonly next: Int32Array;
}

/** What it says of a task, by its place in the list, and at last that it takes no more. */
export type WorkerReply =
  | { readonly started: number }
  | { readonly progress: number; readonly documents: number }
  | { readonly finished: number; readonly result: unknown }
  | { readonly failed: number; readonly error: string; readonly refused: boolean }
  | { readonly idle: true };

export interface LocalOptions {
  /** Loads the program into this thread. */
  readonly open: () => Promise<RunTask>;
  /** Threads at most, this one among them. Default: as many as there are cores. */
  readonly workers?: number;
  readonly events: TaskEvents;
  readonly signal?: AbortSignal;
  /** Keeps this thread free where there are others, for tasks that go on for seconds without a pause. */
  readonly apart?: boolean;
  /** Threads that outlive the stage, of the same plan; the caller closes them. Default: the stage's own. */
  readonly team?: WorkerTeam;
}

/** Worker threads of a plan, started when a stage first wants them: a start takes longer than many a stage. */
export class WorkerTeam {
  readonly #plan: WorkPlan;
  readonly #threads: Worker[] = [];

  constructor(plan: WorkPlan) {
    this.#plan = plan;
  }

  take(count: number): readonly Worker[] {
    const file = workerFile();
    if (file === undefined) throw new Error("the worker is not built");
    while (this.#threads.length < count) this.#threads.push(new Worker(file, { workerData: this.#plan }));
    return this.#threads.slice(0, count);
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((worker) => worker.terminate()));
  }
}

/**
 * Runs tasks of one stage. Throws the first error unless `events.failed` takes it, and the signal's reason when that aborts.
 * @param plan where its list of stages is long, it need not come along: `{ ...plan, stages: [] }`, for a stage whose
 * tasks ask only for themselves
 */
export async function runLocally(
  plan: WorkPlan,
  stage: string,
  tasks: readonly WorkTask[],
  { open, workers, events, signal, apart = false, team }: LocalOptions,
): Promise<void> {
  if (tasks.length === 0) return;
  // The largest first, so that none of them is left over when the others have ended.
  const threads = workersFor(tasks.length, workers);
  const list = threads > 1 ? tasks.toSorted((a, b) => b.bytes - a.bytes) : tasks;
  const order: StageOrder = { stage, tasks: list, next: new Int32Array(new SharedArrayBuffer(4)) };
  // What ends one thread's work ends this one's: that of the caller, or an error.
  const stop = new AbortController();
  const either = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const hired = threads > 1 ? (team ?? new WorkerTeam(plan)) : undefined;
  try {
    const here = !apart || threads === 1;
    const others = hired?.take(here ? threads - 1 : threads) ?? [];
    const work = others.map((worker) => follow(worker, order, events, either));
    if (here) work.push(runHere(order, open, events, either));
    const ended = work.map((one) => one.catch((error: unknown) => stop.abort(error)));
    await Promise.all(ended);
    signal?.throwIfAborted();
    if (stop.signal.aborted) throw stop.signal.reason;
  } finally {
    if (team === undefined) await hired?.close();
  }
}

/** Tasks in this thread, until none is left. */
async function runHere(
  { stage, tasks, next }: StageOrder,
  open: LocalOptions["open"],
  events: TaskEvents,
  signal: AbortSignal,
): Promise<void> {
  const run = await open();
  for (let place = Atomics.add(next, 0, 1); place < tasks.length; place = Atomics.add(next, 0, 1)) {
    const task = tasks[place];
    signal.throwIfAborted();
    events.started?.(stage, task);
    try {
      const onProgress = (documents: number) => events.progress(stage, task, documents);
      events.finished(stage, task, await run(stage, task, { signal, onProgress }));
    } catch (error) {
      if (events.failed === undefined || signal.aborted || !(error instanceof Error)) throw error;
      events.failed(stage, task, error);
    }
  }
}

/** Sends a worker to the list and tells of what it does, until it takes no more; an abort leaves it at its task. */
async function follow(worker: Worker, order: StageOrder, events: TaskEvents, signal: AbortSignal): Promise<void> {
  const { stage, tasks } = order;
  try {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      signal.throwIfAborted();
      worker.on("error", reject);
      worker.on("exit", () => reject(new Error("a worker thread ended by itself")));
      worker.on("message", (reply: WorkerReply) => {
        if ("idle" in reply) resolve();
        else if ("started" in reply) events.started?.(stage, tasks[reply.started]);
        else if ("progress" in reply) events.progress(stage, tasks[reply.progress], reply.documents);
        else if ("finished" in reply) events.finished(stage, tasks[reply.finished], reply.result);
        else {
          const error = reply.refused ? new QuernError(reply.error) : new Error(reply.error);
          if (events.failed === undefined) reject(error);
          else events.failed(stage, tasks[reply.failed], error);
        }
      });
      worker.postMessage(order);
    });
  } finally {
    for (const event of ["error", "exit", "message"]) worker.removeAllListeners(event);
  }
}

/**
 * The worker's module. Node runs no TypeScript, so from the sources (in tests) the built one is taken, unless it is older;
 * undefined if there is none, and then tasks run in this thread.
 */
function workerFile(): string | undefined {
  const here = fileURLToPath(import.meta.url);
  if (!here.endsWith(".ts")) return join(dirname(here), "worker.js");
  const root = join(dirname(here), "..", "..", "..");
  const built = join(root, "dist", "src", "data", "executors", "worker.js");
  const age = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY;
  const sources = readdirSync(join(root, "src", "data"), { recursive: true, encoding: "utf8" });
  return age(built) >= Math.max(...sources.map((name) => age(join(root, "src", "data", name)))) ? built : undefined;
}

/** How many threads are worth having for so many tasks. */
function workersFor(tasks: number, wanted: number = availableParallelism()): number {
  const most = Math.min(wanted, tasks);
  return most <= 1 || workerFile() === undefined ? 1 : most;
}
