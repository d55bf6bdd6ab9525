/** @file A thread of a WebAssembly program. The first takes an entry's number and answers "done"; the others help it. */
import { parentPort, workerData } from "node:worker_threads";
import type { WasmExports, WasmThread, WorkerMessage } from "./wasm.js";

const { module, memory, worker, stack, arena } = workerData as WasmThread;
const answer = (message: WorkerMessage) => parentPort?.postMessage(message);

const program = (await WebAssembly.instantiate(module, { env: { memory } })).exports as WasmExports;
/** A trap in one thread is told to the host, which ends them all. */
const guarded = (work: () => void) => {
  try {
    work();
  } catch (error) {
    answer({ kind: "failed", error: String((error as Error).stack) });
  }
};

if (stack === null) {
  parentPort?.on("message", (entry: number) => {
    guarded(() => {
      program.quern_run(arena, entry);
      answer({ kind: "done" });
    });
  });
  answer({ kind: "ready" });
} else {
  program.__stack_pointer.value = stack;
  answer({ kind: "ready" });
  guarded(() => program.quern_work(worker));
}
