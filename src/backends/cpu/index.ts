/** @file The `cpu` backend: C by the system's compiler, or by clang to WebAssembly where there is none. */
import { type Buffer, type CompiledGraph, compileGraph, type Precision } from "../../compiler/index.js";
import { QuernError } from "../../errors.js";
import { DTYPE_BYTES, type DType, type Entries, isOp, nodesOf, sizeOf, type TensorType } from "../../tensor/index.js";
import { freeMemory } from "../free-memory.js";
import { bf16Pays } from "../machine.js";
import {
  arrayOf,
  fill,
  givenInputs,
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
import { engineKey, graphKey } from "./program-key.js";
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

/** What running a program needs to know of what was compiled: kept in the cache beside its library. */
interface Layout {
  /** Of the arena, without scratch. */
  readonly bytes: number;
  readonly stateBytes: number;
  readonly kernels: number;
  readonly launches: Readonly<Record<string, number>>;
  /** Offsets in the arena of variables, inputs and outputs, and of the graph's tables (`tablesOf`). */
  readonly named: readonly (readonly [name: string, offset: number])[];
  readonly tables: readonly (readonly [table: number, offset: number])[];
}

function layoutOf({ entries, memory, named, constants }: CompiledGraph, traced: Entries, kernels: number): Layout {
  const tables = tablesOf(traced);
  const at = (buffer: Buffer) => memory.offsets.get(buffer) as number;
  return {
    bytes: memory.bytes,
    stateBytes: memory.stateBytes,
    kernels,
    launches: Object.fromEntries([...entries].map(([name, list]) => [name, list.length])),
    named: [...named].map(([name, buffer]) => [name, at(buffer)]),
    tables: constants.map((buffer) => [tables.indexOf(buffer.data as Float32Array), at(buffer)]),
  };
}

/** The data of a graph's constants, in the order of tracing. */
function tablesOf(entries: Entries): Float32Array[] {
  return nodesOf(...Object.values(entries)).flatMap((node) => (isOp(node, "constant") ? [node.attributes.data] : []));
}

/** @throws QuernError if the plan does not fit into the memory that is free, or that WebAssembly addresses */
function requireMemory(bytes: number, native: boolean): void {
  if (!native && bytes > 2 ** 32) throw refuseWasmPlan(bytes);
  const free = freeMemory();
  if (bytes <= free) return;
  const gigabytes = (size: number) => `${(size / 2 ** 30).toFixed(2)} GiB`;
  throw new QuernError(
    `the plan needs ${gigabytes(bytes)} of memory and ${gigabytes(free)} are free; lower the batch, the ` +
      "sequence, the vocabulary or the model's width",
  );
}

/** @throws QuernError for an instruction set that does not run here, too little memory, or a compiler that fails */
export async function compileCpu(entries: Entries, options: CpuOptions): Promise<Program> {
  const slots = slotsOf(entries);
  const finding = findCompiler();
  const graph = graphKey(entries); // while the compiler is asked
  const found = await finding;
  const set = chooseSet(found, options.cpu);
  const compiler = set.name === "wasm" ? null : found;
  const threads = options.threads ?? defaultThreads();
  if (!Number.isInteger(threads) || threads < 1 || threads > 256) {
    throw new QuernError(`threads must be a whole number from 1 to 256, not ${threads}`, { exitCode: 2 });
  }
  const wanted = options.precision ?? "fp32";
  const precision = wanted !== "auto" ? wanted : set.bf16Products && (await bf16Pays()) ? "bf16" : "fp32";
  const emit = () => {
    const compiled = compileGraph(entries, true, precision);
    requireMemory(compiled.memory.bytes, compiler !== null);
    const { kernels, ...files } = emitProgram(compiled, set, threads);
    return { ...files, note: JSON.stringify(layoutOf(compiled, entries, kernels)) };
  };
  const key = [graph, engineKey(), set.name, precision, threads, process.env.QUERN_PROFILE].join(" ");
  const built = await build(key, emit, set, compiler);
  const layout = JSON.parse(built.note) as Layout;
  requireMemory(layout.bytes, compiler !== null);
  const image = await load(built.library, compiler !== null, threads);
  const entryNumbers = new Map(Object.keys(entries).map((name, i) => [name, i] as const));
  const offsets = new Map(layout.named);
  const tables = tablesOf(entries);
  for (const [i, offset] of layout.tables) viewOf("f32", image, offset, tables[i].length).set(tables[i]);

  const views = new Map<string, Stored>();
  /** The memory of what is called so, seen when it is first asked for: hundreds of views take a while to make. */
  const viewOfSlot = (name: string, { shape, dtype }: TensorType): Stored => {
    const known = views.get(name);
    if (known) return known;
    const offset = offsets.get(name);
    // What no kernel touches has no place in the arena; it keeps its value here.
    const view = offset === undefined ? new arrayOf[dtype](sizeOf(shape)) : viewOf(dtype, image, offset, sizeOf(shape));
    views.set(name, view);
    return view;
  };

  const given = givenInputs(entries);
  let last: Promise<void> = Promise.resolve();
  let closed = false;
  const open = () => {
    if (closed) throw new QuernError("the program was disposed of, and cannot be used any more");
  };
  const write = (name: string, data: Written) => {
    open();
    const { type } = slotOf(slots, name);
    fill(viewOfSlot(name, type), name, type, data);
    given.add(name);
  };

  return {
    plan: {
      backend: "cpu",
      target: set.name,
      threads,
      precision,
      arenaBytes: image.bytes,
      stateBytes: layout.stateBytes,
      launches: layout.launches,
      kernels: layout.kernels,
      buildSeconds: built.seconds,
      cached: built.cached,
      source: built.source,
    },
    run(entry: string, values: Values = {}) {
      const result = last.then(() => {
        for (const [name, data] of Object.entries(values)) write(name, data);
        given.check(entry);
        open();
        return image.run(entryNumbers.get(entry) as number);
      });
      last = result.catch(() => {});
      return result;
    },
    async read(name) {
      open();
      const { type } = slotOf(slots, name);
      await last;
      open();
      return numbersOf(viewOfSlot(name, type), type.dtype);
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
