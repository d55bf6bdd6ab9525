/** @file Interface of a backend. Each backend is a folder here and a row of the table in index.ts. */
import type { CompiledGraph, ComputeDType, Limits, Run } from "../compiler/index.js";
import type { Entries, TensorType } from "../tensor/index.js";
import type { GpuReport, Machine } from "./machine.js";
import { Queue } from "./queue.js";
import type { Elements, Slot } from "./slots.js";

/** What programs are compiled for, chosen from a backend's options and this machine's features. */
export interface Target {
  /** Name of the instruction set, the interpreter or the GPU. */
  readonly name: string;
  readonly threads: number;
  /** Cache key: everything the files of `lower` depend on, except the graph and the engine's code. */
  readonly key: string;
  /** Files of `lower` that are checked before a program is loaded from the cache. */
  readonly files: readonly string[];
  /** The human-readable file of `lower`. */
  readonly source?: string;
  /** Whether bf16 products are faster than fp32 products on this target. */
  bf16Pays(): Promise<boolean>;
  /** Whether programs are in a device's own memory, not in this machine's. */
  readonly hasOwnMemory?: boolean;
  /** @throws QuernError if programs of this target cannot allocate `bytes` */
  requireMemory?(bytes: number): void;
  /** Releases what was reserved for a program that was never opened. */
  abandon?(): void;
}

/** @typeParam Options type of the options that `compile` accepts under the backend's name */
export interface Backend<Options = unknown, T extends Target = Target> {
  readonly name: string;
  /** Whether its programs can have dtype fp8. */
  readonly multipliesInFp8?: true;
  /**
   * @param beside a loaded program that the new one shares memory with; its device is used, and its options are the defaults
   * @param dtype the requested dtype; the fastest instruction set for bf16 is not always the widest
   * @throws QuernError if this machine does not support the options
   */
  choose(options: Options | undefined, beside: Image | null, dtype: ComputeDType | "auto"): Promise<T>;
  limits(target: T): Limits;
  /** Writes a program's files into a cache folder. Absent if the backend interprets the traced graph. */
  lower?(graph: CompiledGraph, target: T, folder: string): Promise<Lowered>;
  /** Loads a program. @throws QuernError if there is not enough memory */
  open(program: Loadable, target: T): Promise<Image>;
  /** Used by `quern doctor`. */
  readonly machine?: Machine;
  /** Describes the GPU that its programs would run on, or says why there is none. */
  examineGpu?(): Promise<GpuReport>;
}

export interface Lowered {
  /** Number of distinct kernels. */
  readonly kernels: number;
  /** Launches per run, if they are not one per kernel of the graph. */
  readonly launches?: Readonly<Record<string, number>>;
}

/** What is needed to run a compiled program; stored in the cache with its files. */
export interface Layout {
  /** Size of the arena in bytes, without variables and scratch. */
  readonly bytes: number;
  readonly kernels: number;
  readonly launches: Readonly<Record<string, number>>;
  /** The runs of each entry, one after the other; most have a single one of their own name. */
  readonly runs: Readonly<Record<string, readonly Run[]>>;
  /** Names of variables; the index is the variable's number. */
  readonly variables: readonly string[];
  /** Arena offsets of inputs and outputs, and of the graph's constants (`tablesOf`). */
  readonly named: readonly (readonly [name: string, offset: number])[];
  readonly tables: readonly (readonly [table: number, offset: number])[];
}

export interface Loadable {
  readonly entries: Entries;
  readonly slots: ReadonlyMap<string, Slot>;
  readonly dtype: ComputeDType;
  /** The folder that `lower` wrote to. */
  readonly folder: string;
  readonly layout: Layout;
  /** Data of the graph's constants, in tracing order. */
  readonly tables: readonly Float32Array[];
  /** Variables shared with other programs of this backend, by their names in this one. The backend allocates the rest. */
  readonly shared: ReadonlyMap<string, DeviceTensor>;
}

/** A loaded program with its memory. */
export interface Image {
  /** Bytes allocated for this program: the arena, and the variables that it does not share. */
  readonly bytes: number;
  /** Resources that a run occupies besides the program and its variables, such as the device's threads. */
  readonly queues: readonly Queue[];
  /** The memory of a variable, an input or an output. */
  tensor(name: string): DeviceTensor;
  /** @param run a name in the layout's `runs` */
  run(run: string): Promise<void>;
  /** Frees all but the variables, which other programs may share. */
  close(): void | Promise<void>;
}

/** Memory of variables, freed when its last program releases it. It is a queue: one operation at a time may use it. */
export class Storage extends Queue {
  #users = 0;
  readonly #free: () => void;

  constructor(free: () => void) {
    super();
    this.#free = free;
  }

  retain(): void {
    this.#users++;
  }

  release(): void {
    if (--this.#users === 0) this.#free();
  }
}

/** A tensor in a device's memory. */
export interface DeviceTensor {
  readonly type: TensorType;
  /** Owner of the memory; null for inputs and outputs, which belong to their program. */
  readonly storage: Storage | null;
  /** The memory itself, if JavaScript can access it. */
  host?(): Elements;
  /** Overwrites the whole tensor with a copy of `elements`. */
  write(elements: Elements): void;
  /** Returns a copy. */
  read(): Promise<Elements>;
  /** A tensor of `type` on the same memory, from element `from` on; absent where parts cannot be shared. */
  part?(type: TensorType, from: number): DeviceTensor;
}

/** A tensor in memory that JavaScript can access; `view` is called on first use. */
export function hostTensor(type: TensorType, storage: Storage | null, view: () => Elements): DeviceTensor {
  let memory: Elements | undefined;
  const host = () => {
    memory ??= view();
    return memory;
  };
  return {
    type,
    storage,
    host,
    write: (elements) => host().set(elements),
    read: async () => host().slice(),
  };
}
