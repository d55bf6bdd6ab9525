/**
 * @file clang as WebAssembly, for machines without a C compiler. It runs in one thread for all builds of a process: the
 * compiler takes seconds and would stop the event loop, and starting it (75 MB of WebAssembly) costs more than most
 * programs do. The thread goes when it has had nothing to do for a while, and its memory with it.
 */
import { Worker } from "node:worker_threads";
import { QuernError } from "../../errors.js";
import type { ClangAnswer, ClangJob } from "./clang-worker.js";
import { workerBase } from "./worker-base.js";

/** Milliseconds that the thread waits for another program. */
const IDLE = 20_000;

interface Waiting {
  resolve(made: Uint8Array): void;
  reject(error: unknown): void;
}

/** The thread and the builds that wait for it. */
class ClangThread {
  readonly #worker = new Worker(new URL("./clang-worker.js", workerBase()));
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor() {
    this.#worker.on("message", (answer: ClangAnswer) => {
      const build = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (this.#waiting.size === 0) this.#rest();
      if ("made" in answer) build?.resolve(answer.made);
      else build?.reject(new QuernError(`clang could not make WebAssembly of the program: ${answer.error}`));
    });
    this.#worker.on("error", (error) => this.#end(error));
    this.#worker.on("exit", () => this.#end(new Error("the thread of clang ended")));
    this.#worker.unref();
  }

  run(...[words, files, output]: Parameters<typeof runClang>): Promise<Uint8Array> {
    clearTimeout(this.#idle);
    this.#worker.ref();
    const job: ClangJob = { id: this.#next++, words, files, output };
    return new Promise((resolve, reject) => {
      this.#waiting.set(job.id, { resolve, reject });
      this.#worker.postMessage(job);
    });
  }

  /** The process may end meanwhile. */
  #rest(): void {
    this.#worker.unref();
    this.#idle = setTimeout(() => {
      this.#leave();
      void this.#worker.terminate();
    }, IDLE).unref();
  }

  /** The next build starts another thread. */
  #leave(): void {
    if (thread === this) thread = undefined;
  }

  #end(error: unknown): void {
    clearTimeout(this.#idle);
    this.#leave();
    for (const build of this.#waiting.values()) build.reject(error);
    this.#waiting.clear();
  }
}

let thread: ClangThread | undefined;

/**
 * One call of clang.
 *
 * @param files its inputs
 * @param output the file it makes
 * @throws QuernError with clang's first error
 */
export function runClang(
  words: readonly string[],
  files: readonly (readonly [name: string, bytes: Uint8Array])[],
  output: string,
): Promise<Uint8Array> {
  thread ??= new ClangThread();
  return thread.run(words, files, output);
}
