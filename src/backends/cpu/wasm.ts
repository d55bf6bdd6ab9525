/**
 * @file Runs programs as WebAssembly. A heap is one shared memory with one worker thread per thread of the pool, so that a run
 * never blocks the event loop. The first worker runs the entries; the others wait inside a module for their share of each loop
 * (templates/pool.h). Programs that share variables are modules over the same heap; one of them runs at a time.
 *
 * Memory layout: slots from address 0, one per module, for its static data and the first worker's stack; then blocks
 * for other stacks, arenas and variables. A module is linked for its slot, so each slot needs its own file.
 */
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { builtModule } from "../../built-module.js";
import { fileError, QuernError } from "../../errors.js";
import { enqueue, Queue } from "../queue.js";
import { SLOT_BYTES, WASM_PAGES, WASM_STACK } from "./build.js";
import type { Block, Loaded } from "./loaded.js";

const PAGE = 65536;
/** Maximum number of programs in one heap. */
const SLOTS = 32;

/** Exports of a program's module. */
export interface WasmExports extends WebAssembly.Exports {
  /** Address at which its static data and stack end. */
  quern_end(): number;
  /** Size of the arena in bytes. */
  quern_bytes(): number;
  quern_bind(arena: number, binding: number, memory: number): void;
  quern_run(arena: number, entry: number): void;
  /** Runs tasks until the host calls `quern_leave`. `seen` is the number of rounds handled so far; returns the new number. */
  quern_work(worker: number, seen: number): number;
  quern_leave(): void;
  readonly __stack_pointer: { value: number };
}

/** A worker's start data. */
export interface WasmThread {
  readonly memory: WebAssembly.Memory;
  readonly worker: number;
  /** Top of its stack; null for the first worker, which uses each module's own. */
  readonly stack: number | null;
}

/** Request to a worker: load or unload a module, run an entry (first worker), run a module's tasks (the others). */
export type WorkerRequest =
  | { readonly kind: "load"; readonly slot: number; readonly module: WebAssembly.Module }
  | { readonly kind: "unload"; readonly slot: number }
  | { readonly kind: "run"; readonly slot: number; readonly arena: number; readonly entry: number }
  | { readonly kind: "work"; readonly slot: number };

/** A worker's reply. */
export type WorkerAnswer =
  | { readonly kind: "loaded"; readonly slot: number }
  | { readonly kind: "done" }
  | { readonly kind: "left" }
  | { readonly kind: "failed"; readonly error: string };

/** Error for a plan that exceeds 32-bit addresses. */
export function refuseWasmPlan(bytes: number): QuernError {
  return new QuernError(
    `the plan needs ${(bytes / 2 ** 30).toFixed(2)} GiB, but WebAssembly can address only 4 GiB; reduce the batch size, ` +
      "the sequence length or the model size, or install a C compiler",
  );
}

/** One shared memory, its threads, and the programs loaded into it. */
export class WasmHeap extends Queue {
  readonly #memory: WebAssembly.Memory;
  readonly #workers: Worker[];
  /** Free ranges, in bytes. */
  #free: { readonly start: number; readonly end: number }[] = [];
  #end = SLOTS * SLOT_BYTES;
  /** Slots in use. Slot 0 belongs to the program that the heap was created for. */
  readonly #slots = new Set([0]);
  readonly #programs = new Map<number, WasmExports>();
  /** Slot of the module inside which all workers but the first wait. */
  #working: number | null = null;
  #failure: Error | null = null;
  readonly #waiting = new Set<(answer: WorkerAnswer, worker: Worker) => void>();
  #fail: ((error: Error) => void)[] = [];

