/** @file The named tensors of a program, and the conversion of their values. */
import { transientVariables } from "../compiler/index.js";
import {
  bfloat16ToFloat,
  bytesOf,
  castNumber,
  type DType,
  decodeBlocks,
  type Entries,
  floatToBfloat16,
  floatToHalf,
  halfToFloat,
  isBlocked,
  isOp,
  type Node,
  type NumberDType,
  nodesOf,
  ShapeError,
  sameShape,
  sizeOf,
  type TensorType,
} from "../tensor/index.js";

/** Input values of a run, by name: numbers for scalars, arrays for tensors. */
export type Values = Readonly<Record<string, number | ArrayLike<number>>>;

export type Written = number | ArrayLike<number> | ((values: Float32Array) => void);

/** A named tensor of a program: a variable (transient: one that exists only during a run), input or output. */
export interface Slot {
  readonly kind: "variable" | "transient" | "input" | "output";
  readonly type: TensorType;
}

/**
 * Returns names and types of all variables, inputs and outputs.
 * @throws ShapeError if a name has two kinds or types, or an assignment does not fit its variable
 */
export function slotsOf(entries: Entries): Map<string, Slot> {
  const slots = new Map<string, Slot>();
  const transient = transientVariables(entries);
  const declare = (name: string, slot: Slot) => {
    const before = slots.get(name);
    const same =
      before?.kind === slot.kind &&
      before.type.dtype === slot.type.dtype &&
      sameShape(before.type.shape, slot.type.shape);
    if (before && !same) throw new ShapeError(`"${name}" has two different kinds, dtypes or shapes in this program`);
    slots.set(name, slot);
  };
  for (const node of nodesOf(...Object.values(entries))) {
    if (isOp(node, "variable") || isOp(node, "input")) {
      const { name, type } = node.attributes as { name: string; type: TensorType };
      declare(name, { kind: transient.has(name) ? "transient" : (node.op as "variable" | "input"), type });
    }
  }
  for (const entry of Object.values(entries)) {
    for (const [name, tensor] of Object.entries(entry.outputs)) {
      if (isBlocked(tensor.dtype)) throw new ShapeError(`the output "${name}" cannot be ${tensor.dtype}`);
      declare(name, { kind: "output", type: tensor });
    }
    for (const [target, value] of entry.assign ?? []) {
      if (target.node.op !== "variable") throw new ShapeError(`only variables can be assigned, not ${target.node.op}`);
      if (!sameShape(target.shape, value.shape)) {
        throw new ShapeError(`${nameOf(target.node)} (${target.shape}) is assigned a value of shape (${value.shape})`);
      }
      const isCache = target.shape.length === 4 && value.dtype === target.dtype;
      if (isBlocked(target.dtype) && !isCache)
        throw new ShapeError(`${nameOf(target.node)} is ${target.dtype}: it is only written`);
      if (target.dtype !== value.dtype) {
        throw new ShapeError(`${nameOf(target.node)} is ${target.dtype} but is assigned ${value.dtype}: cast it`);
      }
    }
  }
  return slots;
}

/** The name of a variable or input. */
export function nameOf(node: Node): string {
  return (node.attributes as { name: string }).name;
}

/**
 * Converts the caller's values to the representation of a slot's memory. Returns a copy, or the caller's own array. Blocks are
 * given as their bytes; bf16 and f16 as numbers, or as twice as many bytes (little-endian).
 * @param exact whether the memory is float64
 * @throws ShapeError for the wrong number of values, or values that are not numbers
 */
export function encode(name: string, { shape, dtype }: TensorType, data: Written, exact: boolean): Elements {
  const size = sizeOf(shape);
  if (isBlocked(dtype)) {
    const bytes = requireBytes(name, { shape, dtype }, data);
    return exact ? Float64Array.from(decodeBlocks(bytes, dtype)) : bytes;
  }
  if (data instanceof Uint8Array && (dtype === "bf16" || dtype === "f16") && data.length === 2 * size) {
    const bits = new Uint16Array(data.slice().buffer);
    return exact ? Float64Array.from(numbersOf(bits, dtype)) : bits;
  }
  if (typeof data === "function") {
    const values = new Float32Array(size);
    data(values);
    return encode(name, { shape, dtype }, values, exact);
  }
  if (typeof data === "number") {
    if (size !== 1) throw new ShapeError(`"${name}" takes ${size} values, not one number`);
    return encode(name, { shape, dtype }, [data], exact);
  }
  if (!ArrayBuffer.isView(data)) {
    const list: readonly unknown[] = typeof data === "string" ? [data] : Array.from(data);
    const wrong = list.findIndex((value) => typeof value !== "number");
    if (wrong >= 0) throw new ShapeError(`"${name}" (${shape}) takes numbers, not ${typeof list[wrong]}`);
  }
  if (data.length !== size) throw new ShapeError(`"${name}" (${shape}) takes ${size} values, not ${data.length}`);
  if (exact) return Float64Array.from(data, castNumber[dtype]);
  if (dtype === "f32") return data instanceof Float32Array ? data : new Float32Array(data);
  const encoder = encoders[dtype] ?? castNumber[dtype];
  const elements = new arrayOf[dtype](size);
  for (let i = 0; i < size; i++) elements[i] = encoder(data[i]);
  return elements;
}

function requireBytes(name: string, type: TensorType, data: Written): Uint8Array {
  const bytes = bytesOf(type);
  if (data instanceof Uint8Array && data.length === bytes) return data;
  const given = data instanceof Uint8Array ? `${data.length}` : "other values";
  throw new ShapeError(
    `"${name}" (${type.shape}) takes ${bytes} bytes of ${type.dtype} blocks (a Uint8Array), not ${given}`,
  );
}

/** Converts a tensor's elements to float32; returns the same array if they already are. */
export function numbersOf(elements: Elements, dtype: DType): Float32Array {
  if (isBlocked(dtype) && elements instanceof Uint8Array) return decodeBlocks(elements, dtype);
  if (elements instanceof Float32Array) return elements;
  const bits = elements instanceof Uint16Array ? (dtype === "bf16" ? bfloat16ToFloat : halfToFloat) : null;
  return bits ? Float32Array.from(elements, bits) : new Float32Array(elements);
}

/** Functions from a number to its bit pattern. */
const encoders: { readonly [D in NumberDType]?: (value: number) => number } = {
  bf16: floatToBfloat16,
  f16: floatToHalf,
};

export function slotOf(slots: ReadonlyMap<string, Slot>, name: string): Slot {
  const slot = slots.get(name);
  if (!slot) throw new ShapeError(`the program has no tensor "${name}"; it has ${[...slots.keys()].join(", ")}`);
  return slot;
}

/** A tensor's elements in memory. 16-bit floats are bit patterns; the interpreter uses float64. */
export type Elements = Float32Array | Int32Array | Uint16Array | Uint8Array | Float64Array;

/** The array type of each dtype of single numbers. */
const arrayOf = {
  f32: Float32Array,
  bf16: Uint16Array,
  f16: Uint16Array,
  i32: Int32Array,
  u8: Uint8Array,
};

/** A tensor's elements at `start` of a buffer. */
export function elementsAt({ dtype, shape }: TensorType, memory: ArrayBufferLike, start = 0): Elements {
  if (isBlocked(dtype)) return new Uint8Array(memory, start, bytesOf({ dtype, shape }));
  return new arrayOf[dtype](memory as ArrayBuffer, start, sizeOf(shape));
}
