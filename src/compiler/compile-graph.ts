/** @file Compiles a graph to kernels and a memory plan; this part is the same for all targets. */
import { type Entries, isOp, nodesOf } from "../tensor/index.js";
import { bufferOfLeaf, createBuffers } from "./buffers.js";
import type { ComputeDType } from "./compute-dtype.js";
import { fuse } from "./fuse.js";
import type { Buffer, Kernel } from "./kernels.js";
import { HOST_LIMITS, type Limits, type MemoryPlan, planMemory } from "./memory.js";
import { narrow } from "./narrow.js";
import { simplify } from "./simplify.js";

export interface CompiledGraph {
  readonly dtype: ComputeDType;
  readonly entries: ReadonlyMap<string, readonly Kernel[]>;
  readonly memory: MemoryPlan;
  /** Variables, inputs and outputs by name. */
  readonly named: ReadonlyMap<string, Buffer>;
  readonly constants: readonly Buffer[];
}

export interface GraphOptions {
  readonly dtype?: ComputeDType;
  /** False makes every operation its own kernel. Default true. */
  readonly fusion?: boolean;
  /** Limits of the target's memory. */
  readonly limits?: Limits;
}

/**
 * Simplifies, fuses and plans the memory of a program's entries.
 * @throws QuernError if a tensor exceeds the target's limits
 */
export function compileGraph(
  entries: Entries,
  { dtype = "fp32", fusion = true, limits = HOST_LIMITS }: GraphOptions = {},
): CompiledGraph {
  const buffers = createBuffers();
  for (const entry of Object.values(entries)) {
    for (const [target] of entry.assign ?? []) bufferOfLeaf(buffers, target.node);
  }
  const narrows = fusion && dtype === "bf16" && limits.storesBf16 === true;
  const compiled = new Map(
    Object.entries(entries).map(([name, entry]) => {
      const kernels = fuse(simplify(entry), buffers, { fusion });
      return [name, narrows ? narrow(kernels) : kernels] as const;
    }),
  );
  // Every variable has memory, even if no kernel uses it, because another program may share it.
  for (const node of nodesOf(...Object.values(entries))) if (isOp(node, "variable")) bufferOfLeaf(buffers, node);
  return {
    dtype,
    entries: compiled,
    memory: planMemory(buffers.all, compiled.values(), limits),
    named: new Map(
      buffers.all.flatMap((buffer) => (buffer.name === undefined ? [] : [[buffer.name, buffer] as const])),
    ),
    constants: buffers.all.filter((buffer) => buffer.kind === "constant"),
  };
}
