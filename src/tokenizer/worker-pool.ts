/**
 * @file Worker threads of the tokenizer: tasks go to whichever worker is free, and results come back as promises. The
 * caller asks whether there is room, and does a task itself where there is none, so that no more than a few wait in memory.
 */
import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type TransferListItem, Worker } from "node:worker_threads";
import { QuernError } from "../errors.js";
import type { Reply } from "./worker-tasks.js";

/** Tasks that a worker has at most, while the thread that gives them does one itself. */
const WAITING = 4;

interface Pending {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The worker's module. Node runs no TypeScript, so when these are the sources (in tests) the built one is taken, unless it
 * is older than they are; undefined if there is none, and then everything is done in this thread.
 */
function workerFile(): string | undefined {
  const here = fileURLToPath(import.meta.url);
  if (!here.endsWith(".ts")) return join(dirname(here), "worker.js");
  const built = join(dirname(here), "..", "..", "dist", "src", "tokenizer", "worker.js");
  const age = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Number.NEGATIVE_INFINITY;
  const newest = Math.max(...readdirSync(dirname(here)).map((name) => age(join(dirname(here), name))));
  return age(built) >= newest ? built : undefined;
}

/** True if workers can be started here. */
export function hasWorkers(): boolean {
  return workerFile() !== undefined;
}

export class WorkerPool<Task, Result> {
  readonly #workers: Worker[];
  readonly #queues: Pending[][];
  readonly #ready: boolean[];
  #failure: unknown;
  #closed = false;

  /** @param setup what each worker is told when it starts */
  constructor(threads: number, setup: unknown) {
    const file = workerFile();
    if (file === undefined) throw new Error("the worker is not built");
    this.#workers = Array.from({ length: threads }, () => new Worker(file, { workerData: setup }));
    this.#queues = this.#workers.map(() => []);
    this.#ready = this.#workers.map(() => false);
    this.#workers.forEach((worker, index) => {
      worker.on("message", (reply: Reply) => {
        if (reply === "ready") {
          this.#ready[index] = true;
          return;
        }
        const task = this.#queues[index].shift();
        if ("error" in reply) {
          task?.reject(reply.refused ? new QuernError(reply.error, reply.refused) : new Error(reply.error));
        } else task?.resolve(reply.result);
      });
      worker.on("error", (error) => this.#fail(error));
      worker.on("exit", () => {
        if (!this.#closed) this.#fail(new Error("a worker thread ended by itself"));
      });
    });
  }

  /** True if another task would not wait behind more than a few. @throws what a worker has failed of */
  hasRoom(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#queues.some((queue, index) => queue.length < this.#most(index));
  }

  /** Where there is room, gives a task to the worker with the fewest; the buffers in `transfer` are handed over. */
  run(task: Task, transfer: readonly TransferListItem[] = []): Promise<Result> {
    const waiting = (index: number): number =>
      this.#queues[index].length < this.#most(index) ? this.#queues[index].length : Number.POSITIVE_INFINITY;
    let least = 0;
    for (let i = 1; i < this.#queues.length; i++) if (waiting(i) < waiting(least)) least = i;
    return this.#send(least, task, transfer);
  }

  /** Tasks that a worker may have: one while it starts, which takes some tenths of a second. */
  #most(index: number): number {
    return this.#ready[index] ? WAITING : 1;
  }

  /** Gives a task to every worker. */
  runOnEach(task: Task): Promise<Result[]> {
    return Promise.all(this.#workers.map((_, index) => this.#send(index, task, [])));
  }

  /** Ends the workers, whatever they do. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#fail(new Error("the worker threads were ended"));
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #send(index: number, task: Task, transfer: readonly TransferListItem[]): Promise<Result> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const result = new Promise<unknown>((resolve, reject) => this.#queues[index].push({ resolve, reject }));
    // A task that fails while its caller waits for another must not end the process.
    result.catch(() => {});
    this.#workers[index].postMessage(task, transfer);
    return result as Promise<Result>;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const queue of this.#queues) for (const task of queue.splice(0)) task.reject(this.#failure);
  }
}