  /** @throws QuernError if the memory cannot be allocated */
  constructor(readonly threads: number) {
    super();
    try {
      this.#memory = new WebAssembly.Memory({
        initial: (SLOTS * SLOT_BYTES) / PAGE,
        maximum: WASM_PAGES,
        shared: true,
      });
    } catch (error) {
      throw new QuernError(
        "cannot allocate WebAssembly memory; raise the process's memory limit, or install a C compiler",
        { cause: error },
      );
    }
    this.#workers = Array.from({ length: threads }, (_, worker) => {
      const stack = worker === 0 ? null : this.allocate(WASM_STACK).address + WASM_STACK;
      const workerData: WasmThread = { memory: this.#memory, worker, stack };
      return new Worker(builtModule(new URL("./wasm-worker.js", import.meta.url)), { workerData, execArgv: [] });
    });
    for (const worker of this.#workers) {
      // The others would wait for a failed worker forever, so terminate all and reject pending operations.
      const failed = (error: unknown) => {
        this.#failure ??= new Error(`the WebAssembly program failed: ${error}`);
        this.#close();
        for (const fail of this.#fail) fail(this.#failure);
      };
      worker.on("error", failed);
      worker.on("message", (answer: WorkerAnswer) => {
        if (answer.kind === "failed") failed(answer.error);
        else for (const listen of this.#waiting) listen(answer, worker);
      });
    }
  }

  /** Reserves a slot for one more program. */
  reserve(): number {
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.#slots.has(slot)) continue;
      this.#slots.add(slot);
      return slot;
    }
    throw new QuernError(
      `at most ${SLOTS} programs can share one memory in WebAssembly; dispose those you no longer use`,
    );
  }

  release(slot: number): void {
    this.#slots.delete(slot);
    if (this.#slots.size === 0) this.#close();
  }

  /** Allocates zeroed memory, aligned to 64 bytes. */
  allocate(bytes: number): WasmBlock {
    const size = Math.ceil(bytes / 64) * 64;
    const hole = this.#free.find(({ start, end }) => end - start >= size);
    const start = hole?.start ?? this.#end;
    if (hole) {
      this.#free = this.#free.flatMap((each) =>
        each !== hole ? [each] : each.start + size < each.end ? [{ start: start + size, end: each.end }] : [],
      );
      new Uint8Array(this.#memory.buffer, start, size).fill(0);
    } else {
      this.#grow(start + size);
      this.#end = start + size;
    }
    return new WasmBlock(this, start, bytes, () => this.#giveBack(start, start + size));
  }

  #giveBack(start: number, end: number): void {
    const before = this.#free.find((piece) => piece.end === start);
    const after = this.#free.find((piece) => piece.start === end);
    this.#free = this.#free.filter((piece) => piece !== before && piece !== after);
    this.#free.push({ start: before?.start ?? start, end: after?.end ?? end });
  }

  #grow(end: number): void {
    if (end > WASM_PAGES * PAGE) throw refuseWasmPlan(end);
    const missing = Math.ceil(end / PAGE) - this.#memory.buffer.byteLength / PAGE;
    try {
      if (missing > 0) this.#memory.grow(missing);
    } catch (error) {
      throw new QuernError(
        `cannot grow WebAssembly memory to the ${(end / 2 ** 30).toFixed(2)} GiB that the plan needs; ` +
          "reduce the batch size, the sequence length or the model size",
        { cause: error },
      );
    }
  }

  get buffer(): ArrayBuffer | SharedArrayBuffer {
    return this.#memory.buffer;
  }

  /** Loads the module linked for a slot; releases the slot on failure. */
  async load(library: string, slot: number): Promise<Loaded> {
    try {
      const module = await WebAssembly.compile(await readFile(library));
      // Must happen between runs, because the workers have to leave the module inside which they wait.
      return await enqueue([this], () => this.#load(module, library, slot));
    } catch (error) {
      this.release(slot);
      throw error;
    }
  }

  async #load(module: WebAssembly.Module, library: string, slot: number): Promise<Loaded> {
    let program: WasmExports;
    try {
      program = (await WebAssembly.instantiate(module, { env: { memory: this.#memory } })).exports as WasmExports;
    } catch (error) {
      throw fileError(error, "load", library);
    }
    if (program.quern_end() >>> 0 > (slot + 1) * SLOT_BYTES) throw new Error("the module is larger than its slot");
    await this.#leave();
    const loaded = this.#answers("loaded", this.#workers);
    for (const worker of this.#workers) {
      worker.ref();
      this.#post(worker, { kind: "load", slot, module });
    }
    await loaded;
    // Waiting workers must not keep the process alive.
    for (const worker of this.#workers) worker.unref();
    this.#programs.set(slot, program);
    const arena = this.allocate(program.quern_bytes());
    return {
      arena,
      queues: [this],
      allocate: (bytes) => this.allocate(bytes),
      bind: (variable, block, offset) =>
        program.quern_bind(arena.address, 1 + variable, (block as WasmBlock).address + offset),
      run: (entry) => this.#run(slot, arena.address, entry),
      close: () => {
        arena.free();
        return this.#unload(slot);
      },
    };
  }

  async #run(slot: number, arena: number, entry: number): Promise<void> {
    const [first, ...others] = this.#workers;
    if (this.#working !== slot) {
      await this.#leave();
      for (const worker of others) this.#post(worker, { kind: "work", slot });
      this.#working = slot;
    }
    const done = this.#answers("done", [first]);
    first.ref();
    this.#post(first, { kind: "run", slot, arena, entry });
    await done.finally(() => first.unref());
  }

  /** Makes all workers but the first leave their module, so that they receive messages again. */
  async #leave(): Promise<void> {
    if (this.#working === null) return;
    const others = this.#workers.slice(1);
    const left = this.#answers("left", others);
    // Without ref() the process could end here, if nothing else keeps it alive.
    for (const worker of others) worker.ref();
    this.#programs.get(this.#working)?.quern_leave();
    this.#working = null;
    await left.finally(() => {
      for (const worker of others) worker.unref();
    });
  }

  async #unload(slot: number): Promise<void> {
    if (this.#working === slot) await this.#leave();
    this.#programs.delete(slot);
    for (const worker of this.#workers) this.#post(worker, { kind: "unload", slot });
    // The next module in this slot expects zeros, including the flag that its data segment was copied.
    new Uint8Array(this.#memory.buffer, slot * SLOT_BYTES, SLOT_BYTES).fill(0);
    this.release(slot);
  }

  #post(worker: Worker, request: WorkerRequest): void {
    worker.postMessage(request);
  }

  /** Resolves when each of these workers has posted a reply of this kind. */
  #answers(kind: WorkerAnswer["kind"], of: readonly Worker[]): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure) throw this.#failure;
      let missing = of.length;
      if (missing === 0) return resolve();
      const end = () => {
        this.#waiting.delete(listen);
        this.#fail = this.#fail.filter((fail) => fail !== reject);
      };
      const listen = (answer: WorkerAnswer, worker: Worker) => {
        if (answer.kind !== kind || !of.includes(worker) || --missing > 0) return;
        end();
        resolve();
      };
      this.#waiting.add(listen);
      this.#fail.push(reject);
    });
  }

  #close(): void {
    for (const worker of this.#workers) void worker.terminate();
  }
}

export class WasmBlock implements Block {
  constructor(
    readonly heap: WasmHeap,
    readonly address: number,
    readonly bytes: number,
    readonly free: () => void,
  ) {}

  piece(offset: number): readonly [ArrayBuffer | SharedArrayBuffer, number] {
    return [this.heap.buffer, this.address + offset];
  }
}
