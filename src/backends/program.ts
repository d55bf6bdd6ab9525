/** @file The seam between graphs and machines: what a compiled program can do, whatever runs it. */
import type { Precision } from "../compiler/index.js";
import { QuernError } from "../errors.js";
import {
  bfloat16ToFloat,
  castNumber,
  type DType,
  type Entries,
  floatToBfloat16,
  floatToHalf,
  halfToFloat,
  isOp,
  type Node,
  nodesOf,
  ShapeError,
  sameShape,
  sizeOf,
  type TensorType,
} from "../tensor/index.js";

/** What a run is given by name: numbers for scalars, arrays for tensors. */
export type Values = Readonly<Record<string, number | ArrayLike<number>>>;

export type Written = number | ArrayLike<number> | ((values: Float32Array) => void);

/** What the compiler made of a graph, in numbers. */
export interface Plan {
  readonly backend: string;
  /** The instruction set's row, or the interpreter. */
  readonly target: string;
  readonly threads: number;
  /** What products are made of: what was asked for, or what `auto` came to. */
  readonly precision: Precision;
  /** Bytes of all memory that the program will ever touch, allocated once. */
  readonly arenaBytes: number;
  /** Bytes of variables alone. */
  readonly stateBytes: number;
  /** Kernel launches of each entry, and how many distinct kernels were emitted for them all. */
  readonly launches: Readonly<Record<string, number>>;
  readonly kernels: number;
  /** Seconds spent building; 0.0 something when the cache had it. */
  readonly buildSeconds: number;
  readonly cached: boolean;
  /** The emitted source file in the cache, if there is one. */
  readonly source?: string;
}

export interface Program {
  readonly plan: Plan;
  /**
   * Runs one entry. Inputs keep their values from run to run, so only what changed must be given. Never blocks the event
   * loop for the length of a run. One run at a time: a second call waits for the first.
   * @throws QuernError that names the inputs of the entry, if any, that no run or `write` has given a value yet
   */
  run(entry: string, values?: Values): Promise<void>;
  /** A copy of a variable, an input or an output, by name, as the runs that were begun before leave it. */
  read(name: string): Promise<Float32Array>;
  /** Sets a variable or an input; a function is given its memory (as f32) to fill all of it. */
  write(name: string, data: Written): void;
  /** Frees the memory and threads; the program cannot be used afterwards. */
  dispose(): void;
}

/** A named place of a program: state, input or output. */
export interface Slot {
  readonly kind: "variable" | "input" | "output";
  readonly type: TensorType;
}

/** Names and types of all that can be read and written; a name must mean one thing in every entry. */
export function slotsOf(entries: Entries): Map<string, Slot> {
  const slots = new Map<string, Slot>();
  const declare = (name: string, slot: Slot) => {
    const before = slots.get(name);
    const same =
      before?.kind === slot.kind &&
      before.type.dtype === slot.type.dtype &&
      sameShape(before.type.shape, slot.type.shape);
    if (before && !same) throw new ShapeError(`"${name}" names two different things of this program`);
    slots.set(name, slot);
  };
  for (const node of nodesOf(...Object.values(entries))) {
    if (isOp(node, "variable") || isOp(node, "input")) {
      const { name, type } = node.attributes as { name: string; type: TensorType };
      declare(name, { kind: node.op as "variable" | "input", type });
    }
  }
  for (const entry of Object.values(entries)) {
    for (const [name, tensor] of Object.entries(entry.outputs)) declare(name, { kind: "output", type: tensor });
    for (const [target, value] of entry.assign ?? []) {
      if (target.node.op !== "variable") throw new ShapeError(`only variables can be assigned, not ${target.node.op}`);
      if (!sameShape(target.shape, value.shape)) {
        throw new ShapeError(`${nameOf(target.node)} (${target.shape}) is assigned a value of shape (${value.shape})`);
      }
      if (target.dtype !== value.dtype) {
        throw new ShapeError(`${nameOf(target.node)} is ${target.dtype} and is assigned ${value.dtype}: cast it`);
      }
    }
  }
  return slots;
}

