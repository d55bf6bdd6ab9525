/** @file A thread of a WebAssembly heap. The first runs entries; the others work for the module that they are sent to. */
import { parentPort, workerData } from "node:worker_threads";
import type { WasmExports, WasmThread, WorkerAnswer, WorkerRequest } from "./wasm.js";

const { memory, worker, stack } = workerData as WasmThread;
const answer = (message: WorkerAnswer) => parentPort?.postMessage(message);

/** By slot; `seen` are the rounds of tasks that this worker has seen there. */
const programs = new Map<number, { readonly program: WasmExports; seen: number }>();

async function take(request: WorkerRequest): Promise<void> {
  const { slot } = request;
  const loaded = programs.get(slot);
  if (request.kind === "load") {
    const instance = await WebAssembly.instantiate(request.module, { env: { memory } });
    const program = instance.exports as WasmExports;
    if (stack !== null) program.__stack_pointer.value = stack;
    programs.set(slot, { program, seen: 0 });
    answer({ kind: "loaded", slot });
  } else if (request.kind === "unload") {
    programs.delete(slot);
  } else if (request.kind === "run") {
    loaded?.program.quern_run(request.arena, request.entry);
    answer({ kind: "done" });
  } else if (loaded) {
    loaded.seen = loaded.program.quern_work(worker, loaded.seen);
    answer({ kind: "left" });
  }
}

/** A trap in one thread is reported to the host, which ends them all. */
parentPort?.on("message", (request: WorkerRequest) => {
  take(request).catch((error) => answer({ kind: "failed", error: String((error as Error).stack) }));
});
