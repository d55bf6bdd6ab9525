/** @file Compiles a graph to a program, for every target: cache key, cache, memory check, shared variables and plan. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Buffer, type CompiledGraph, type ComputeDType, compileGraph, type Run } from "../compiler/index.js";
import { OutOfMemoryError, QuernError } from "../errors.js";
import { bytesOf, type Entries, isOp, nodesOf } from "../tensor/index.js";
import type { Backend, Image, Layout, Lowered, Target } from "./backend.js";
import { freeMemory } from "./free-memory.js";
import { createProgram, type Plan, type Program } from "./program.js";
import { cachedOnce, keyOf } from "./program-cache.js";
import { engineKey, graphKey } from "./program-key.js";
import { resolveSharing, type Sharing } from "./sharing.js";
import { type Slot, slotsOf } from "./slots.js";

/** Options of `compile` that all targets accept. */
export interface CommonOptions {
  /**
   * `bf16`: large products round their operands to bf16 and accumulate in fp32; everything else stays fp32. `fp8`: their operands are
   * scaled and rounded to e4m3, except in attention and the head, which stay bf16; only on `cuda` and `reference`. `auto`: bf16 if
   * the machine multiplies bf16 faster than fp32, else fp32. Default fp32.
   */
  readonly dtype?: ComputeDType | "auto";
  /**
   * Programs on the same device whose variables this one uses in place, without a copy. A bare program shares every variable
   * whose name occurs in both.
   */
  readonly shareWith?: Program | Sharing | readonly (Program | Sharing)[];
}

const LAYOUT = "program.json";

/** Compiles entries for one target; see `compile`. */
export async function compileFor<Options, T extends Target>(
  backend: Backend<Options, T>,
  entries: Entries,
  { dtype: wanted = "fp32", shareWith, ...others }: CommonOptions,
): Promise<Program> {
  const start = performance.now();
  if (wanted === "fp8" && !backend.multipliesInFp8) {
    throw new QuernError(`the ${backend.name} backend has no products in fp8; use --backend cuda or --dtype bf16`, {
      exitCode: 2,
    });
  }
  const slots = slotsOf(entries);
  const sharing = resolveSharing(backend.name, slots, shareWith);
  let target: T | undefined;
  try {
    const choosing = backend.choose((others as Record<string, Options>)[backend.name], sharing.beside, wanted);
    choosing.catch(() => {});
    const graph = graphKey(entries); // computed while the compiler is being found
    target = await choosing;
    const dtype = wanted !== "auto" ? wanted : (await target.bf16Pays()) ? "bf16" : "fp32";
    const requireMemory = (bytes: number) => {
      target?.requireMemory?.(bytes);
      if (!target?.hasOwnMemory) requireFree(bytes - sharing.bytes);
    };
    const built = await build(backend, target, entries, { dtype, graph }, requireMemory);
    const { layout, folder, cached } = built;
    requireMemory(layout.bytes + stateBytesOf(slots));
    const image = await backend.open(
      { entries, slots, dtype, folder, layout, tables: tablesOf(entries), shared: sharing.tensors },
      target,
    );
    const { source } = target;
    const plan: Plan = {
      ...planOf(backend.name, target, slots, layout, dtype, image),
      sharedBytes: sharing.bytes,
      buildSeconds: (performance.now() - start) / 1000,
      cached,
      ...(source === undefined ? {} : { source: join(folder, source) }),
    };
    target = undefined; // the image owns it now
    return createProgram({ entries, slots, layout }, image, plan);
  } finally {
    target?.abandon?.();
    sharing.release();
  }
}

/** Plan of a program without build time or shared variables. */
export function planOf(
  backend: string,
  { name: target, threads }: Target,
  slots: ReadonlyMap<string, Slot>,
  { launches, kernels }: Layout,
  dtype: ComputeDType,
  image: Image,
): Plan {
  const stateBytes = stateBytesOf(slots);
  const built = { sharedBytes: 0, buildSeconds: 0, cached: false };
  return { backend, target, threads, dtype, arenaBytes: image.bytes, stateBytes, launches, kernels, ...built };
}

