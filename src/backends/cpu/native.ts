/** @file Runs a compiled program in this process, with one asynchronous foreign call per run. */
import koffi from "koffi";
import { QuernError } from "../../errors.js";
import { Queue } from "../queue.js";
import type { Block, Loaded } from "./loaded.js";

type Library = ReturnType<typeof koffi.load>;

function open(library: string): Library {
  try {
    return koffi.load(library);
  } catch (cause) {
    const { message } = cause as Error;
    const why = /map segment|not permitted|denied/i.test(message)
      ? "its file system may be mounted noexec"
      : "it may be damaged";
    throw new QuernError(
      `cannot load the compiled program ${library} (${message}): ${why}; set QUERN_CACHE to a folder from which libraries ` +
        "may be loaded, or QUERN_CC=none to use WebAssembly",
      { cause },
    );
  }
}

/** Maximum bytes of a JavaScript view of foreign memory; beyond it Node 20 aborts. */
const MAX_VIEW = 2 ** 32;

/** A block of native memory. */
class NativeBlock implements Block {
  constructor(
    readonly address: bigint,
    readonly bytes: number,
    readonly free: () => void,
  ) {}

  /** Creates a view per piece, because a view of the whole block could not exceed 4 GiB. */
  piece(offset: number, bytes: number): readonly [ArrayBuffer, number] {
    if (bytes > MAX_VIEW) {
      throw new QuernError(
        `a tensor of the plan has ${(bytes / 2 ** 30).toFixed(2)} GiB, but at most 4 GiB are supported; reduce the ` +
          "vocabulary or the model width",
      );
    }
    return [koffi.view(this.address + BigInt(offset), bytes) as ArrayBuffer, 0];
  }
}

/** The thread pool shared by all programs with the same number of threads. One program at a time uses it. */
class ThreadPool extends Queue {
  static readonly #pools = new Map<number, ThreadPool>();
  #users = 0;

  private constructor(
    readonly threads: number,
    readonly address: bigint,
    readonly close: () => void,
  ) {
    super();
  }

  /** Returns the pool, opened by the program's code if it does not exist yet; null for a single thread. */
  static retain(image: Library, threads: number): ThreadPool | null {
    if (threads === 1) return null;
    const pool = ThreadPool.#pools.get(threads) ?? ThreadPool.#open(image, threads);
    pool.#users++;
    return pool;
  }

  static #open(image: Library, threads: number): ThreadPool {
    const address = image.func("void *quern_open_pool(int threads)")(threads) as bigint | null;
    if (!address) throw new QuernError(`cannot start ${threads} threads; lower --threads or QUERN_THREADS`);
    const close = image.func("void quern_close_pool(void *pool)");
    const pool = new ThreadPool(threads, address, () => close(address));
    ThreadPool.#pools.set(threads, pool);
    return pool;
  }

  release(): void {
    if (--this.#users > 0) return;
    ThreadPool.#pools.delete(this.threads);
    this.close();
  }
}

/** @throws QuernError if there is not enough memory, or the system refuses to load libraries from the cache */
export function loadNative(library: string, threads: number): Loaded {
  const image = open(library);
  const map = image.func("void *quern_allocate(double bytes)");
  const unmap = image.func("void quern_free(void *memory, double bytes)");
  const allocate = (bytes: number) => {
    const address = map(bytes) as bigint | null;
    if (!address) {
      throw new QuernError(
        `cannot allocate the plan's ${(bytes / 2 ** 30).toFixed(2)} GiB of memory; ` +
          "reduce the batch size, the sequence length or the model size",
      );
    }
    return new NativeBlock(address, bytes, () => unmap(address, bytes));
  };
  const arena = allocate(image.func("double quern_bytes(void)")() as number);
  const bind = image.func("void quern_bind(void *arena, int binding, void *memory)");
  const run = image.func("void quern_run(void *arena, int entry)");
  let pool: ThreadPool | null;
  try {
    pool = ThreadPool.retain(image, threads);
  } catch (error) {
    arena.free();
    throw error;
  }
  bind(arena.address, 0, pool?.address ?? null);
  return {
    arena,
    queues: pool ? [pool] : [],
    allocate,
    bind: (variable, block, offset) =>
      bind(arena.address, 1 + variable, (block as NativeBlock).address + BigInt(offset)),
    run: (entry) =>
      new Promise((resolve, reject) => {
        run.async(arena.address, entry, (error: unknown) => (error ? reject(error) : resolve()));
      }),
    close() {
      arena.free();
      pool?.release();
    },
  };
}
