/** @file Runs a program as WebAssembly, in a worker thread over shared memory, so that a run never blocks the event loop. */
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { QuernError } from "../../errors.js";
import { WASM_PAGES, workerBase } from "./build.js";
import type { Image } from "./native.js";

const PAGE = 65536;
/** For static data and the stack; the arena is grown behind them. */
const INITIAL_PAGES = 64;

/** What the worker answers. */
export type WorkerMessage =
  | { readonly kind: "ready"; readonly base: number; readonly bytes: number }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly error: string };

/** @throws QuernError if the plan does not fit the 4 GiB that WebAssembly can address */
export async function loadWasm(library: string): Promise<Image> {
  const module = await WebAssembly.compile(await readFile(library));
  const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: WASM_PAGES, shared: true });
  const worker = new Worker(new URL("./wasm-worker.js", workerBase()), { workerData: { module, memory } });
  const next = () =>
    new Promise<WorkerMessage>((resolve, reject) => {
      const settle = (act: () => void) => {
        worker.off("message", onMessage);
        worker.off("error", onError);
        act();
      };
      const onMessage = (message: WorkerMessage) => settle(() => resolve(message));
      const onError = (error: Error) => settle(() => reject(error));
      worker.on("message", onMessage);
      worker.on("error", onError);
    });
  const ready = await next();
  // The process may end while the worker waits for work.
  worker.unref();
  if (ready.kind !== "ready") throw new Error(`WebAssembly did not start: ${JSON.stringify(ready)}`);
  const end = ready.base + ready.bytes;
  if (end > WASM_PAGES * PAGE) {
    await worker.terminate();
    throw new QuernError(
      `the plan needs ${(end / 2 ** 30).toFixed(2)} GiB, and WebAssembly addresses 4 GiB; lower the batch, the ` +
        "sequence or the model's size, or install a C compiler",
    );
  }
  const missing = Math.ceil(end / PAGE) - memory.buffer.byteLength / PAGE;
  if (missing > 0) memory.grow(missing);
  return {
    memory: memory.buffer,
    base: ready.base,
    bytes: ready.bytes,
    async run(entry) {
      worker.ref();
      const answer = next();
      worker.postMessage(entry);
      const message = await answer.finally(() => worker.unref());
      if (message.kind === "failed") throw new Error(`the WebAssembly program failed: ${message.error}`);
    },
    close: () => {
      void worker.terminate();
    },
  };
}
