/** @file A target of the compiler: a folder beside this file, and a row of the table in index.ts. */
import type { CompiledGraph, Limits, Precision } from "../compiler/index.js";
import type { Entries, TensorType } from "../tensor/index.js";
import type { Machine } from "./machine.js";
import { Queue } from "./queue.js";
import type { Elements, Slot } from "./slots.js";

/** What programs are compiled for, chosen from a backend's options and what this machine has. */
export interface Target {
  /** The instruction set's row, the interpreter, the GPU's name. */
  readonly name: string;
  readonly threads: number;
  /** All but the graph and the engine that the files of `lower` depend on. */
  readonly key: string;
  /** The files of `lower` that must be whole for a program to be loaded from the cache. */
  readonly files: readonly string[];
  /** The file of `lower` that a person can read. */
  readonly source?: string;
  /** Whether products of bf16 are faster here than those of fp32. */
  bf16Pays(): Promise<boolean>;
  /** @throws QuernError where programs of this target cannot have so much memory */
  requireMemory?(bytes: number): void;
  /** Gives back what was reserved for a program that is not opened after all. */
  abandon?(): void;
}

/** @typeParam Options what `compile` takes under the backend's name */
export interface Backend<Options = unknown, T extends Target = Target> {
  readonly name: string;
  /**
   * @param beside a loaded program that the new one shares memory with: its device, and its options unless others are given
   * @throws QuernError for options that this machine cannot follow
   */
  choose(options: Options | undefined, beside: Image | null): Promise<T>;
  limits(target: T): Limits;
  /** Writes a program's files into a folder of the cache. Absent where the graph is interpreted as it was traced. */
  lower?(graph: CompiledGraph, target: T, folder: string): Promise<Lowered>;
  /** Loads a program. @throws QuernError if there is not enough memory */
  open(program: Loadable, target: T): Promise<Image>;
  /** What `quern doctor` asks. */
  readonly machine?: Machine;
}

export interface Lowered {
  /** Distinct kernels. */
  readonly kernels: number;
}

/** What running a program needs to know of what was compiled: kept in the cache beside its files. */
export interface Layout {
  /** Of the arena, without variables and scratch. */
  readonly bytes: number;
  readonly kernels: number;
  readonly launches: Readonly<Record<string, number>>;
  /** Names of variables, in the order of their numbers. */
  readonly variables: readonly string[];
  /** Offsets in the arena of inputs and outputs, and of the graph's tables (`tablesOf`). */
  readonly named: readonly (readonly [name: string, offset: number])[];
  readonly tables: readonly (readonly [table: number, offset: number])[];
}

export interface Loadable {
  readonly entries: Entries;
  readonly slots: ReadonlyMap<string, Slot>;
  readonly dtype: Precision;
  /** Where `lower` wrote. */
  readonly folder: string;
  readonly layout: Layout;
  /** The data of the graph's constants, in the order of tracing. */
  readonly tables: readonly Float32Array[];
  /** Memory of variables that other programs of this backend have, by the names here; the backend makes the others'. */
  readonly shared: ReadonlyMap<string, DeviceTensor>;
}

/** A loaded program with its memory. */
export interface Image {
  /** Allocated for it: the arena, and the variables that it does not share. */
  readonly bytes: number;
  /** What a run needs for itself beside the program and its variables: the device's threads. */
  readonly queues: readonly Queue[];
  /** The memory of a variable, an input or an output. */
  tensor(name: string): DeviceTensor;
  run(entry: string): Promise<void>;
  /** Frees all but the variables, which other programs may share. */
  close(): void | Promise<void>;
}

/** Memory of variables: it lives as long as a program uses it, and one operation at a time does. */
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
  /** What holds it; null for inputs and outputs, which their program holds. */
  readonly storage: Storage | null;
  /** The memory itself, where JavaScript reaches it. */
  host?(): Elements;
  /** Overwrites the whole tensor with a copy of the values. */
  write(elements: Elements): void;
  /** A copy of it. */
  read(): Promise<Elements>;
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
