/** @file The `reference` backend: interprets the graph as traced, in float64. The oracle in tests. */
import { multipliesInBf16, type Precision } from "../../compiler/index.js";
import { type Entries, nodesOf, type Op, type Tensor, tensorKey } from "../../tensor/index.js";
import {
  fill,
  givenInputs,
  nameOf,
  type Program,
  type Slot,
  slotOf,
  slotsOf,
  type Values,
  type Written,
} from "../program.js";
import { evaluators, exact, toBf16, type Value } from "./evaluate.js";

export interface ReferenceProgram extends Program {
  /** Like `read`, with all the digits. */
  readExact(name: string): Float64Array;
}

/** @param precision under bf16 the same products round their operands as on other backends, and all else stays float64 */
export function compileReference(entries: Entries, precision: Precision = "fp32"): ReferenceProgram {
  const slots = slotsOf(entries);
  const given = givenInputs(entries);
  const memory = new Map<string, Float64Array>();
  let stateBytes = 0;
  for (const [name, { kind, type }] of slots) {
    const size = type.shape.reduce((a, b) => a * b, 1);
    memory.set(name, new Float64Array(size));
    if (kind === "variable") stateBytes += size * 8;
  }
  const launches = Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, nodesOf(entry).length]));
  let arenaBytes = 0;
  for (const data of memory.values()) arenaBytes += data.byteLength;

  const write = (name: string, data: Written) => {
    const slot: Slot = slotOf(slots, name);
    fill(memory.get(name) as Float64Array, name, slot.type, data);
    given.add(name);
  };

  const readExact = (name: string) => {
    slotOf(slots, name);
    return (memory.get(name) as Float64Array).slice();
  };

  return {
    plan: {
      backend: "reference",
      target: "interpreter",
      threads: 1,
      precision,
      arenaBytes,
      stateBytes,
      launches,
      kernels: new Set(Object.values(entries).flatMap((entry) => nodesOf(entry).map((node) => node.op))).size,
      buildSeconds: 0,
      cached: false,
    },
    async run(entryName: string, values: Values = {}) {
      for (const [name, data] of Object.entries(values)) write(name, data);
      given.check(entryName);
      const entry = entries[entryName];
      const results = new Map<string, Value>();
      const lookUp = (tensor: Tensor) => results.get(tensorKey(tensor)) as Value;
      for (const node of nodesOf(entry)) {
        if (node.op === "variable" || node.op === "input") {
          results.set(`${node.id}.0`, { shape: node.outputs[0].shape, data: memory.get(nameOf(node)) as Float64Array });
          continue;
        }
        const evaluate = evaluators[node.op] as (typeof evaluators)[Op & "add"];
        const rounding = precision === "bf16" && multipliesInBf16(node) ? toBf16 : exact;
        evaluate(node.inputs.map(lookUp), node.attributes, node, rounding).forEach((data, i) => {
          results.set(`${node.id}.${i}`, { shape: node.outputs[i].shape, data });
        });
      }
      // Everything was computed from the old values; only now do variables change.
      const assigned = (entry.assign ?? []).map(
        ([to, value]) => [nameOf(to.node), lookUp(value).data.slice()] as const,
      );
      for (const [name, tensor] of Object.entries(entry.outputs)) memory.set(name, lookUp(tensor).data.slice());
      for (const [name, data] of assigned) memory.set(name, data);
    },
    read: async (name) => Float32Array.from(readExact(name)),
    readExact,
    write,
    dispose: () => memory.clear(),
  };
}
