/** @file The thread in which a WebAssembly program runs: an entry's number comes in, "done" goes out. */
import { parentPort, workerData } from "node:worker_threads";

const { module, memory } = workerData as { module: WebAssembly.Module; memory: WebAssembly.Memory };

interface Exports extends WebAssembly.Exports {
  quern_base(): number;
  quern_bytes(): number;
  quern_run(arena: number, entry: number): void;
}

const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
const program = exports as Exports;
// Addresses above 2 GiB come back negative.
const base = program.quern_base() >>> 0;

parentPort?.on("message", (entry: number) => {
  try {
    program.quern_run(base, entry);
    parentPort?.postMessage({ kind: "done" });
  } catch (error) {
    parentPort?.postMessage({ kind: "failed", error: String(error) });
  }
});
parentPort?.postMessage({ kind: "ready", base, bytes: program.quern_bytes() });
