/** @file Interface of the three ways to run a `cpu` program: in this process, as WebAssembly, or emulated. */
import type { Queue } from "../queue.js";

/** A block of memory that kernels and JavaScript can access. */
export interface Block {
  readonly bytes: number;
  /** A part of the block: its underlying buffer, and the offset of its first byte there. */
  piece(offset: number, bytes: number): readonly [memory: ArrayBuffer | SharedArrayBuffer, start: number];
  free(): void;
}

/** A loaded program. */
export interface Loaded {
  readonly arena: Block;
  /** Resources that a run occupies. */
  readonly queues: readonly Queue[];
  /** Allocates zeroed memory. @throws QuernError if there is not enough */
  allocate(bytes: number): Block;
  /** Places a variable in a block allocated by this program, or by one that shares memory with it. */
  bind(variable: number, block: Block, offset: number, bytes: number): void;
  run(entry: number): Promise<void>;
  /** Frees the arena, and the threads if no other program uses them. */
  close(): void | Promise<void>;
}
