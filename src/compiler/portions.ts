/** @file Cuts the kernels of an entry into portions, so that the first variables can be sent while the last are computed. */
import { type Delivery, DTYPE_BYTES } from "../tensor/index.js";
import { type Buffer, buffersOf, type Kernel } from "./kernels.js";

/** Kernels that run in one go, and the variables that no later kernel of the entry reads or writes. */
export interface Portion {
  readonly kernels: readonly Kernel[];
  readonly finished: readonly Buffer[];
}

/** Returns the portions of an entry, in order; a single one if it delivers nothing. Each but the last finishes some variables. */
export function portionsOf(kernels: readonly Kernel[], { variables, portions }: Delivery = NOTHING): Portion[] {
  const delivered = new Set(variables);
  const lastUse = new Map<Buffer, number>();
  kernels.forEach((kernel, i) => {
    const { reads, writes } = buffersOf(kernel);
    for (const buffer of [...reads, ...writes]) {
      if (buffer.name !== undefined && delivered.has(buffer.name)) lastUse.set(buffer, i);
    }
  });
  const waiting = new Set(lastUse.keys());
  const enough = bytesOf([...waiting]) / portions;
  const result: Portion[] = [];
  let start = 0;
  let finished: Buffer[] = [];
  kernels.forEach((_, i) => {
    for (const buffer of waiting) {
      if (lastUse.get(buffer) !== i) continue;
      finished.push(buffer);
      waiting.delete(buffer);
    }
    // The kernels after the last variable are few, so they run with it.
    if (waiting.size === 0 || finished.length === 0 || bytesOf(finished) < enough) return;
    result.push({ kernels: kernels.slice(start, i + 1), finished });
    start = i + 1;
    finished = [];
  });
  return [...result, { kernels: kernels.slice(start), finished }];
}

const NOTHING: Delivery = { variables: [], portions: 1, transient: false };

const bytesOf = (buffers: readonly Buffer[]) =>
  buffers.reduce((sum, { size, dtype }) => sum + size * DTYPE_BYTES[dtype], 0);
