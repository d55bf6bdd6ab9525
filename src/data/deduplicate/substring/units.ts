/** @file The units of spans, which are UTF-8 bytes or a tokenizer's tokens, and the anchors of a text. */
import { growTo, instantiateKernel, kernelMemory } from "../../../kernel.js";
import type { DeduplicateConfig } from "../plan.js";
import type { ByteBounds } from "./spans.js";

interface Kernel {
  anchors(
    text: number,
    wide: number,
    count: number,
    window: number,
    gram: number,
    ring: number,
    hashes: number,
    positions: number,
  ): number;
}

/** Units whose anchors are computed per kernel call. */
const CHUNK = 2 ** 16;

/** Units that an anchor hashes. Fewer make anchors rarer; more make chance collisions between windows rarer. */
export const gramOf = (window: number) => Math.ceil(window / 3);

export interface Units {
  /** Returns the units of a text. */
  read(text: string): Uint8Array | Uint32Array;
  /** Calls `found` with each anchor of the last text read: two halves of its hash, and its place. Anchors may repeat. */
  anchors(found: (low: number, high: number, place: number) => void): void;
  /** Returns the map from units to the text's bytes. */
  bounds(text: string): ByteBounds;
}

export async function openUnits({ tokenizer: name, length: window }: DeduplicateConfig): Promise<Units> {
  // Imported only if needed: loading the tokenizer's modules dominates a worker's start time.
  const tokenizer =
    name === undefined ? undefined : await (await import("../../../tokenizer/index.js")).openTokenizer(name);
  const wide = tokenizer === undefined ? 0 : 1;
  const gram = gramOf(window);
  const memory = kernelMemory();
  const kernel = instantiateKernel<Kernel>(new URL("./kernel.wasm", import.meta.url), memory);
  const base = Math.ceil(kernel.__heap_base.value / 64) * 64;
  const most = CHUNK + window;
  const ring = base + 4 * most;
  const hashes = ring + 16 * window;
  const positions = hashes + 16 * most;
  growTo(memory, positions + 8 * most);
  const bytes = new Uint8Array(memory.buffer, base, 4 * most);
  const hashWords = new Uint32Array(memory.buffer, hashes, 4 * most);
  const places = new Int32Array(memory.buffer, positions, 2 * most);
  let units: Uint8Array | Uint32Array = new Uint8Array(0);
  return {
    read(text) {
      units = tokenizer === undefined ? Buffer.from(text) : tokenizer.encode(text, { special: "text" });
      return units;
    },
    anchors(found) {
      // Each window is handled in the chunk where it begins.
      for (let start = 0; start + window <= units.length; start += CHUNK) {
        const chunk = units.subarray(start, start + CHUNK + window - 1);
        bytes.set(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
        const count = kernel.anchors(base, wide, chunk.length, window, gram, ring, hashes, positions);
        for (let i = 0; i < count; i++) found(hashWords[2 * i], hashWords[2 * i + 1], start + places[i]);
      }
    },
    bounds(text) {
      if (tokenizer === undefined) return { start: (unit) => unit, end: (unit) => unit };
      const { starts, ends } = tokenizer.encodeWithOffsets(text, { special: "text", unit: "byte" });
      // Offsets are widened to whole characters. A character shared by two tokens is never cut.
      return {
        start: (unit) => (unit === 0 ? starts[0] : Math.max(starts[unit], ends[unit - 1])),
        end: (unit) => (unit === ends.length ? ends[unit - 1] : Math.min(ends[unit - 1], starts[unit])),
      };
    },
  };
}
