/** @file A thread that runs clang, itself compiled to WebAssembly, one call after another. */
import { parentPort } from "node:worker_threads";

/** One call. */
export interface ClangJob {
  readonly id: number;
  readonly words: readonly string[];
  readonly files: readonly (readonly [name: string, bytes: Uint8Array])[];
  readonly output: string;
}

/** What became of it. */
export type ClangAnswer =
  | { readonly id: number; readonly made: Uint8Array }
  | { readonly id: number; readonly error: string };

// It reports its own unpacking on this thread's console, which is nobody's news.
console.log = () => {};

const decoder = new TextDecoder();

async function compile({ id, words, files, output: wanted }: ClangJob): Promise<ClangAnswer> {
  let output = "";
  try {
    const { commands } = await import("@yowasp/clang");
    const collect = (bytes: Uint8Array | null) => {
      if (bytes) output += decoder.decode(bytes, { stream: true });
    };
    const tree = await commands.clang(
      [...words, ...files.map(([name]) => name), "-o", wanted],
      Object.fromEntries(files),
      { stdout: collect, stderr: collect },
    );
    const made = tree?.[wanted];
    return made instanceof Uint8Array ? { id, made } : { id, error: "clang wrote nothing" };
  } catch (error) {
    return { id, error: output.split("\n").find((line) => line.includes("error")) ?? String(error) };
  }
}

// Jobs that come while one runs wait in the port: clang does one at a time.
let last: Promise<void> = Promise.resolve();
parentPort?.on("message", (job: ClangJob) => {
  last = last.then(async () => parentPort?.postMessage(await compile(job)));
});
