/** @file Computes a program's cost per kernel (floating-point operations, bytes, memory) and the savings of fusion. */
import { DTYPE_BYTES, type Entries, isOp, type Node, type Op, sizeOf } from "../tensor/index.js";
import { compileGraph } from "./compile-graph.js";
import { type ComputeDType, productDType } from "./compute-dtype.js";
import { buffersOf, type Kernel, type LoopBody } from "./kernels.js";
import type { Limits } from "./memory.js";

/** Cost of the kernels of one kind and size in an entry. */
export interface KernelCost {
  /** `matmul 4096×512×192 + mul, add`, `matmul 4096×512×192 in bf16, stores bf16`, `loop 4096×192: mul, add` */
  readonly what: string;
  readonly launches: number;
  /** Over all launches: floating-point operations, and bytes read and written without any cache. */
  readonly flops: number;
  readonly bytes: number;
  readonly bf16Flops: number;
}

export interface Totals {
  readonly launches: number;
  readonly flops: number;
  readonly bytes: number;
  /** The part of `flops` in products whose operands are rounded to bf16. */
  readonly bf16Flops: number;
}

export interface EntryCost {
  readonly name: string;
  readonly fused: Totals;
  /** The same entry with a kernel for every operation. */
  readonly unfused: Totals;
  /** Sorted by bytes, descending. */
  readonly kernels: readonly KernelCost[];
}

export interface Explanation {
  readonly entries: readonly EntryCost[];
  /** Bytes of variables and arena, without the kernels' scratch. */
  readonly arenaBytes: number;
  readonly unfusedArenaBytes: number;
  /** The part of both that is variables. */
  readonly stateBytes: number;
}

const size = (node: Node, i: number) => sizeOf(node.inputs[i].shape);

/** Floating-point operations of a large operation; a multiply-add counts as two. */
const flopsOf: { readonly [O in Op]?: (node: Node) => number } = {
  matmul: (node) => {
    const K = isOp(node, "matmul") && node.attributes.transposeA ? node.inputs[0].shape[0] : node.inputs[0].shape[1];
    return 2 * sizeOf(node.outputs[0].shape) * K;
  },
  rope: (node) => 3 * size(node, 0),
  // Causal: on average a query sees half of the keys.
  attention: (node) => 2 * size(node, 0) * (node.inputs[1].shape[1] + 1),
  attentionGradient: (node) => 5 * size(node, 0) * (node.inputs[1].shape[1] + 1),
  embeddingGradient: (node) => size(node, 1),
  linearCrossEntropy: (node) => 2 * size(node, 0) * node.inputs[1].shape[0],
  linearCrossEntropyGradient: (node) => (node.inputs.length > 4 ? 8 : 6) * size(node, 0) * node.inputs[1].shape[0],
};

function operationsOf(body: LoopBody): string[] {
  return body.values.flatMap((value) => (value.op === "load" || value.op === "literal" ? [] : [value.op]));
}

function loopFlops(body: LoopBody): number {
  const perRow = (varies: boolean) => (varies ? body.columns : 1);
  const values = body.values.reduce((total, value) => {
    if (value.op === "load" || value.op === "literal") return total;
    const reduces = value.op === "rowSum" || value.op === "rowMax";
    return total + perRow(value.varies || reduces);
  }, 0);
  const sums = body.results.filter((result) => result.kind !== "store").length * body.columns;
  return body.rows * (values + sums);
}

export function costOf(kernel: Kernel, dtype: ComputeDType): KernelCost {
  const { reads, writes } = buffersOf(kernel);
  // A value that a kernel writes and reads again stays in cache.
  const narrow = writes.some(({ kind, dtype, size }) => kind === "temporary" && dtype === "bf16" && size > 0);
  const stores = narrow ? ", stores bf16" : "";
  const touched = [...new Set(writes), ...new Set(reads.filter((buffer) => !writes.includes(buffer)))];
  const bytes = touched.reduce((total, buffer) => total + DTYPE_BYTES[buffer.dtype] * buffer.size, 0);
  if (kernel.kind === "loop") {
    const { body } = kernel;
    const results = body.results.flatMap((result) => (result.kind === "store" ? [] : [result.kind]));
    const operations = [...operationsOf(body), ...results];
    const list = operations.length > 0 ? operations.join(", ") : "copy";
    return {
      what: `loop ${body.rows}×${body.columns}${stores}: ${list}`,
      launches: 1,
      flops: loopFlops(body),
      bytes,
      bf16Flops: 0,
    };
  }
  const { node, epilogue } = kernel;
  const own = flopsOf[node.op]?.(node) ?? 0;
  const shape = node.op === "matmul" ? matmulShape(node) : node.outputs[0].shape.join("×");
  const added = epilogue ? operationsOf(epilogue) : [];
  const products = productDType(node, dtype);
  return {
    what: `${node.op} ${shape}${products === "fp32" ? "" : ` in ${products}`}${stores}${added.length > 0 ? ` + ${added.join(", ")}` : ""}`,
    launches: 1,
    flops: own + (epilogue ? loopFlops(epilogue) : 0),
    bytes,
    bf16Flops: products === "fp32" ? 0 : own,
  };
}

function matmulShape(node: Node): string {
  const [M, N] = node.outputs[0].shape;
  return `${M}×${N}×${sizeOf(node.inputs[0].shape) / M}`;
}

function totalsOf(kernels: readonly KernelCost[]): Totals {
  const add = (key: keyof Totals) => kernels.reduce((total, kernel) => total + kernel[key], 0);
  return { launches: add("launches"), flops: add("flops"), bytes: add("bytes"), bf16Flops: add("bf16Flops") };
}

/**
 * Computes the cost of the program that `compile` would create from these entries.
 * @param limits of the target, which decide whether intermediate tensors are stored in bf16
 */
export function explain(entries: Entries, dtype: ComputeDType = "fp32", limits?: Limits): Explanation {
  const [fused, unfused] = [true, false].map((fusion) => compileGraph(entries, { dtype, fusion, limits }));
  const costs = (graph: typeof fused, name: string) =>
    (graph.entries.get(name) ?? []).map((kernel) => costOf(kernel, dtype));
  return {
    entries: Object.keys(entries).map((name) => {
      const grouped = new Map<string, KernelCost>();
      for (const cost of costs(fused, name)) {
        const known = grouped.get(cost.what);
        const sum = known ? totalsOf([known, cost]) : cost;
        grouped.set(cost.what, { ...sum, what: cost.what });
      }
      const kernels = [...grouped.values()].sort((a, b) => b.bytes - a.bytes);
      return { name, fused: totalsOf(kernels), unfused: totalsOf(costs(unfused, name)), kernels };
    }),
    arenaBytes: fused.memory.totalBytes,
    unfusedArenaBytes: unfused.memory.totalBytes,
    stateBytes: fused.memory.stateBytes,
  };
}
