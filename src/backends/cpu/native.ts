/** @file Runs a compiled program in this process: one asynchronous foreign call a run. */
import koffi from "koffi";
import { QuernError } from "../../errors.js";

/** A loaded program with its memory. */
export interface Image {
  /** The arena, as raw memory. */
  readonly memory: ArrayBuffer | SharedArrayBuffer;
  /** Byte offset of the arena in `memory`. */
  readonly base: number;
  readonly bytes: number;
  run(entry: number): Promise<void>;
  close(): void;
}

/** @throws QuernError if there is not enough memory */
export function loadNative(library: string): Image {
  const image = koffi.load(library);
  const bytes = image.func("double quern_bytes(void)")() as number;
  const arena = image.func("void *quern_open(void)")() as unknown;
  if (!arena) {
    throw new QuernError(
      `the plan needs ${(bytes / 2 ** 30).toFixed(2)} GiB of memory, which this machine does not give; ` +
        "lower the batch, the sequence or the model's size",
    );
  }
  const run = image.func("void quern_run(void *arena, int entry)");
  const close = image.func("void quern_close(void *arena)");
  return {
    memory: koffi.view(arena, bytes) as ArrayBuffer,
    base: 0,
    bytes,
    run: (entry) =>
      new Promise((resolve, reject) => {
        run.async(arena, entry, (error: unknown) => (error ? reject(error) : resolve()));
      }),
    close: () => {
      close(arena);
    },
  };
}
