/** @file Running tasks here: in this thread, or in worker threads that each take the next one when they are done. */
import { readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { QuernError } from "../../errors.js";
import type { RunTask, TaskEvents, WorkPlan, WorkTask } from "./work.js";

export interface TaskOrder {
  readonly stage: string;
  readonly task: WorkTask;
}

export type WorkerReply =
  | { readonly progress: number }
  | { readonly result: unknown }
  | { readonly error: string; readonly refused: boolean };

export interface LocalOptions {
  /** Loads the program into this thread, when a task is to run in it. */
  readonly open: () => Promise<RunTask>;
  /** Worker threads at most. Default: all cores. */
  readonly workers?: number;
  readonly events: TaskEvents;
  readonly signal?: AbortSignal;
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
  { open, workers, events, signal, team }: LocalOptions,
): Promise<void> {
  const threads = workersFor(tasks.length, workers);
  if (threads > 1) {
    const workers = team ?? new WorkerTeam(plan);
    try {
      return await shareOut(workers.take(threads), stage, tasks, events, signal);
    } finally {
      if (team === undefined) await workers.close();
    }
  }
  if (tasks.length === 0) return;
  const run = await open();
  for (const task of tasks) {
    signal?.throwIfAborted();
    events.started?.(stage, task);
    try {
      const onProgress = (documents: number) => events.progress(stage, task, documents);
      events.finished(stage, task, await run(stage, task, { signal, onProgress }));
    } catch (error) {
      if (events.failed === undefined || signal?.aborted || !(error instanceof Error)) throw error;
      events.failed(stage, task, error);
    }
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

/** How many worker threads are worth starting for so many tasks. */
function workersFor(tasks: number, wanted: number = availableParallelism()): number {
  const most = Math.min(wanted, tasks);
  return most <= 1 || workerFile() === undefined ? 1 : most;
}

async function shareOut(
  threads: readonly Worker[],
  stage: string,
  tasks: readonly WorkTask[],
  events: TaskEvents,
  signal?: AbortSignal,
): Promise<void> {
  // The largest first, so that none of them is left over when the others have ended.
  const waiting = tasks.toSorted((a, b) => b.bytes - a.bytes);
  try {
    await new Promise<void>((resolve, reject) => {
      let running = 0;
      const abort = () => reject(signal?.reason);
      signal?.addEventListener("abort", abort, { once: true });
      if (signal?.aborted) abort();
      const next = (worker: Worker) => {
        const task = waiting.shift();
        if (task === undefined) {
          if (running === 0) resolve();
          return;
        }
        running += 1;
        events.started?.(stage, task);
        const onMessage = (reply: WorkerReply) => {
          if ("progress" in reply) return events.progress(stage, task, reply.progress);
          worker.off("message", onMessage);
          running -= 1;
          if ("error" in reply) {
            const error = reply.refused ? new QuernError(reply.error) : new Error(reply.error);
            if (events.failed === undefined) return reject(error);
            events.failed(stage, task, error);
          } else events.finished(stage, task, reply.result);
          next(worker);
        };
        worker.on("message", onMessage);
        worker.postMessage({ stage, task } satisfies TaskOrder);
      };
      for (const worker of threads) {
        worker.on("error", reject);
        worker.on("exit", () => reject(new Error("a worker thread ended by itself")));
        next(worker);
      }
    });
  } finally {
    for (const worker of threads) for (const event of ["error", "exit", "message"]) worker.removeAllListeners(event);
  }
}
