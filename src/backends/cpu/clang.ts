/**
 * @file clang as WebAssembly, for machines without a C compiler. It runs in one other process for all builds of this one: the
 * compiler takes seconds and would stop the event loop, starting it (75 MB of WebAssembly) costs more than most programs do,
 * and it wants other settings of V8. It ends when it has had nothing to do for a while, and its memory with it.
 */
import { type ChildProcess, fork } from "node:child_process";
import { builtModule } from "../../built-module.js";
import { QuernError } from "../../errors.js";
import type { ClangAnswer, ClangJob } from "./clang-process.js";

/** Milliseconds that the process waits for another program. */
const IDLE = 20_000;

interface Waiting {
  resolve(made: Uint8Array): void;
  reject(error: unknown): void;
}

/** The process and the builds that wait for it. */
class Clang {
  readonly #process: ChildProcess = fork(builtModule(new URL("./clang-process.js", import.meta.url)), {
    // Bytes are sent as such.
    serialization: "advanced",
    // Not what this process was started with (a debugger's port, for one).
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
      if (this.#waiting.size === 0) this.#rest();
      if ("made" in answer) build?.resolve(answer.made);
      else build?.reject(new QuernError(`@yowasp/clang could not make WebAssembly of the program: ${answer.error}`));
    });
    this.#process.on("error", (error) => this.#end(error));
    this.#process.on("exit", (code, signal) =>
      this.#end(
        new QuernError(
          `the process of @yowasp/clang ended (${signal ?? `exit code ${code}`}), as it does where memory is short; raise ` +
            "a limit set by `ulimit -v` or a container, or install a C compiler",
        ),
      ),
    );
    this.#holdOpen(false);
  }

  run(words: readonly string[], files: ClangJob["files"]): Promise<Uint8Array> {
    clearTimeout(this.#idle);
    this.#holdOpen(true);
    const job: ClangJob = { id: this.#next++, words, files };
    return new Promise((resolve, reject) => {
      this.#waiting.set(job.id, { resolve, reject });
      this.#process.send(job);
    });
  }

  /** Whether this process must not end meanwhile. */
  #holdOpen(open: boolean): void {
    for (const each of [this.#process, this.#process.channel]) {
      if (open) each?.ref();
      else each?.unref();
    }
  }

  #rest(): void {
    this.#holdOpen(false);
    this.#idle = setTimeout(() => {
      this.#leave();
      this.#process.disconnect();
    }, IDLE).unref();
  }

  /** The next build starts another process. */
  #leave(): void {
    if (clang === this) clang = undefined;
  }

  #end(error: unknown): void {
    clearTimeout(this.#idle);
    this.#leave();
    for (const build of this.#waiting.values()) build.reject(error);
    this.#waiting.clear();
  }
}

let clang: Clang | undefined;

/**
 * One call of clang: gives the object, if `-c` is among the words, or what is linked.
 *
 * @param files its inputs
 * @throws QuernError with clang's first error
 */
export function runClang(words: readonly string[], files: ClangJob["files"]): Promise<Uint8Array> {
  clang ??= new Clang();
  return clang.run(words, files);
}
