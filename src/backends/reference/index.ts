/** @file The `reference` backend: interprets the traced graph in float64. Tests compare other backends with it. */
import { type ComputeDType, HOST_LIMITS, productDType } from "../../compiler/index.js";
import {
  bytesOf,
  type DType,
  decodeBlocks,
  type Entries,
  isBlocked,
  nodesOf,
  type Op,
  type Shape,
  sizeOf,
  type Tensor,
  type TensorType,
  tensorKey,
} from "../../tensor/index.js";
import { type Backend, type DeviceTensor, hostTensor, type Image, type Loadable, Storage } from "../backend.js";
import { planOf, tracedLayout } from "../compile.js";
import { createProgram, type Program } from "../program.js";
import { nameOf, slotOf, slotsOf } from "../slots.js";
import { evaluators, exact, toBf16, toE4m3, type Value } from "./evaluate.js";

export interface ReferenceProgram extends Program {
  /** `read` in float64. */
  readExact(name: string): Float64Array;
}

/** The interpreter has no options. With bf16 or fp8 it rounds the operands of the same products as other backends; all else is float64. */
export const reference: Backend<undefined> = {
  name: "reference",
  multipliesInFp8: true,
  choose: async () => TARGET,
  limits: () => HOST_LIMITS,
  open: async (program) => openReference(program),
};

const TARGET = { name: "interpreter", threads: 1, key: "", files: [], bf16Pays: async () => false };

/** Compiles for the interpreter, synchronously. */
export function compileReference(entries: Entries, dtype: ComputeDType = "fp32"): ReferenceProgram {
  const [slots, layout] = [slotsOf(entries), tracedLayout(entries)];
  const image = openReference({ entries, slots, dtype, folder: "", layout, tables: [], shared: new Map() });
  const plan = planOf(reference.name, TARGET, slots, layout, dtype, image);
  const program = createProgram({ entries, slots, layout }, image, plan);
  return Object.assign(program, {
    readExact(name: string) {
      slotOf(slots, name);
      const { host } = image.tensor(name) as Required<DeviceTensor>;
      return (host() as Float64Array).slice();
    },
  });
}

/** Weights in blocks are kept as bytes, caches as numbers. */
const isWeight = ({ shape, dtype }: TensorType) => isBlocked(dtype) && shape.length === 2;

function openReference({ entries, slots, dtype, shared }: Loadable): Image {
  const storage = new Storage(() => {});
  const tensors = new Map<string, DeviceTensor>();
  let bytes = 0;
  for (const [name, { kind, type }] of slots) {
    const memory = () => (isWeight(type) ? new Uint8Array(bytesOf(type)) : new Float64Array(sizeOf(type.shape)));
    tensors.set(name, shared.get(name) ?? hostTensor(type, kind === "variable" ? storage : null, memory));
    if (!shared.has(name)) bytes += isWeight(type) ? bytesOf(type) : 8 * sizeOf(type.shape);
  }
  const memoryOf = (name: string) => tensors.get(name)?.host?.() as Float64Array;
  const leafOf = (name: string, shape: Shape, dtype: DType): Value => {
    if (!isBlocked(dtype) || !isWeight({ shape, dtype })) return { shape, data: memoryOf(name) };
    const stored = tensors.get(name)?.host?.() as Uint8Array;
    return { shape, stored, data: Float64Array.from(decodeBlocks(stored, dtype)) };
  };
  return {
    bytes,
    queues: [],
    tensor: (name) => tensors.get(name) as DeviceTensor,
    async run(entryName) {
      const entry = entries[entryName];
      const results = new Map<string, Value>();
      const lookUp = (tensor: Tensor) => results.get(tensorKey(tensor)) as Value;
      for (const node of nodesOf(entry)) {
        if (node.op === "variable" || node.op === "input") {
          const { shape, dtype } = node.outputs[0];
          results.set(`${node.id}.0`, leafOf(nameOf(node), shape, dtype));
          continue;
        }
        const evaluate = evaluators[node.op] as (typeof evaluators)[Op & "add"];
        const rounding = { fp32: exact, bf16: toBf16, fp8: toE4m3 }[productDType(node, dtype)];
        evaluate(node.inputs.map(lookUp), node.attributes, node, rounding).forEach((data, i) => {
          results.set(`${node.id}.${i}`, { shape: node.outputs[i].shape, data });
        });
      }
      // Everything was computed from the old values; change variables only now.
      const changed = [
        ...Object.entries(entry.outputs).map(([name, tensor]) => [name, lookUp(tensor).data.slice()] as const),
        ...(entry.assign ?? []).map(([to, value]) => [nameOf(to.node), lookUp(value).data.slice()] as const),
      ];
      for (const [name, data] of changed) memoryOf(name).set(data);
    },
    close: () => {},
  };
}
