/** @file The values that a schema allows at one place. */
import type { ArrayShape } from "./array-shape.js";
import type { Expression } from "./expression.js";
import type { ObjectShape } from "./object-shape.js";

export interface ValueNode {
  readonly id: number;
  /** The texts of null, booleans and numbers. */
  scalars: Expression;
  /** The values of strings, in UTF-8. */
  strings: Expression;
  objects: ObjectShape[];
  arrays: ArrayShape[];
  /** Bytes of the shortest text; Infinity if there is none. */
  cost: number;
}
