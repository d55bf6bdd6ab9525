/** @file Child process that runs clang compiled to WebAssembly, one job at a time. */
import { setFlagsFromString } from "node:v8";

/** One clang invocation. */
export interface ClangJob {
  readonly id: number;
  /** Flags without the output file. The output is an object with `-c`, else the linked module. */
  readonly flags: readonly string[];
  readonly files: readonly (readonly [name: string, bytes: Uint8Array])[];
}

/** Result of a job: the output file or clang's first error. */
export type ClangAnswer =
  | { readonly id: number; readonly output: Uint8Array }
  | { readonly id: number; readonly error: string };

// Optimizing these 75 MB of WebAssembly takes V8 longer than a usual program's whole build, so only the baseline compiler runs.
setFlagsFromString("--liftoff-only");
setFlagsFromString("--no-wasm-tier-up");
setFlagsFromString("--no-wasm-dynamic-tiering");

// @yowasp/clang logs its own unpacking.
console.log = () => {};
// Ctrl-C reaches every process of a terminal; the parent decides when this one ends.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit());

const OUTPUT = "made.wasm";

async function compile({ id, flags, files }: ClangJob): Promise<ClangAnswer> {
  // clang patches an object thousands of times while writing it, and each write to a virtual file copies the whole file. Standard
  // output receives it once, when finished.
  const isObject = flags.includes("-c");
  const stdout: Uint8Array[] = [];
  const stderr: Uint8Array[] = [];
  const collect = (chunks: Uint8Array[]) => (bytes: Uint8Array | null) => {
    if (bytes) chunks.push(bytes.slice());
  };
  try {
    const { commands } = await import("@yowasp/clang");
    const tree = await commands.clang(
      [...flags, ...files.map(([name]) => name), "-o", isObject ? "-" : OUTPUT],
      Object.fromEntries(files),
      { stdout: collect(stdout), stderr: collect(stderr) },
    );
    const output = isObject ? Buffer.concat(stdout) : tree?.[OUTPUT];
    return output instanceof Uint8Array ? { id, output } : { id, error: "clang wrote no output" };
  } catch (error) {
    const lines = Buffer.concat(stderr).toString().split("\n");
    return { id, error: lines.find((line) => line.includes("error")) ?? String(error) };
  }
}

// clang handles one job at a time; later jobs wait.
let last: Promise<void> = Promise.resolve();
process.on("message", (job: ClangJob) => {
  last = last.then(async () => void process.send?.(await compile(job)));
});
