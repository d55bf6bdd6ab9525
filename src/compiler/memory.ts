/** @file Where every buffer lies in the arena: lifetimes become offsets. */
import { DTYPE_BYTES } from "../tensor/index.js";
import { type Buffer, buffersOf, type Kernel } from "./kernels.js";

/** Offsets are multiples of this many bytes: a cache line, and the widest vector. */
const ALIGNMENT = 64;

export interface MemoryPlan {
  /** Byte offset of each buffer that is used. */
  readonly offsets: ReadonlyMap<Buffer, number>;
  readonly bytes: number;
  /** Bytes of variables. */
  readonly stateBytes: number;
}

const bytesOf = (buffer: Buffer) => buffer.size * DTYPE_BYTES[buffer.dtype];
const aligned = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/**
 * Named buffers and constants have places of their own. Temporaries of an entry share the rest: each, largest first,
 * takes the lowest gap between those that live at the same time. Entries run one at a time and share that space too.
 */
export function planMemory(all: readonly Buffer[], entries: Iterable<readonly Kernel[]>): MemoryPlan {
  const offsets = new Map<Buffer, number>();
  let end = 0;
  let stateBytes = 0;
  for (const buffer of all) {
    if (buffer.kind === "temporary") continue;
    offsets.set(buffer, end);
    end += aligned(bytesOf(buffer));
    if (buffer.kind === "variable") stateBytes += bytesOf(buffer);
  }
  let bytes = end;
  for (const kernels of entries) bytes = Math.max(bytes, placeTemporaries(kernels, end, offsets));
  return { offsets, bytes, stateBytes };
}

function placeTemporaries(kernels: readonly Kernel[], base: number, offsets: Map<Buffer, number>): number {
  const lifetimes = new Map<Buffer, { first: number; last: number }>();
  kernels.forEach((kernel, time) => {
    const { reads, writes } = buffersOf(kernel);
    for (const buffer of [...writes, ...reads]) {
      if (buffer.kind !== "temporary") continue;
      const life = lifetimes.get(buffer);
      if (life) life.last = time;
      else lifetimes.set(buffer, { first: time, last: time });
    }
  });
  const placed: { first: number; last: number; start: number; end: number }[] = [];
  let top = base;
  const bySize = [...lifetimes].sort(([a], [b]) => bytesOf(b) - bytesOf(a) || a.id - b.id);
  for (const [buffer, { first, last }] of bySize) {
    const size = aligned(bytesOf(buffer));
    const together = placed.filter((p) => p.first <= last && first <= p.last).sort((a, b) => a.start - b.start);
    let start = base;
    for (const other of together) {
      if (start + size <= other.start) break;
      start = Math.max(start, other.end);
    }
    offsets.set(buffer, start);
    placed.push({ first, last, start, end: start + size });
    top = Math.max(top, start + size);
  }
  return top;
}
