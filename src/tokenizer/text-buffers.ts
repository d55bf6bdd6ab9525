/** @file Reusable buffers for texts that other threads encode or count. */
import { PADDING } from "./encode/encoder.js";
import type { BytesTask, TextTask } from "./worker-tasks.js";

/** Minimum size of a buffer in bytes: tasks are about 1 MiB. */
const SMALLEST = (1 << 20) + (1 << 18);
/** Larger buffers are not reused: few texts need them. */
const LARGEST_KEPT = 1 << 22;

/**
 * A file reader overwrites its buffer with each text, because allocating fresh megabytes costs more than processing them.
 * Texts for other threads are therefore copied, into buffers that are reused as well.
 */
export class TextBuffers {
  readonly #free: SharedArrayBuffer[] = [];

  /** Calls `run` with a copy of the task that the reader cannot overwrite, and returns its result. */
  async runOnCopy<T>(task: TextTask, run: (copy: TextTask) => Promise<T>): Promise<T> {
    const given = task.kind === "bytes" ? task.bytes.subarray(task.start, task.end) : undefined;
    const own = task.kind === "lines" ? task.lines.bytes : given;
    if (own === undefined || !(own.buffer instanceof SharedArrayBuffer)) return run(task);
    const buffer = this.#take(own.length + PADDING);
    const bytes = new Uint8Array(buffer);
    bytes.set(own);
    try {
      if (task.kind === "lines") {
        return await run({ ...task, lines: { ...task.lines, bytes: bytes.subarray(0, own.length) } });
      }
      const { start, ends } = task as BytesTask;
      return await run({
        ...(task as BytesTask),
        bytes,
        start: 0,
        end: own.length,
        ends: ends.map((at) => at - start),
      });
    } finally {
      if (buffer.byteLength <= LARGEST_KEPT) this.#free.push(buffer);
    }
  }

  #take(length: number): SharedArrayBuffer {
    const place = this.#free.findIndex((buffer) => buffer.byteLength >= length);
    return place < 0 ? new SharedArrayBuffer(Math.max(length, SMALLEST)) : this.#free.splice(place, 1)[0];
  }
}
