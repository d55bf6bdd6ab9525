/** @file A thread that runs clang, itself compiled to WebAssembly, on one C file. */
import { parentPort, workerData } from "node:worker_threads";

const { source, flags } = workerData as { source: string; flags: readonly string[] };

// It reports its own unpacking on this thread's console, which is nobody's news.
console.log = () => {};

let output = "";
try {
  const { commands } = await import("@yowasp/clang");
  const decoder = new TextDecoder();
  const collect = (bytes: Uint8Array | null) => {
    if (bytes) output += decoder.decode(bytes, { stream: true });
  };
  const files = await commands.clang(
    [...flags, "program.c", "-o", "program.wasm"],
    { "program.c": source },
    { stdout: collect, stderr: collect },
  );
  parentPort?.postMessage({ wasm: files?.["program.wasm"] });
} catch (error) {
  parentPort?.postMessage({ error: output.split("\n").find((line) => line.includes("error")) ?? String(error) });
}