function stateBytesOf(slots: ReadonlyMap<string, Slot>): number {
  return [...slots.values()].reduce((sum, { kind, type }) => sum + (kind === "variable" ? bytesOf(type) : 0), 0);
}

interface Built {
  readonly folder: string;
  readonly layout: Layout;
  readonly cached: boolean;
}

async function build<T extends Target>(
  backend: Backend<unknown, T>,
  target: T,
  entries: Entries,
  { dtype, graph }: { readonly dtype: ComputeDType; readonly graph: string },
  requireMemory: (bytes: number) => void,
): Promise<Built> {
  if (!backend.lower) return { folder: "", layout: tracedLayout(entries), cached: false };
  const lower = backend.lower.bind(backend);
  const limits = backend.limits(target);
  const key = keyOf([graph, engineKey(backend.name), dtype, limits, target.key]);
  const { folder, cached } = await cachedOnce(key, [...target.files, LAYOUT], async (temporary) => {
    const compiled = compileGraph(entries, { dtype, limits });
    requireMemory(compiled.memory.totalBytes);
    const lowered = await lower(compiled, target, temporary);
    await writeFile(join(temporary, LAYOUT), JSON.stringify(layoutOf(compiled, entries, lowered)));
  });
  return { folder, layout: JSON.parse(await readFile(join(folder, LAYOUT), "utf8")) as Layout, cached };
}

function layoutOf(
  { runs, portions, memory, named, constants }: CompiledGraph,
  traced: Entries,
  { kernels, launches }: Lowered,
): Layout {
  const tables = tablesOf(traced);
  const at = (buffer: Buffer) => memory.offsets.get(buffer) as number;
  const counted = launches ?? Object.fromEntries([...runs].map(([name, list]) => [name, list.length]));
  const total = (list: readonly Run[]) => list.reduce((sum, { name }) => sum + counted[name], 0);
  return {
    bytes: memory.bytes,
    kernels,
    launches: Object.fromEntries(Object.entries(portions).map(([name, list]) => [name, total(list)])),
    runs: portions,
    variables: memory.variables.map(({ name }) => name as string),
    named: [...named].flatMap(([name, buffer]) => (buffer.kind === "variable" ? [] : [[name, at(buffer)] as const])),
    tables: constants.map((buffer) => [tables.indexOf(buffer.data as Float32Array), at(buffer)]),
  };
}

/** Layout of a graph that is interpreted as traced: every node is a kernel. */
export function tracedLayout(entries: Entries): Layout {
  const nodes = Object.entries(entries).map(([name, entry]) => [name, nodesOf(entry)] as const);
  return {
    bytes: 0,
    kernels: new Set(nodes.flatMap(([, list]) => list.map(({ op }) => op))).size,
    launches: Object.fromEntries(nodes.map(([name, list]) => [name, list.length])),
    runs: Object.fromEntries(
      Object.entries(entries).map(([name, { delivers }]) => [name, [{ name, finished: delivers?.variables ?? [] }]]),
    ),
    variables: [],
    named: [],
    tables: [],
  };
}

/** Data of a graph's constants, in tracing order. */
function tablesOf(entries: Entries): Float32Array[] {
  return nodesOf(...Object.values(entries)).flatMap((node) => (isOp(node, "constant") ? [node.attributes.data] : []));
}

/** @throws OutOfMemoryError if less than `bytes` of memory is free */
function requireFree(bytes: number): void {
  const free = freeMemory();
  if (bytes <= free) return;
  const gigabytes = (size: number) => `${(size / 2 ** 30).toFixed(2)} GiB`;
  throw new OutOfMemoryError(`the plan needs ${gigabytes(bytes)} of memory, but only ${gigabytes(free)} is free`, {
    needed: bytes,
    free,
  });
}
