/** @file The `cpu` backend: compiles C with the system's compiler, or to WebAssembly with clang if there is none. */
import { join } from "node:path";
import { HOST_LIMITS, type Limits } from "../../compiler/index.js";
import { QuernError } from "../../errors.js";
import { type BlockDType, bytesOf, type TensorType } from "../../tensor/index.js";
import {
  type Backend,
  type DeviceTensor,
  hostTensor,
  type Image,
  type Loadable,
  Storage,
  type Target,
} from "../backend.js";
import { elementsAt } from "../slots.js";
import { build, clangVersion, keyOfTools, libraryOf, SOURCE_FILE, type Tools } from "./build.js";
import { emitProgram } from "./emit.js";
import { emulator, loadEmulated } from "./emulated.js";
import { INSTRUCTION_SETS, type InstructionSet } from "./instruction-sets.js";
import type { Block, Loaded } from "./loaded.js";
import { loadNative } from "./native.js";
import { bf16Pays, fastestInBf16, limitOf, measurePeak, peakOnce } from "./peak.js";
import { type Compiler, chooseSet, defaultThreads, findCompiler, runnableSets } from "./toolchain.js";
import { refuseWasmPlan, WasmHeap } from "./wasm.js";
import { isRearranged, rearrange, storedBytes } from "./weight-layout.js";

export interface CpuOptions {
  /** Number of threads. Default: `QUERN_THREADS`, else all cores. */
  readonly threads?: number;
  /** Name of an instruction set. Default: `QUERN_CPU`, else the widest that this machine supports. */
  readonly instructionSet?: string;
}

interface CpuTarget extends Target {
  readonly tools: Tools;
  /** The instruction set that the caller requested, if any. */
  readonly given: string | undefined;
  /** The existing WebAssembly heap that the program is loaded into; null if it gets its own. */
  readonly heap: WasmHeap | null;
}

/** A program of this backend with its memory. */
interface CpuImage extends Image {
  readonly set: InstructionSet;
  /** The instruction set that the caller requested; programs that share its memory use it too. */
  readonly given: string | undefined;
  readonly threads: number;
  readonly heap: WasmHeap | null;
}

/** Limits of the programs of an instruction set, by name; those of the host for any other target. */
export const limitsOfSet = (target: string | undefined): Limits => ({
  ...HOST_LIMITS,
  storesBf16: INSTRUCTION_SETS.some(({ name, tiles }) => name === target && tiles),
});

export const cpu: Backend<CpuOptions, CpuTarget> = {
  name: "cpu",

  async choose(options = {}, beside, dtype) {
    const neighbour = beside as CpuImage | null;
    const heap = neighbour?.heap ?? null;
    const slot = heap?.reserve() ?? 0;
    const abandon = () => heap?.release(slot);
    try {
      const found = await findCompiler();
      const given = options.instructionSet ?? neighbour?.given;
      const set =
        dtype === "fp32" || given || process.env.QUERN_CPU ? chooseSet(found, given) : await measuredSet(found);
      const threads = options.threads ?? neighbour?.threads ?? defaultThreads();
      if (!Number.isInteger(threads) || threads < 1 || threads > 256) {
        throw new QuernError(`threads must be a whole number from 1 to 256, not ${threads}`, { exitCode: 2 });
      }
      if (neighbour) requireSameDevice(neighbour, set, threads);
      const compiler = set.name === "wasm" ? null : found;
      const tools = { set, compiler, slot };
      return {
        name: set.name,
        threads,
        key: JSON.stringify([set.name, threads, process.env.QUERN_PROFILE, await keyOfTools(tools)]),
        files: [libraryOf(tools)],
        source: SOURCE_FILE,
        bf16Pays: () => bf16Pays(set),
        requireMemory(bytes) {
          if (compiler === null && bytes > 2 ** 32) throw refuseWasmPlan(bytes);
        },
        abandon,
        tools,
        given,
        heap,
      };
    } catch (error) {
      abandon();
      throw error;
    }
  },

  limits: ({ tools }) => limitsOfSet(tools.set.name),

  async lower(graph, { tools, threads }, folder) {
    const emitted = emitProgram(graph, tools.set, threads);
    await build(emitted, tools, folder);
    return emitted;
  },

  async open(program, target) {
    const { tools, threads } = target;
    const heap = target.heap ?? (tools.compiler === null ? new WasmHeap(threads) : null);
    const loaded = await load(program, target, heap);
    try {
      return createImage(program, loaded, { set: tools.set, given: target.given, threads, heap });
    } catch (error) {
      await loaded.close();
      throw error;
    }
  },

  machine: {
    async examine() {
      const compiler = await findCompiler();
      return {
        compiler: compiler === null ? null : { command: compiler.command, version: compiler.version },
        clang: await clangVersion().catch(() => null),
        instructionSet: chooseSet(compiler, undefined).name,
        instructionSets: runnableSets(compiler).map(({ name }) => name),
        threads: defaultThreads(),
      };
    },
    measurePeak,
    peakOnce,
    limitOf,
    async bf16Row(peak) {
      const compiler = await findCompiler();
      return process.env.QUERN_CPU
        ? chooseSet(compiler, undefined).name
        : fastestInBf16(runnableSets(compiler), peak).name;
    },
  },
};

