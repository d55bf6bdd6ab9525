/** @file Runs a compiled program in this process: one asynchronous foreign call a run. */
import koffi from "koffi";
import { QuernError } from "../../errors.js";

/** A loaded program with its memory. */
export interface Image {
  /** Bytes of the arena. */
  readonly bytes: number;
  /** A piece of the arena: the raw memory it is in, and its first byte there. */
  piece(offset: number, bytes: number): readonly [memory: ArrayBuffer | SharedArrayBuffer, start: number];
  run(entry: number): Promise<void>;
  close(): void;
}

function open(library: string): ReturnType<typeof koffi.load> {
  try {
    return koffi.load(library);
  } catch (cause) {
    const { message } = cause as Error;
    const why = /map segment|not permitted|denied/i.test(message)
      ? "its file system may be mounted noexec"
      : "it may be damaged";
    throw new QuernError(
      `cannot load the compiled program ${library} (${message}): ${why}; set QUERN_CACHE to a folder that programs may be ` +
        "loaded from, or QUERN_CC=none to run WebAssembly",
      { cause },
    );
  }
}

/** Bytes that JavaScript's view of foreign memory can have; beyond them Node 20 ends the process. */
const MOST_OF_VIEW = 2 ** 32;

/** @throws QuernError if there is not enough memory, or the system does not load programs from the cache */
export function loadNative(library: string): Image {
  const image = open(library);
  const bytes = image.func("double quern_bytes(void)")() as number;
  const arena = image.func("void *quern_open(void)")() as unknown;
  if (!arena) {
    throw new QuernError(
      `the plan needs ${(bytes / 2 ** 30).toFixed(2)} GiB of memory, which this machine does not give; ` +
        "lower the batch, the sequence or the model's size",
    );
  }
  const address = koffi.address(arena);
  const run = image.func("void quern_run(void *arena, int entry)");
  const close = image.func("void quern_close(void *arena)");
  return {
    bytes,
    // A view of its own for each piece: one of the whole arena could not have more than 4 GiB.
    piece(offset, size) {
      if (size > MOST_OF_VIEW) {
        throw new QuernError(
          `one tensor of the plan has ${(size / 2 ** 30).toFixed(2)} GiB, and 4 GiB are the most; lower the vocabulary ` +
            "or the model's width",
        );
      }
      return [koffi.view(address + BigInt(offset), size) as ArrayBuffer, 0];
    },
    run: (entry) =>
      new Promise((resolve, reject) => {
        run.async(arena, entry, (error: unknown) => (error ? reject(error) : resolve()));
      }),
    close: () => {
      close(arena);
    },
  };
}
