/** @file The `cpu` backend: C by the system's compiler, or by clang to WebAssembly where there is none. */
import { compileGraph, type Precision } from "../../compiler/index.js";
import { QuernError } from "../../errors.js";

import { DTYPE_BYTES, type DType, type Entries, sizeOf } from "../../tensor/index.js";
import { freeMemory } from "../free-memory.js";
import { bf16Pays } from "../machine.js";
import {
  arrayOf,
  fill,
  numbersOf,
  type Program,
  type Stored,
  slotOf,
  slotsOf,
  type Values,
  type Written,
} from "../program.js";
import { build } from "./build.js";
import { emitProgram } from "./emit.js";
import { emulator, loadEmulated } from "./emulated.js";
import { type Image, loadNative } from "./native.js";
import { chooseSet, defaultThreads, findCompiler } from "./toolchain.js";
import { loadWasm, refuseWasmPlan } from "./wasm.js";

function viewOf(dtype: DType, image: Image, offset: number, size: number): Stored {
  const [memory, start] = image.piece(offset, DTYPE_BYTES[dtype] * size);
  return new arrayOf[dtype](memory as ArrayBuffer, start, size);
}

export interface CpuOptions {
  readonly threads?: number;
  readonly cpu?: string;
  readonly precision?: Precision | "auto";
}

function load(library: string, native: boolean, threads: number): Image | Promise<Image> {
  if (!native) return loadWasm(library, threads);
  const command = emulator();
  return command ? loadEmulated(command, library) : loadNative(library);
}

/** @throws QuernError for an instruction set that does not run here, too little memory, or a compiler that fails */
export async function compileCpu(entries: Entries, options: CpuOptions): Promise<Program> {
  const slots = slotsOf(entries);
  const found = await findCompiler();
  const set = chooseSet(found, options.cpu);
  const compiler = set.name === "wasm" ? null : found;
  const threads = options.threads ?? defaultThreads();
  if (!Number.isInteger(threads) || threads < 1 || threads > 256) {
    throw new QuernError(`threads must be a whole number from 1 to 256, not ${threads}`, { exitCode: 2 });
  }
  const wanted = options.precision ?? "fp32";
  const precision = wanted !== "auto" ? wanted : set.bf16Products && (await bf16Pays()) ? "bf16" : "fp32";
  const graph = compileGraph(entries, true, precision);
  const { kernels, ...text } = emitProgram(graph, set, threads);
  if (!compiler && graph.memory.bytes > 2 ** 32) throw refuseWasmPlan(graph.memory.bytes);
  const free = freeMemory();
  if (graph.memory.bytes > free) {
    const gigabytes = (bytes: number) => `${(bytes / 2 ** 30).toFixed(2)} GiB`;
    throw new QuernError(
      `the plan needs ${gigabytes(graph.memory.bytes)} of memory and ${gigabytes(free)} are free; lower the batch, the ` +
        "sequence, the vocabulary or the model's width",
    );
  }
  const built = await build(text, set, compiler);
  const image = await load(built.library, compiler !== null, threads);
  const entryNumbers = new Map([...graph.entries.keys()].map((name, i) => [name, i] as const));

  const views = new Map<string, Stored>();
  for (const [name, { type }] of slots) {
    // What no kernel touches has no place in the arena; it keeps its value here.
    const buffer = graph.named.get(name);
    const offset = buffer && graph.memory.offsets.get(buffer);
    const view =
      offset === undefined
        ? new arrayOf[type.dtype](sizeOf(type.shape))
        : viewOf(type.dtype, image, offset, sizeOf(type.shape));
    views.set(name, view);
  }
  for (const buffer of graph.constants) {
    const offset = graph.memory.offsets.get(buffer) as number;
    viewOf("f32", image, offset, buffer.size).set(buffer.data as Float32Array);
  }

  let last: Promise<void> = Promise.resolve();
  let closed = false;
  const open = () => {
    if (closed) throw new Error("the program was disposed of");
  };
  const write = (name: string, data: Written) => {
    open();
    fill(views.get(name) as Stored, name, slotOf(slots, name).type, data);
  };

  return {
    plan: {
      backend: "cpu",
      target: set.name,
      threads,
      precision,
      arenaBytes: image.bytes,
      stateBytes: graph.memory.stateBytes,
      launches: Object.fromEntries([...graph.entries].map(([name, list]) => [name, list.length])),
      kernels,
      buildSeconds: built.seconds,
      cached: built.cached,
      source: built.source,
    },
    run(entry: string, values: Values = {}) {
      const number = entryNumbers.get(entry);
      if (number === undefined) throw new Error(`the program has no entry "${entry}"`);
      const result = last.then(() => {
        for (const [name, data] of Object.entries(values)) write(name, data);
        open();
        return image.run(number);
      });
      last = result.catch(() => {});
      return result;
    },
    read(name) {
      open();
      return numbersOf(views.get(name) as Stored, slotOf(slots, name).type.dtype);
    },
    write,
    dispose() {
      if (closed) return;
      closed = true;
      // A run in flight still uses the memory.
      void last.then(() => image.close());
    },
  };
}
