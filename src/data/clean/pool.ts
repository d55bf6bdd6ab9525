/**
 * @file Running tasks here: in this thread, or in worker threads that each take the next one when they are done. Another
 * executor needs nothing but the list of tasks, the configuration and `runTask`.
 */
import { readdirSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { QuernError } from "../../errors.js";
import type { TaskManifest } from "./run-task.js";
import type { Task, TaskConfig } from "./tasks.js";

export type WorkerReply =
  | { readonly progress: number }
  | { readonly manifest: TaskManifest }
  | { readonly error: string; readonly refused: boolean };

/** Takes a finished task; `documents` of unfinished ones are told as they go. */
export interface TaskEvents {
  readonly finished: (task: Task, manifest: TaskManifest) => void;
  readonly progress: (task: Task, documents: number) => void;
}

/**
 * The worker's module. Node runs no TypeScript, so from the sources (in tests) the built one is taken, unless it is older;
 * undefined if there is none, and then tasks run in this thread.
 */
function workerFile(): string | undefined {
  const here = fileURLToPath(import.meta.url);
  if (!here.endsWith(".ts")) return join(dirname(here), "worker.js");
  const root = join(dirname(here), "..", "..", "..");
  const built = join(root, "dist", "src", "data", "clean", "worker.js");
  const age = (file: string) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY;
  const sources = readdirSync(join(root, "src", "data"), { recursive: true, encoding: "utf8" });
  return age(built) >= Math.max(...sources.map((name) => age(join(root, "src", "data", name)))) ? built : undefined;
}

/** How many worker threads are worth starting for so many tasks. */
export function workersFor(tasks: number, wanted: number = availableParallelism()): number {
  return workerFile() === undefined ? 1 : Math.max(1, Math.min(wanted, tasks));
}

/** Runs all tasks on that many worker threads. Throws the first error, and the signal's reason when that aborts. */
export async function runInWorkers(
  tasks: readonly Task[],
  config: TaskConfig,
  workers: number,
  events: TaskEvents,
  signal?: AbortSignal,
): Promise<void> {
  const file = workerFile();
  if (file === undefined) throw new Error("the worker is not built");
  const waiting = [...tasks];
  const threads = Array.from({ length: workers }, () => new Worker(file, { workerData: config }));
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
        const onMessage = (reply: WorkerReply) => {
          if ("progress" in reply) return events.progress(task, reply.progress);
          worker.off("message", onMessage);
          running -= 1;
          if ("error" in reply) return reject(reply.refused ? new QuernError(reply.error) : new Error(reply.error));
          events.finished(task, reply.manifest);
          next(worker);
        };
        worker.on("message", onMessage);
        worker.postMessage(task);
      };
      for (const worker of threads) {
        worker.on("error", reject);
        worker.on("exit", () => reject(new Error("a worker thread ended by itself")));
        next(worker);
      }
    });
  } finally {
    for (const worker of threads) worker.removeAllListeners("exit");
    await Promise.all(threads.map((worker) => worker.terminate()));
  }
}
