/** @file What an array or an object knows of the values at one of its places; `ValueNode` says what they are. */
export interface PlacedValue {
  /** Index of its `ValueNode`. */
  readonly id: number;
  /** Bytes of the shortest text; Infinity if there is none. */
  readonly cost: number;
}
