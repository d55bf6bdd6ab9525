/** @file Resolves which variables of a new program are shared with existing programs. */
import { QuernError } from "../errors.js";
import { DTYPE_BYTES, sameShape, sizeOf, type TensorType } from "../tensor/index.js";
import type { DeviceTensor, Image } from "./backend.js";
import { type Inside, insideOf, type Program } from "./program.js";
import type { Slot } from "./slots.js";

/** A program, and which of its variables the new one uses. */
export interface Sharing {
  readonly program: Program;
  /**
   * Maps each variable's name in the new program to its name in the other one; a function returns undefined for variables not
   * shared. Default: every variable whose name occurs in both.
   */
  readonly variables?: Readonly<Record<string, string>> | ((name: string) => string | undefined);
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
    bytes: [...tensors.values()].reduce((sum, { type }) => sum + sizeOf(type.shape) * DTYPE_BYTES[type.dtype], 0),
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
): (readonly [own: string, theirs: string])[] {
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

function sharedTensor(slot: Slot | undefined, own: string, inside: Inside, theirs: string): DeviceTensor {
  const other = inside.slots.get(theirs);
  if (slot?.kind !== "variable") throw refusal(`the new program has no variable "${own}"`);
  if (other?.kind !== "variable") throw refusal(`the program in shareWith has no variable "${theirs}"`);
  if (slot.type.dtype !== other.type.dtype || !sameShape(slot.type.shape, other.type.shape)) {
    throw refusal(
      `"${own}" is ${text(slot.type)} in the new program, but ${text(other.type)} in the program in shareWith`,
    );
  }
  return inside.image.tensor(theirs);
}

const text = ({ dtype, shape }: TensorType) => `${dtype} (${shape})`;
const refusal = (message: string) => new QuernError(message, { exitCode: 2 });
