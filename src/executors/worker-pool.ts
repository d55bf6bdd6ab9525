/**
 * @file The pool of worker threads. Each worker loads the pool's module, which exports `openWorker` (worker.ts), and
 * runs one task after another. If a worker fails or dies, all unfinished tasks of the pool reject.
 */
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { type ResourceLimits, type TransferListItem, Worker } from "node:worker_threads";
import { builtModule } from "../built-module.js";
import { QuernError } from "../errors.js";
import { receiveError, type SentError } from "./sent-error.js";

/** Runs one task in a worker; `send` posts a message before the result. Buffers in `transfer` are moved, not copied. */
export type Answer<Task, Result, Message = never> = (
  task: Task,
  send: (message: Message) => void,
) => Answered<Result> | Promise<Answered<Result>>;

export interface Answered<Result> {
  readonly result: Result;
  readonly transfer?: readonly ArrayBuffer[];
}

/** The exports of a pool's module. */
export interface WorkerModule {
  openWorker(setup: unknown): Answer<unknown, unknown, unknown> | Promise<Answer<unknown, unknown, unknown>>;
}

/** A worker's messages: `ready` after it has started, then for each task any number of messages and one result. */
export type PoolReply =
  | { readonly kind: "ready" }
  | { readonly kind: "message"; readonly message: unknown }
  | { readonly kind: "result"; readonly result: unknown }
  | { readonly kind: "error"; readonly error: SentError };

export interface WorkerPoolOptions {
  /** The module that workers load: `new URL("./count-worker.js", import.meta.url)`. */
  readonly module: URL;
  /** The argument of its `openWorker`. */
  readonly setup: unknown;
  readonly threads: number;
  /** When it aborts, the workers end at once and tasks reject with its reason. */
  readonly signal?: AbortSignal;
  /** Limits of each worker's heap. Default: Node's. */
  readonly resourceLimits?: ResourceLimits;
}

/** Tasks queued per worker, so that it never idles while the thread that submits tasks is busy. */
const MAX_QUEUED = 4;

interface Pending<Message> {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly onMessage?: (message: Message) => void;
}

interface PoolWorker<Message> {
  readonly thread: Worker;
  readonly queue: Pending<Message>[];
  ready: boolean;
}

export class WorkerPool<Task, Result, Message = never> {
  readonly #options: WorkerPoolOptions;
  readonly #workers: PoolWorker<Message>[] = [];
  #failure: unknown;
  #ended = false;
  readonly #onAbort = () => void this.end(this.#options.signal?.reason);

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    options.signal?.throwIfAborted();
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.grow(options.threads);
  }

  /** Starts workers until there are `threads` of them. */
  grow(threads: number): void {
    while (this.#workers.length < threads) this.#start();
  }

  #start(): void {
    const { module, setup, resourceLimits } = this.#options;
    const thread = new Worker(builtModule(new URL("./worker.js", import.meta.url)), {
      execArgv: [], // else the flags of `node --input-type=module -e` are inherited, and the worker fails to start
      workerData: { module: builtModule(module).href, setup },
      resourceLimits,
    });
    const worker: PoolWorker<Message> = { thread, queue: [], ready: false };
    this.#workers.push(worker);
    thread.on("message", (reply: PoolReply) => {
      switch (reply.kind) {
        case "ready":
          worker.ready = true;
          break;
        case "message":
          worker.queue[0]?.onMessage?.(reply.message as Message);
          break;
        case "result":
          worker.queue.shift()?.resolve(reply.result);
          break;
        case "error":
          worker.queue.shift()?.reject(receiveError(reply.error));
          break;
        default:
          reply satisfies never;
      }
    });
    thread.on("error", (error) => this.#fail(this.#explain(error)));
    thread.on("exit", (code) => {
      if (!this.#ended)
        this.#fail(new QuernError(`${this.#name()} ended with exit code ${code} before its tasks were finished`));
    });
  }

  #name(): string {
    return `a worker thread (${basename(fileURLToPath(this.#options.module))})`;
  }

  /** Explains an error that ended a worker. */
  #explain(error: Error): Error {
    if ((error as NodeJS.ErrnoException).code !== "ERR_WORKER_OUT_OF_MEMORY") return error;
    return new QuernError(
      `${this.#name()} ran out of memory; use fewer threads, or raise Node's limit (NODE_OPTIONS=--max-old-space-size=MB)`,
      { cause: error },
    );
  }

  /** Whether any worker's queue has room for a task. @throws the error of a failed worker */
  hasRoom(): boolean {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#workers.some((worker) => worker.queue.length < queueLimit(worker));
  }

  /** Runs a task on the worker with the shortest queue. Buffers in `transfer` are moved, not copied. */
  run(task: Task, transfer: readonly TransferListItem[] = []): Promise<Result> {
    const load = (worker: PoolWorker<Message>) =>
      worker.queue.length < queueLimit(worker) ? worker.queue.length : Number.POSITIVE_INFINITY;
    let least = 0;
    for (let i = 1; i < this.#workers.length; i++) if (load(this.#workers[i]) < load(this.#workers[least])) least = i;
    return this.runOn(least, task, { transfer });
  }

  /** Runs a task on every worker. */
  runOnEach(task: Task): Promise<Result[]> {
    return Promise.all(this.#workers.map((_, index) => this.runOn(index, task)));
  }

  /** Runs a task on a given worker, after the tasks in its queue. */
  runOn(
    index: number,
    task: Task,
    how: { readonly transfer?: readonly TransferListItem[]; readonly onMessage?: (message: Message) => void } = {},
  ): Promise<Result> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const { thread, queue } = this.#workers[index];
    const { onMessage } = how;
    const result = new Promise<unknown>((resolve, reject) => queue.push({ resolve, reject, onMessage }));
    // Without this handler, a task that fails while its caller awaits another would end the process.
    result.catch(() => {});
    thread.postMessage(task, how.transfer);
    return result as Promise<Result>;
  }

  /** Terminates the workers at once. */
  close(): Promise<void> {
    return this.end(new Error("the worker threads were ended"));
  }

  /** Terminates the workers at once; unanswered tasks reject with `reason`. */
  async end(reason: unknown): Promise<void> {
    this.#ended = true;
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#fail(reason);
    await Promise.all(this.#workers.map(({ thread }) => thread.terminate()));
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const { queue } of this.#workers) for (const task of queue.splice(0)) task.reject(this.#failure);
  }
}

/** Returns the queue limit of a worker: one task while it starts, which takes some tenths of a second. */
const queueLimit = ({ ready }: { readonly ready: boolean }) => (ready ? MAX_QUEUED : 1);
