/**
 * @file What moves bytes between ranks: shared memory on one machine, or MPI. A rank is one of the processes that train a model
 * together. A transport only moves; `ranks.ts` adds up, in one order for all transports, so that bits depend on none of them.
 */

/** Bytes of an outbox. Sums of that size stay in the processor's cache, and a call costs little beside them. */
export const OUTBOX_BYTES = 1 << 20;

/** All ranks call the same operations in the same order. Arrays that an operation returns are valid until the next one. */
export interface Transport {
  /** This process's number, from 0. */
  readonly rank: number;
  /** Number of processes. */
  readonly size: number;
  /** For people: `shared memory`, `Open MPI 4.1.4`. */
  readonly name: string;
  /** Returns the `OUTBOX_BYTES` to fill for the next operation. */
  outbox(): Uint8Array;
  /** Sends part k of the outbox, of `bytes`, to rank k. Returns the parts that arrived, by sender. */
  exchange(bytes: number): Promise<readonly Uint8Array[]>;
  /** Sends the outbox's first `bytes` to all ranks. Returns those of all, by sender. */
  gather(bytes: number): Promise<readonly Uint8Array[]>;
  /** Sends the first `bytes` of rank `root`'s outbox to all ranks, and returns them. */
  broadcast(bytes: number, root: number): Promise<Uint8Array>;
  /** Leaves the others in order. A rank that ends without it ends all ranks. */
  close(): void;
}
