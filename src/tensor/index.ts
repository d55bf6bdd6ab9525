/** @file Public API of symbolic tensors: shapes, operations and gradients. Nothing here computes values. */
export { QuernError } from "../errors.js";
export * from "./block-formats.js";
export * from "./compositions.js";
export * from "./float-formats.js";
export { gradients } from "./gradient.js";
export { type Delivery, type Entries, type Entry, nodesOf } from "./graph.js";
export * from "./operations.js";
export { philox } from "./philox.js";
export { broadcastShapes } from "./shapes.js";
export * from "./tensor.js";