/** Which inputs have had a value: memory is zero at first, and zeros that nobody gave would be taken for data. */
export interface GivenInputs {
  /** Notes that a slot was written. */
  add(name: string): void;
  /** @throws QuernError for an entry that is not there, or with inputs that were never given */
  check(entry: string): void;
}

export function givenInputs(entries: Entries): GivenInputs {
  const given = new Set<string>();
  /** The inputs of each entry that still wait for a value. */
  const waiting = new Map<string, readonly string[]>();
  return {
    add: (name) => void given.add(name),
    check(entry) {
      if (!Object.hasOwn(entries, entry)) {
        throw new QuernError(`the program has no entry "${entry}"; it has ${Object.keys(entries).join(", ")}`);
      }
      const inputs =
        waiting.get(entry) ?? nodesOf(entries[entry]).flatMap((node) => (isOp(node, "input") ? [nameOf(node)] : []));
      const missing = [...new Set(inputs)].filter((name) => !given.has(name));
      waiting.set(entry, missing);
      if (missing.length === 0) return;
      const names = missing.map((name) => `"${name}"`).join(", ");
      throw new QuernError(`the entry "${entry}" needs ${names}, which no run or write has given a value`);
    },
  };
}

/** The name of a variable or input. */
export function nameOf(node: Node): string {
  return (node.attributes as { name: string }).name;
}

/** Copies what the caller gave into a slot's memory, whatever its element type. */
export function fill(target: Stored | Float64Array, name: string, type: TensorType, data: Written): void {
  const size = sizeOf(type.shape);
  if (typeof data === "function") {
    if (target instanceof Float32Array) {
      data(target);
      return;
    }
    const values = new Float32Array(size);
    data(values);
    fill(target, name, type, values);
    return;
  }
  if (typeof data === "number") {
    if (size !== 1) throw new ShapeError(`"${name}" takes ${size} values, not one number`);
    fill(target, name, type, [data]);
    return;
  }
  if (!ArrayBuffer.isView(data)) {
    const list: readonly unknown[] = typeof data === "string" ? [data] : Array.from(data);
    const wrong = list.findIndex((value) => typeof value !== "number");
    if (wrong >= 0) throw new ShapeError(`"${name}" (${type.shape}) takes numbers, not ${typeof list[wrong]}`);
  }
  if (data.length !== size) throw new ShapeError(`"${name}" (${type.shape}) takes ${size} values, not ${data.length}`);
  const { dtype } = type;
  const encode = target instanceof Float64Array ? castNumber[dtype] : (encoders[dtype] ?? castNumber[dtype]);
  target.set(dtype === "f32" ? data : Float64Array.from(data, encode));
}

/** What is in a slot's memory, as float32. */
export function numbersOf(stored: Stored, dtype: DType): Float32Array {
  const decode = dtype === "bf16" ? bfloat16ToFloat : dtype === "f16" ? halfToFloat : null;
  return decode ? Float32Array.from(stored, decode) : Float32Array.from(stored);
}

/** Numbers to the bits that stand for them. */
const encoders: { readonly [D in DType]?: (value: number) => number } = { bf16: floatToBfloat16, f16: floatToHalf };

export function slotOf(slots: ReadonlyMap<string, Slot>, name: string): Slot {
  const slot = slots.get(name);
  if (!slot) throw new ShapeError(`the program has nothing called "${name}"; it has ${[...slots.keys()].join(", ")}`);
  return slot;
}

/** Memory of a slot; 16-bit floats stand as their bits. */
export type Stored = Float32Array | Int32Array | Uint16Array | Uint8Array;

/** The array type of an element type. */
export const arrayOf = {
  f32: Float32Array,
  bf16: Uint16Array,
  f16: Uint16Array,
  i32: Int32Array,
  u8: Uint8Array,
};
