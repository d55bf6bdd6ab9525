/** @file Worker thread of a WebAssembly heap. The first runs entries; the others execute tasks of the module they are sent to. */
import { parentPort, workerData } from "node:worker_threads";
import type { WasmExports, WasmThread, WorkerAnswer, WorkerRequest } from "./wasm.js";

const { memory, worker, stack } = workerData as WasmThread;
const answer = (message: WorkerAnswer) => parentPort?.postMessage(message);

/** By slot; `seen` counts the rounds of tasks that this worker has handled there. */
const programs = new Map<number, { readonly program: WasmExports; seen: number }>();

async function handle(request: WorkerRequest): Promise<void> {
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

/** Reports a trap to the host, which then terminates all threads. */
parentPort?.on("message", (request: WorkerRequest) => {
  handle(request).catch((error) => answer({ kind: "failed", error: String((error as Error).stack) }));
});
