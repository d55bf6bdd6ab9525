/** @file The buffers of a program. All entries share the named ones; a temporary belongs to one entry. */
import { isOp, type Node, sizeOf, type TensorType } from "../tensor/index.js";
import type { Buffer } from "./kernels.js";

export interface Buffers {
  /** The buffer of this kind and name, created on first use. */
  named(kind: "variable" | "input" | "output", name: string, type: TensorType): Buffer;
  constant(data: Float32Array): Buffer;
  temporary(type: TensorType): Buffer;
  /** All buffers so far, in order of creation. */
  readonly all: readonly Buffer[];
}

/** @param transient names of variables that exist only while their entry runs */
export function createBuffers(transient: ReadonlySet<string> = new Set()): Buffers {
  const all: Buffer[] = [];
  const byName = new Map<string, Buffer>();
  const byData = new Map<Float32Array, Buffer>();
  const create = (rest: Omit<Buffer, "id">): Buffer => {
    const buffer = { id: all.length, ...rest };
    all.push(buffer);
    return buffer;
  };
  return {
    all,
    named(kind, name, type) {
      const created = () =>
        create({
          ...{ kind: transient.has(name) ? "transient" : kind, name },
          ...{ dtype: type.dtype, size: sizeOf(type.shape) },
        });
      const buffer = byName.get(name) ?? created();
      byName.set(name, buffer);
      return buffer;
    },
    constant(data) {
      const buffer = byData.get(data) ?? create({ kind: "constant", dtype: "f32", size: data.length, data });
      byData.set(data, buffer);
      return buffer;
    },
    temporary: (type) => create({ kind: "temporary", dtype: type.dtype, size: sizeOf(type.shape) }),
  };
}

/** The buffer of a variable, input or constant. */
export function bufferOfLeaf(buffers: Buffers, node: Node): Buffer {
  if (isOp(node, "variable")) return buffers.named("variable", node.attributes.name, node.attributes.type);
  if (isOp(node, "input")) return buffers.named("input", node.attributes.name, node.attributes.type);
  if (isOp(node, "constant")) return buffers.constant(node.attributes.data);
  throw new Error(`${node.op} is not a leaf`);
}