/** The instruction set with the fastest bf16 products; the widest one if nothing can be measured. */
async function measuredSet(compiler: Compiler | null): Promise<InstructionSet> {
  const sets = runnableSets(compiler);
  if (!sets.some((set) => set.bf16Products)) return sets[0];
  return peakOnce({ threads: 1 }).then(
    (peak) => fastestInBf16(sets, peak),
    () => sets[0],
  );
}

/** Native programs can share variables across instruction sets and thread counts; a WebAssembly heap has its own threads. */
function requireSameDevice({ heap, threads, set }: CpuImage, other: InstructionSet, wanted: number): void {
  if ((set.name === "wasm") !== (other.name === "wasm")) {
    throw new QuernError(`a program for ${other.name} cannot share variables with one for ${set.name}`, {
      exitCode: 2,
    });
  }
  if (heap && threads !== wanted) {
    throw new QuernError(
      `programs that share variables in WebAssembly must have the same number of threads: ${threads}, not ${wanted}`,
      { exitCode: 2 },
    );
  }
}

function load({ folder, layout, slots }: Loadable, { tools, threads }: CpuTarget, heap: WasmHeap | null) {
  const library = join(folder, libraryOf(tools));
  if (heap) return heap.load(library, tools.slot);
  const command = emulator();
  if (!command) return loadNative(library, threads);
  return loadEmulated(
    command,
    library,
    layout.variables.map((name) => storedBytes(slots.get(name)?.type as TensorType)),
  );
}

function viewOf(block: Block, offset: number, type: TensorType) {
  return elementsAt(type, ...block.piece(offset, bytesOf(type)));
}

/** A variable in blocks, whose memory has the kernels' layout. */
function blockedTensor(type: TensorType, storage: Storage, block: Block, offset: number): DeviceTensor {
  const groups = () => {
    const [memory, start] = block.piece(offset, storedBytes(type));
    return new Uint8Array(memory, start, storedBytes(type));
  };
  const dtype = type.dtype as BlockDType;
  return {
    type,
    storage,
    write: (elements) => rearrange(dtype, type.shape[1], elements as Uint8Array, groups(), "to groups"),
    async read() {
      const rows = new Uint8Array(bytesOf(type));
      rearrange(dtype, type.shape[1], rows, groups(), "to rows");
      return rows;
    },
  };
}

/** A variable and its location in memory. */
interface Variable extends DeviceTensor {
  readonly block: Block;
  readonly offset: number;
}

function createImage(
  { entries, slots, layout, tables, shared }: Loadable,
  loaded: Loaded,
  device: Pick<CpuImage, "set" | "given" | "threads" | "heap">,
): CpuImage {
  const { arena } = loaded;
  const tensors = new Map<string, DeviceTensor>();
  const typeOf = (name: string) => slots.get(name)?.type as TensorType;
  const own = placeVariables(
    layout.variables.filter((name) => !shared.has(name)),
    typeOf,
    loaded,
  );
  layout.variables.forEach((name, number) => {
    const variable = (shared.get(name) ?? own.variables.get(name)) as Variable;
    tensors.set(name, variable);
    loaded.bind(number, variable.block, variable.offset, storedBytes(variable.type));
  });
  for (const [i, offset] of layout.tables) {
    const data = tables[i];
    (viewOf(arena, offset, { dtype: "f32", shape: [data.length] }) as Float32Array).set(data);
  }
  for (const [name, offset] of layout.named) {
    const type = typeOf(name);
    // Created on first use: hundreds of views take a while to create.
    tensors.set(
      name,
      hostTensor(type, null, () => viewOf(arena, offset, type)),
    );
  }
  const numbers = new Map(
    Object.keys(entries)
      .flatMap((entry) => layout.runs[entry])
      .map(({ name }, i) => [name, i] as const),
  );
  return {
    ...device,
    bytes: arena.bytes + own.bytes,
    queues: loaded.queues,
    tensor(name) {
      const known = tensors.get(name);
      if (known) return known;
      // An input that no kernel reads has no place in the arena; its value is stored here.
      const type = typeOf(name);
      const tensor = hostTensor(type, null, () => elementsAt(type, new ArrayBuffer(bytesOf(type))));
      tensors.set(name, tensor);
      return tensor;
    },
    run: (run) => loaded.run(numbers.get(run) as number),
    close: () => loaded.close(),
  };
}

/** Allocates variables in one block of memory. */
function placeVariables(names: readonly string[], typeOf: (name: string) => TensorType, loaded: Loaded) {
  const { alignment } = HOST_LIMITS;
  const variables = new Map<string, Variable>();
  if (names.length === 0) return { variables, bytes: 0 };
  const offsets: number[] = [];
  let bytes = 0;
  for (const name of names) {
    offsets.push(bytes);
    bytes += Math.ceil(storedBytes(typeOf(name)) / alignment) * alignment;
  }
  const block = loaded.allocate(bytes);
  const storage = new Storage(() => block.free());
  names.forEach((name, i) => {
    const type = typeOf(name);
    const tensor = isRearranged(type)
      ? blockedTensor(type, storage, block, offsets[i])
      : hostTensor(type, storage, () => viewOf(block, offsets[i], type));
    const part = (piece: TensorType, from: number): Variable => {
      const offset = offsets[i] + bytesOf({ ...piece, shape: [from] });
      return { ...hostTensor(piece, storage, () => viewOf(block, offset, piece)), block, offset };
    };
    variables.set(name, { ...tensor, block, offset: offsets[i], ...(type.dtype === "f32" && { part }) });
  });
  return { variables, bytes };
}
