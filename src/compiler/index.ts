/** @file The compiler: turns a graph into kernels and a memory plan, from which a backend emits code for its target. */
export {
  type CompiledGraph,
  compileGraph,
  type GraphOptions,
  type Run,
  transientVariables,
} from "./compile-graph.js";
export { type ComputeDType, multipliesInBf16, productDType } from "./compute-dtype.js";
export { costOf, type EntryCost, type Explanation, explain, type KernelCost, type Totals } from "./explain.js";
export { flatten } from "./flatten.js";
export * from "./kernels.js";
export { HOST_LIMITS, type Limits, type MemoryPlan } from "./memory.js";
