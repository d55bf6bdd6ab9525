/** @file Plans memory: variables have their own, all other buffers get offsets in one arena, by lifetime. */
import { QuernError } from "../errors.js";
import { DTYPE_BYTES } from "../tensor/index.js";
import { type Buffer, buffersOf } from "./kernels.js";
import type { Portion } from "./portions.js";

/** Limits and abilities of a target's memory. */
export interface Limits {
  /** Every offset is a multiple of this many bytes. */
  readonly alignment: number;
  /** Maximum bytes of one kernel binding; Infinity if unlimited. */
  readonly maxBindingBytes: number;
  /** Whether bf16 products can read and write intermediate tensors stored in bf16. */
  readonly storesBf16?: boolean;
}

/** Alignment of a cache line and of the widest vector. */
export const HOST_LIMITS: Limits = { alignment: 64, maxBindingBytes: Number.POSITIVE_INFINITY };

export interface MemoryPlan {
  /**
   * Byte offset in the arena of each used buffer except variables. No buffer crosses a multiple of the largest binding, so a
   * target can build the arena from blocks of that size.
   */
  readonly offsets: ReadonlyMap<Buffer, number>;
  /** Size of the arena in bytes. */
  readonly bytes: number;
  /** Variables have memory outside the arena, which programs can share. */
  readonly variables: readonly Buffer[];
  /** Bytes of variables. */
  readonly stateBytes: number;
  /** Bytes of the arena and of variables, each aligned. */
  readonly totalBytes: number;
}

const bytesOf = (buffer: Buffer) => buffer.size * DTYPE_BYTES[buffer.dtype];

/**
 * Plans the arena. Inputs, outputs and constants have their own offsets. Temporaries and transient variables share the rest by
 * lifetime: from largest to smallest, each takes the lowest gap between those alive at the same time. Entries run one at a time and
 * share this space.
 * @throws QuernError for a buffer that is larger than the largest binding
 */
export function planMemory(
  all: readonly Buffer[],
  entries: Iterable<readonly Portion[]>,
  limits: Limits = HOST_LIMITS,
): MemoryPlan {
  const place = placer(limits);
  const offsets = new Map<Buffer, number>();
  const variables = all.filter(({ kind }) => kind === "variable");
  for (const variable of variables) place.requireBinding(variable);
  let end = 0;
  for (const buffer of all) {
    if (isShortLived(buffer) || buffer.kind === "variable") continue;
    const start = place.start(buffer, end);
    offsets.set(buffer, start);
    end = start + place.size(buffer);
  }
  let bytes = end;
  for (const portions of entries) bytes = Math.max(bytes, placeTemporaries(portions, end, offsets, place));
  return {
    offsets,
    bytes,
    variables,
    stateBytes: variables.reduce((sum, buffer) => sum + bytesOf(buffer), 0),
    totalBytes: variables.reduce((sum, buffer) => sum + place.size(buffer), bytes),
  };
}

type Placer = ReturnType<typeof placer>;

function placer({ alignment, maxBindingBytes }: Limits) {
  const block = Math.floor(maxBindingBytes / alignment) * alignment; // Infinity stays Infinity
  const size = (buffer: Buffer) => Math.ceil(bytesOf(buffer) / alignment) * alignment;
  const requireBinding = (buffer: Buffer) => {
    if (size(buffer) <= block) return;
    const what = buffer.name === undefined ? "an intermediate tensor" : `"${buffer.name}"`;
    throw new QuernError(
      `${what} has ${bytesOf(buffer)} bytes, but this device can bind at most ${maxBindingBytes} at once; reduce the batch ` +
        "size, the sequence length, the vocabulary or the model width",
    );
  };
  return {
    size,
    requireBinding,
    /** The first offset at or after `from` at which a buffer fits into one block. */
    start(buffer: Buffer, from: number): number {
      requireBinding(buffer);
      const room = block - (from % block);
      return block === Number.POSITIVE_INFINITY || size(buffer) <= room ? from : from + room;
    },
  };
}

/** Whether a buffer's memory is used again during the run. */
const isShortLived = ({ kind }: Buffer) => kind === "temporary" || kind === "transient";

function placeTemporaries(
  portions: readonly Portion[],
  base: number,
  offsets: Map<Buffer, number>,
  place: Placer,
): number {
  const lifetimes = new Map<Buffer, { first: number; last: number }>();
  const kernels = portions.flatMap((portion) => portion.kernels);
  kernels.forEach((kernel, time) => {
    const { reads, writes } = buffersOf(kernel);
    for (const buffer of [...writes, ...reads]) {
      if (!isShortLived(buffer)) continue;
      const life = lifetimes.get(buffer);
      if (life) life.last = time;
      else lifetimes.set(buffer, { first: time, last: time });
    }
  });
  // What a portion delivers is sent while the next one runs.
  let end = 0;
  portions.forEach(({ kernels, finished }, i) => {
    end += kernels.length;
    for (const buffer of finished) {
      const life = lifetimes.get(buffer);
      if (life) life.last = end + (portions[i + 1]?.kernels.length ?? 0) - 1;
    }
  });
  const placed: { first: number; last: number; start: number; end: number }[] = [];
  let top = base;
  const bySize = [...lifetimes].sort(([a], [b]) => bytesOf(b) - bytesOf(a) || a.id - b.id);
  for (const [buffer, { first, last }] of bySize) {
    const size = place.size(buffer);
    const together = placed.filter((p) => p.first <= last && first <= p.last).sort((a, b) => a.start - b.start);
    let start = place.start(buffer, base);
    for (const other of together) {
      if (start + size <= other.start) break;
      start = place.start(buffer, Math.max(start, other.end));
    }
    offsets.set(buffer, start);
    placed.push({ first, last, start, end: start + size });
    top = Math.max(top, start + size);
  }
  return top;
}
