/** @file Memory of texts that other threads encode or count. */
import { PADDING } from "./encoder.js";
import type { TextTask } from "./worker-tasks.js";

/** Bytes of a room at least: texts come in megabytes. */
const ROOM = (1 << 20) + (1 << 18);
/** Larger rooms are not kept: few texts need them. */
const LARGEST_KEPT = 1 << 22;

/**
 * A reader of files reads one text over the other, since fresh megabytes of memory cost more than what is done with them. What
 * another thread gets is copied out of the way, into rooms that are used again too.
 */
export class TextRooms {
  readonly #free: SharedArrayBuffer[] = [];

  /** Gives what `run` makes of the task, whose text is safe in a room meanwhile. */
  async within<T>(task: TextTask, run: (safe: TextTask) => Promise<T>): Promise<T> {
    if (task.kind !== "packed" || !(task.bytes.buffer instanceof SharedArrayBuffer)) return run(task);
    const { start, end, ends } = task;
    const room = this.#take(end - start + PADDING);
    const bytes = new Uint8Array(room);
    bytes.set(task.bytes.subarray(start, end));
    try {
      return await run({ ...task, bytes, start: 0, end: end - start, ends: ends.map((at) => at - start) });
    } finally {
      if (room.byteLength <= LARGEST_KEPT) this.#free.push(room);
    }
  }

  #take(length: number): SharedArrayBuffer {
    const place = this.#free.findIndex((room) => room.byteLength >= length);
    return place < 0 ? new SharedArrayBuffer(Math.max(length, ROOM)) : this.#free.splice(place, 1)[0];
  }
}
