/** @file Resolves which variables of a new program are shared with existing programs. */
import { QuernError } from "../errors.js";
import { bytesOf, sameShape, sizeOf, type TensorType } from "../tensor/index.js";
import type { DeviceTensor, Image } from "./backend.js";
import { type Inside, insideOf, type Program } from "./program.js";
import type { Slot } from "./slots.js";

/** Some elements of another program's variable, counted from its first one. They begin at a multiple of 64 bytes. */
export interface SharedPart {
  readonly name: string;
  readonly from: number;
}

/** A program, and which of its variables the new one uses. */
export interface Sharing {
  readonly program: Program;
  /**
   * Maps each variable's name in the new program to its name in the other one, or to a part of that variable; a function returns
   * undefined for variables not shared. Default: every variable whose name occurs in both.
   */
  readonly variables?: Readonly<Record<string, string | SharedPart>> | ((name: string) => string | undefined);
}

export interface Shared {
  /** Shared memory, by the variable's name in the new program. */
  readonly tensors: ReadonlyMap<string, DeviceTensor>;
  readonly bytes: number;
  /** A program that the new one shares memory with; null if nothing is shared. */
  readonly beside: Image | null;
  /** Releases the memory, which is retained until the new program has retained it. */
  release(): void;
}

/** @throws QuernError for programs of another backend, unknown names, and variables of different types */
export function resolveSharing(
  backend: string,
  slots: ReadonlyMap<string, Slot>,
  shareWith: Program | Sharing | readonly (Program | Sharing)[] | undefined,
): Shared {
  const list = shareWith === undefined ? [] : Array.isArray(shareWith) ? shareWith : [shareWith];
  const tensors = new Map<string, DeviceTensor>();
  let beside: Image | null = null;
  for (const each of list as readonly (Program | Sharing)[]) {
    const { program, variables } = "program" in each ? each : { program: each, variables: undefined };
    const inside = insideOf(program);
    if (inside.backend !== backend) {
      throw refusal(`a program for ${backend} cannot share variables with one for ${inside.backend}`);
    }
    beside ??= inside.image;
    for (const [own, theirs] of pairs(slots, inside, variables)) {
      if (tensors.has(own))
        throw refusal(`the variable "${own}" would be shared with two programs: name the one to use`);
      tensors.set(own, sharedTensor(slots.get(own), own, inside, theirs));
    }
  }
  const storages = new Set([...tensors.values()].flatMap(({ storage }) => storage ?? []));
  for (const storage of storages) storage.retain();
  return {
    tensors,
    bytes: [...tensors.values()].reduce((sum, { type }) => sum + bytesOf(type), 0),
    beside,
    release: () => {
      for (const storage of storages) storage.release();
    },
  };
}

function pairs(
  slots: ReadonlyMap<string, Slot>,
  inside: Inside,
  variables: Sharing["variables"],
): (readonly [own: string, theirs: string | SharedPart])[] {
  if (typeof variables === "object") return Object.entries(variables);
  const own = [...slots].flatMap(([name, { kind }]) => (kind === "variable" ? [name] : []));
  if (variables) {
    return own.flatMap((name) => {
      const theirs = variables(name);
      return theirs === undefined ? [] : [[name, theirs] as const];
    });
  }
  return own.flatMap((name) => (inside.slots.get(name)?.kind === "variable" ? [[name, name] as const] : []));
}

function sharedTensor(slot: Slot | undefined, own: string, inside: Inside, source: string | SharedPart): DeviceTensor {
  const theirs = typeof source === "string" ? source : source.name;
  const other = inside.slots.get(theirs);
  if (slot?.kind !== "variable") throw refusal(`the new program has no variable "${own}"`);
  if (other?.kind !== "variable") throw refusal(`the program in shareWith has no variable "${theirs}"`);
  if (typeof source !== "string") return partOf(slot.type, own, inside, source, other.type);
  if (slot.type.dtype !== other.type.dtype || !sameShape(slot.type.shape, other.type.shape)) {
    throw refusal(
      `"${own}" is ${text(slot.type)} in the new program, but ${text(other.type)} in the program in shareWith`,
    );
  }
  return inside.image.tensor(theirs);
}

/** Elements of a variable from `from` on, as many as `type` has. */
function partOf(
  type: TensorType,
  own: string,
  { image, backend }: Inside,
  { name, from }: SharedPart,
  whole: TensorType,
): DeviceTensor {
  const tensor = image.tensor(name);
  if (tensor.part === undefined) throw refusal(`the backend ${backend} cannot share a part of "${name}"`);
  const isInside = from >= 0 && from + sizeOf(type.shape) <= sizeOf(whole.shape);
  if (!isInside || from % 16 !== 0 || type.dtype !== "f32" || whole.dtype !== "f32") {
    throw refusal(`"${own}" is ${text(type)}, which is no part of "${name}", ${text(whole)}, from element ${from} on`);
  }
  return tensor.part(type, from);
}

const text = ({ dtype, shape }: TensorType) => `${dtype} (${shape})`;
const refusal = (message: string) => new QuernError(message, { exitCode: 2 });
