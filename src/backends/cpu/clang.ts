/**
 * @file Runs clang as WebAssembly, for machines without a C compiler. One child process serves all builds. Compiling
 * takes seconds and would block the event loop. Starting clang (75 MB of WebAssembly) takes longer than most builds,
 * and clang needs other V8 settings. The process exits after an idle period, which frees its memory.
 */
import { type ChildProcess, fork } from "node:child_process";
import { builtModule } from "../../built-module.js";
import { QuernError } from "../../errors.js";
import type { ClangAnswer, ClangJob } from "./clang-process.js";

/** Idle milliseconds after which the process exits. */
const IDLE = 20_000;

interface Waiting {
  resolve(output: Uint8Array): void;
  reject(error: unknown): void;
}

/** The child process and the builds that wait for it. */
class Clang {
  readonly #process: ChildProcess = fork(builtModule(new URL("./clang-process.js", import.meta.url)), {
    // Sends bytes without converting them to JSON.
    serialization: "advanced",
    // Do not inherit this process's Node flags, such as a debugger port.
    execArgv: [],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  readonly #waiting = new Map<number, Waiting>();
  #next = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor() {
    this.#process.on("message", (answer: ClangAnswer) => {
      const build = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (this.#waiting.size === 0) this.#waitIdle();
      if ("output" in answer) build?.resolve(answer.output);
      else build?.reject(new QuernError(`@yowasp/clang could not compile the program to WebAssembly: ${answer.error}`));
    });
    this.#process.on("error", (error) => this.#end(error));
    this.#process.on("exit", (code, signal) =>
      this.#end(
        new QuernError(
          `the @yowasp/clang process ended (${signal ?? `exit code ${code}`}), probably for lack of memory; raise the limit ` +
            "set by `ulimit -v` or the container, or install a C compiler",
        ),
      ),
    );
    this.#keepAlive(false);
  }

  run(flags: readonly string[], files: ClangJob["files"]): Promise<Uint8Array> {
    clearTimeout(this.#idle);
    this.#keepAlive(true);
    const job: ClangJob = { id: this.#next++, flags, files };
    return new Promise((resolve, reject) => {
      this.#waiting.set(job.id, { resolve, reject });
      this.#process.send(job);
    });
  }

  /** Sets whether the child keeps this process alive. */
  #keepAlive(open: boolean): void {
    for (const each of [this.#process, this.#process.channel]) {
      if (open) each?.ref();
      else each?.unref();
    }
  }

  #waitIdle(): void {
    this.#keepAlive(false);
    this.#idle = setTimeout(() => {
      this.#forget();
      this.#process.disconnect();
    }, IDLE).unref();
  }

  /** Makes the next build start another process. */
  #forget(): void {
    if (clang === this) clang = undefined;
  }

  #end(error: unknown): void {
    clearTimeout(this.#idle);
    this.#forget();
    for (const build of this.#waiting.values()) build.reject(error);
    this.#waiting.clear();
  }
}

let clang: Clang | undefined;

/**
 * Runs clang once. Returns the object if the flags contain `-c`, else the linked module.
 *
 * @param files the inputs
 * @throws QuernError with clang's first error
 */
export function runClang(flags: readonly string[], files: ClangJob["files"]): Promise<Uint8Array> {
  clang ??= new Clang();
  return clang.run(flags, files);
}
