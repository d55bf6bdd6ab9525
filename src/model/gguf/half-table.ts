/** @file The float32 value of every float16, for decoding block scales. */
import { halfToFloat } from "../../tensor/index.js";

let halves: Float32Array | undefined;

/** Returns a table from the bits of a float16 to its float32 value. */
export function halfTable(): Float32Array {
  halves ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => halfToFloat(bits));
  return halves;
}
