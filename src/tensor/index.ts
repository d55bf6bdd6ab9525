/** @file Symbolic tensors: shapes, operations and gradient rules. Pure: nothing here computes a value. */
export { QuernError } from "../errors.js";
export * from "./compositions.js";
export * from "./float-formats.js";
export { gradients } from "./gradient.js";
export { type Entries, type Entry, nodesOf } from "./graph.js";
export * from "./operations.js";
export { philox } from "./philox.js";
export { broadcastShapes } from "./shapes.js";
export * from "./tensor.js";
