/** @file Compiles a graph to kernels and a memory plan; this part is the same for all targets. */
import { type Entries, isOp, nodesOf, ShapeError } from "../tensor/index.js";
import { bufferOfLeaf, createBuffers } from "./buffers.js";
import type { ComputeDType } from "./compute-dtype.js";
import { fuse } from "./fuse.js";
import type { Buffer, Kernel } from "./kernels.js";
import { HOST_LIMITS, type Limits, type MemoryPlan, planMemory } from "./memory.js";
import { narrow } from "./narrow.js";
import { portionsOf } from "./portions.js";
import { simplify } from "./simplify.js";

export interface CompiledGraph {
  readonly dtype: ComputeDType;
  readonly entries: ReadonlyMap<string, readonly Kernel[]>;
  /** The same kernels in the pieces that a backend runs: most entries are one, and those that deliver variables have several. */
  readonly runs: ReadonlyMap<string, readonly Kernel[]>;
  /** The runs of each entry, and the variables that each one delivers. */
  readonly portions: Readonly<Record<string, readonly Run[]>>;
  readonly memory: MemoryPlan;
  /** Variables, inputs and outputs by name. */
  readonly named: ReadonlyMap<string, Buffer>;
  readonly constants: readonly Buffer[];
}

/** A run of an entry. */
export interface Run {
  readonly name: string;
  /** Names of the variables that have their new values after it. */
  readonly finished: readonly string[];
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
  const transient = transientVariables(entries);
  const buffers = createBuffers(transient);
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
  const cut = [...compiled].map(([name, kernels]) => {
    const portions = portionsOf(kernels, entries[name].delivers);
    const runOf = (i: number) => (portions.length === 1 ? name : `${name}, portion ${i + 1}`);
    return { name, portions: portions.map((portion, i) => ({ ...portion, run: runOf(i) })) };
  });
  return {
    dtype,
    entries: compiled,
    runs: new Map(cut.flatMap(({ portions }) => portions.map(({ run, kernels }) => [run, kernels] as const))),
    portions: Object.fromEntries(
      cut.map(({ name, portions }) => [
        name,
        portions.map(({ run, finished }) => ({ name: run, finished: finished.map((buffer) => buffer.name as string) })),
      ]),
    ),
    memory: planMemory(
      buffers.all,
      cut.map(({ portions }) => portions),
      limits,
    ),
    named: new Map(
      buffers.all.flatMap((buffer) => (buffer.name === undefined ? [] : [[buffer.name, buffer] as const])),
    ),
    constants: buffers.all.filter((buffer) => buffer.kind === "constant"),
  };
}

/** Names of the variables that exist only while their entry runs. @throws ShapeError if another entry uses one */
export function transientVariables(entries: Entries): ReadonlySet<string> {
  const owners = new Map<string, string>();
  for (const [entry, { delivers }] of Object.entries(entries)) {
    if (delivers?.transient) for (const name of delivers.variables) owners.set(name, entry);
  }
  for (const [entry, traced] of Object.entries(entries)) {
    for (const node of nodesOf(traced)) {
      const name = isOp(node, "variable") ? node.attributes.name : "";
      if (owners.has(name) && owners.get(name) !== entry) {
        throw new ShapeError(`the entry "${entry}" uses "${name}", which exists only in "${owners.get(name)}"`);
      }
    }
  }
  return new Set(owners.keys());
}
