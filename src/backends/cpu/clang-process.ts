/** @file A process that runs clang, itself compiled to WebAssembly, one call after another. */
import { setFlagsFromString } from "node:v8";

/** One call. */
export interface ClangJob {
  readonly id: number;
  /** Without the output: an object if `-c` is among them, else what is linked. */
  readonly words: readonly string[];
  readonly files: readonly (readonly [name: string, bytes: Uint8Array])[];
}

/** What became of it. */
export type ClangAnswer =
  | { readonly id: number; readonly made: Uint8Array }
  | { readonly id: number; readonly error: string };

// V8's better code for these 75 MB takes longer to make than all of a usual program's build; only this process goes without.
setFlagsFromString("--liftoff-only");
setFlagsFromString("--no-wasm-tier-up");
setFlagsFromString("--no-wasm-dynamic-tiering");

// It reports its own unpacking on the console, which is nobody's news.
console.log = () => {};
// Ctrl-C reaches every process of a terminal; what this one is to do then is for the one that started it to say.
process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit());

const OUTPUT = "made.wasm";

async function compile({ id, words, files }: ClangJob): Promise<ClangAnswer> {
  // An object is patched thousands of times while it is written, and each write to a file here copies the whole file: on
  // standard output it comes once, when it is done.
  const isObject = words.includes("-c");
  const printed: Uint8Array[] = [];
  const said: Uint8Array[] = [];
  const keep = (in_: Uint8Array[]) => (bytes: Uint8Array | null) => {
    if (bytes) in_.push(bytes.slice());
  };
  try {
    const { commands } = await import("@yowasp/clang");
    const tree = await commands.clang(
      [...words, ...files.map(([name]) => name), "-o", isObject ? "-" : OUTPUT],
      Object.fromEntries(files),
      { stdout: keep(printed), stderr: keep(said) },
    );
    const made = isObject ? Buffer.concat(printed) : tree?.[OUTPUT];
    return made instanceof Uint8Array ? { id, made } : { id, error: "clang wrote nothing" };
  } catch (error) {
    const lines = Buffer.concat(said).toString().split("\n");
    return { id, error: lines.find((line) => line.includes("error")) ?? String(error) };
  }
}

// Jobs that come while one runs wait: clang does one at a time.
let last: Promise<void> = Promise.resolve();
process.on("message", (job: ClangJob) => {
  last = last.then(async () => void process.send?.(await compile(job)));
});
