/** @file Graph → kernels with places in memory: everything about a program that no target changes. */
import type { Entries } from "../tensor/index.js";
import { bufferOfLeaf, createBuffers } from "./buffers.js";
import { fuse } from "./fuse.js";
import type { Buffer, Kernel } from "./kernels.js";
import { type MemoryPlan, planMemory } from "./memory.js";
import type { Precision } from "./precision.js";
import { simplify } from "./simplify.js";

export interface CompiledGraph {
  readonly precision: Precision;
  readonly entries: ReadonlyMap<string, readonly Kernel[]>;
  readonly memory: MemoryPlan;
  /** Variables, inputs and outputs by name. */
  readonly named: ReadonlyMap<string, Buffer>;
  readonly constants: readonly Buffer[];
}

/**
 * Simplifies, fuses and plans the memory of a program's entries.
 * @param fusion false makes a kernel of every operation
 */
export function compileGraph(entries: Entries, fusion = true, precision: Precision = "fp32"): CompiledGraph {
  const buffers = createBuffers();
  // Every variable has a place, also one that no kernel touches.
  for (const entry of Object.values(entries)) {
    for (const [target] of entry.assign ?? []) bufferOfLeaf(buffers, target.node);
  }
  const compiled = new Map(
    Object.entries(entries).map(([name, entry]) => [name, fuse(simplify(entry), buffers, fusion)] as const),
  );
  return {
    precision,
    entries: compiled,
    memory: planMemory(buffers.all, compiled.values()),
    named: new Map(
      buffers.all.flatMap((buffer) => (buffer.name === undefined ? [] : [[buffer.name, buffer] as const])),
    ),
    constants: buffers.all.filter((buffer) => buffer.kind === "constant"),
  };
}
