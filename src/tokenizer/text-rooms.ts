/** @file Memory of texts that other threads encode or count. */
import { PADDING } from "./encode/encoder.js";
import type { PackedTask, TextTask } from "./worker-tasks.js";

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
    const given = task.kind === "packed" ? task.bytes.subarray(task.start, task.end) : undefined;
    const own = task.kind === "lines" ? task.lines.bytes : given;
    if (own === undefined || !(own.buffer instanceof SharedArrayBuffer)) return run(task);
    const room = this.#take(own.length + PADDING);
    const bytes = new Uint8Array(room);
    bytes.set(own);
    try {
      if (task.kind === "lines") {
        return await run({ ...task, lines: { ...task.lines, bytes: bytes.subarray(0, own.length) } });
      }
      const { start, ends } = task as PackedTask;
      return await run({
        ...(task as PackedTask),
        bytes,
        start: 0,
        end: own.length,
        ends: ends.map((at) => at - start),
      });
    } finally {
      if (room.byteLength <= LARGEST_KEPT) this.#free.push(room);
    }
  }

  #take(length: number): SharedArrayBuffer {
    const place = this.#free.findIndex((room) => room.byteLength >= length);
    return place < 0 ? new SharedArrayBuffer(Math.max(length, ROOM)) : this.#free.splice(place, 1)[0];
  }
}
