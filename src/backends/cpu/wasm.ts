/**
 * @file Runs a program as WebAssembly: a worker thread a thread of the program's pool, all over one shared memory, so
 * that a run never blocks the event loop. The first worker runs the entries; the others wait inside the module for
 * their share of each loop (templates/pool.h).
 *
 * Memory from address 0: static data and the first worker's stack, the other workers' stacks, the arena.
 */
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { builtModule } from "../../built-module.js";
import { fileError, QuernError } from "../../errors.js";
import { WASM_PAGES, WASM_STACK } from "./build.js";
import type { Image } from "./native.js";

const PAGE = 65536;
/** For static data and the first stack; the rest is grown behind them. */
const INITIAL_PAGES = 64;

/** What a program's module exports. */
export interface WasmExports extends WebAssembly.Exports {
  /** Where memory is free, a multiple of 64. */
  quern_base(): number;
  /** Bytes of the arena. */
  quern_bytes(): number;
  quern_run(arena: number, entry: number): void;
  /** Waits for tasks and does them, for ever. */
  quern_work(worker: number): void;
  readonly __stack_pointer: { value: number };
}

/** What a worker is given. */
export interface WasmThread {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly worker: number;
  /** The top of its stack; the first worker's is the module's own. */
  readonly stack: number | null;
  /** Address of the arena. */
  readonly arena: number;
}

/** What a worker answers. */
export type WorkerMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly error: string };

/** What a plan that 32-bit addresses cannot reach is answered with. */
export function refuseWasmPlan(bytes: number): QuernError {
  return new QuernError(
    `the plan needs ${(bytes / 2 ** 30).toFixed(2)} GiB, and WebAssembly addresses 4 GiB; lower the batch, the ` +
      "sequence or the model's size, or install a C compiler",
  );
}

/**
 * @param threads the number that the program was emitted for
 * @throws QuernError if the plan does not fit the 4 GiB that WebAssembly can address, or the memory is not there
 */
export async function loadWasm(library: string, threads: number): Promise<Image> {
  const module = await WebAssembly.compile(await readFile(library));
  let memory: WebAssembly.Memory;
  let program: WasmExports;
  try {
    memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum: WASM_PAGES, shared: true });
    program = (await WebAssembly.instantiate(module, { env: { memory } })).exports as WasmExports;
  } catch (error) {
    throw fileError(error, "load", library);
  }
  const bytes = program.quern_bytes();
  // Addresses above 2 GiB come back negative.
  const stacks = program.quern_base() >>> 0;
  const arena = stacks + (threads - 1) * WASM_STACK;
  if (arena + bytes > WASM_PAGES * PAGE) throw refuseWasmPlan(arena + bytes);
  const missing = Math.ceil((arena + bytes) / PAGE) - memory.buffer.byteLength / PAGE;
  try {
    if (missing > 0) memory.grow(missing);
  } catch (error) {
    throw new QuernError(
      `the plan needs ${((arena + bytes) / 2 ** 30).toFixed(2)} GiB of memory, which this machine does not give to ` +
        "WebAssembly; lower the batch, the sequence or the model's size",
      { cause: error },
    );
  }

  const workers = Array.from({ length: threads }, (_, worker) => {
    const stack = worker === 0 ? null : stacks + worker * WASM_STACK;
    const workerData: WasmThread = { module, memory, worker, stack, arena };
    return new Worker(builtModule(new URL("./wasm-worker.js", import.meta.url)), { workerData });
  });
  const close = () => {
    for (const worker of workers) void worker.terminate();
  };
  // One that fails leaves the others waiting for it: all are ended, and so is whatever was under way.
  let failure: Error | null = null;
  let fail: (error: Error) => void = () => {};
  for (const worker of workers) {
    const failed = (error: unknown) => {
      failure ??= new Error(`the WebAssembly program failed: ${error}`);
      close();
      fail(failure);
    };
    worker.on("error", failed);
    worker.on("message", (message: WorkerMessage) => message.kind === "failed" && failed(message.error));
  }
  const answer = (kind: WorkerMessage["kind"], of: readonly Worker[]) =>
    new Promise<void>((resolve, reject) => {
      if (failure) throw failure;
      fail = reject;
      let waiting = of.length;
      for (const worker of of) {
        const listen = (message: WorkerMessage) => {
          if (message.kind !== kind) return;
          worker.off("message", listen);
          if (--waiting === 0) resolve();
        };
        worker.on("message", listen);
      }
    });
  await answer("ready", workers);
  // The process may end while they wait for work.
  for (const worker of workers) worker.unref();

  const [first] = workers;
  return {
    bytes,
    piece: (offset) => [memory.buffer, arena + offset],
    async run(entry) {
      first.ref();
      const done = answer("done", [first]);
      first.postMessage(entry);
      await done.finally(() => first.unref());
    },
    close,
  };
}
