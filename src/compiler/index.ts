/** @file The compiler: a graph becomes kernels with places in memory, which a backend writes out for its target. */
export { type CompiledGraph, compileGraph } from "./compile-graph.js";
export { costOf, type EntryCost, type Explanation, explain, type KernelCost, type Totals } from "./explain.js";
export * from "./kernels.js";
export type { MemoryPlan } from "./memory.js";
export { multipliesInBf16, type Precision } from "./precision.js";
