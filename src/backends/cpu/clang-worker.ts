/** @file A thread that runs clang, itself compiled to WebAssembly, on one C file after another. */
import { parentPort } from "node:worker_threads";

/** One C file to compile. */
export interface ClangJob {
  readonly id: number;
  readonly source: string;
  readonly flags: readonly string[];
  /** An object file to link to. */
  readonly object: Uint8Array | undefined;
}

/** What became of it. */
export type ClangAnswer =
  | { readonly id: number; readonly wasm: Uint8Array }
  | { readonly id: number; readonly error: string };

// It reports its own unpacking on this thread's console, which is nobody's news.
console.log = () => {};

const decoder = new TextDecoder();

async function compile({ id, source, flags, object }: ClangJob): Promise<ClangAnswer> {
  let output = "";
  try {
    const { commands } = await import("@yowasp/clang");
    const collect = (bytes: Uint8Array | null) => {
      if (bytes) output += decoder.decode(bytes, { stream: true });
    };
    const files = await commands.clang(
      [...flags, "program.c", ...(object ? ["object.o"] : []), "-o", "program.wasm"],
      { "program.c": source, ...(object && { "object.o": object }) },
      { stdout: collect, stderr: collect },
    );
    const wasm = files?.["program.wasm"];
    return wasm instanceof Uint8Array ? { id, wasm } : { id, error: "clang wrote nothing" };
  } catch (error) {
    return { id, error: output.split("\n").find((line) => line.includes("error")) ?? String(error) };
  }
}

// Jobs that come while one runs wait in the port: clang does one at a time.
let last: Promise<void> = Promise.resolve();
parentPort?.on("message", (job: ClangJob) => {
  last = last.then(async () => parentPort?.postMessage(await compile(job)));
});
