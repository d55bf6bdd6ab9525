/** @file What the three ways to run a program of this backend have in common: in this process, as WebAssembly, emulated. */
import type { Queue } from "../queue.js";

/** A piece of memory that kernels and JavaScript reach. */
export interface Block {
  readonly bytes: number;
  /** A part of it: the raw memory it is in, and its first byte there. */
  piece(offset: number, bytes: number): readonly [memory: ArrayBuffer | SharedArrayBuffer, start: number];
  free(): void;
}

/** A loaded program. */
export interface Loaded {
  readonly arena: Block;
  /** What its runs need for themselves. */
  readonly queues: readonly Queue[];
  /** Zeroed memory. @throws QuernError if there is not enough */
  allocate(bytes: number): Block;
  /** Lets a variable lie in a block that `allocate` of this program, or of one loaded beside it, has given. */
  bind(variable: number, block: Block, offset: number, bytes: number): void;
  run(entry: number): Promise<void>;
  /** Frees the arena, and the threads if no other program uses them. */
  close(): void | Promise<void>;
}
