/** @file Files as streams of bytes, unpacked where their name says that they are packed: .gz by zlib, .zst by zlib or fzstd. */
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { extname } from "node:path";
import * as zlib from "node:zlib";
import { Decompress } from "fzstd";
import { fileError, QuernError } from "../errors.js";

export type Compression = "gzip" | "zstd";

const EXTENSIONS: Readonly<Record<string, Compression>> = { ".gz": "gzip", ".zst": "zstd", ".zstd": "zstd" };

/** The packing that a file's name tells, and the extension, in lower case, of what is packed. */
export function packingOf(name: string): { readonly compression: Compression | undefined; readonly extension: string } {
  const last = extname(name);
  const compression = EXTENSIONS[last.toLowerCase()];
  const unpacked = compression === undefined ? name : name.slice(0, -last.length);
  return { compression, extension: extname(unpacked).toLowerCase() };
}

/**
 * A file's bytes, unpacked, as they come. `onOpen` is given what counts the file's own bytes, packed or not.
 *
 * @throws QuernError where the file cannot be read or is no whole packed file; the signal's reason when it aborts
 */
export async function* readBytes(
  path: string,
  compression: Compression | undefined,
  signal?: AbortSignal,
  onOpen?: (counter: { readonly bytesRead: number }) => void,
): AsyncGenerator<Uint8Array> {
  const raw = createReadStream(path, { signal, highWaterMark: 1 << 20 });
  onOpen?.(raw);
  try {
    if (compression === undefined) yield* raw;
    else if (compression === "gzip") yield* through(raw, zlib.createGunzip());
    else if ("createZstdDecompress" in zlib) {
      yield* through(raw, (zlib.createZstdDecompress as () => zlib.Gunzip)()); // Node 22.15 and newer
    } else yield* unpackZstd(raw);
  } catch (error) {
    // The stream has an error of its own for it.
    signal?.throwIfAborted();
    const code = (error as NodeJS.ErrnoException).code as unknown;
    // zlib's codes begin with Z_ or ZSTD_, fzstd's are numbers.
    if (compression !== undefined && (typeof code === "number" || /^(Z_|ZSTD_)/.test(String(code)))) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new QuernError(`${path} is not a whole ${compression} file: ${reason}; fetch or make it again`, {
        cause: error,
      });
    }
    throw fileError(error, "read", path);
  } finally {
    raw.destroy();
  }
}

/** Bytes that are read in one call. */
const READ = 1 << 24;

/**
 * The first `most` bytes of a file that is not packed, in memory that threads can share, with `padding` more bytes behind
 * them. `onOpen` is given what counts them.
 * @throws QuernError where the file cannot be read; the signal's reason when it aborts
 */
export async function readShared(
  path: string,
  most: number,
  padding: number,
  signal?: AbortSignal,
  onOpen?: (counter: { readonly bytesRead: number }) => void,
): Promise<Uint8Array<SharedArrayBuffer>> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path);
    const counter = { bytesRead: 0 };
    onOpen?.(counter);
    let bytes = new Uint8Array(new SharedArrayBuffer(Math.min((await handle.stat()).size, most) + padding));
    while (counter.bytesRead < most) {
      signal?.throwIfAborted();
      // A pipe tells no size, and a file may grow while it is read.
      if (counter.bytesRead === bytes.length - padding) {
        const one = await handle.read(new Uint8Array(1), 0, 1, null);
        if (one.bytesRead === 0) break;
        const grown = new Uint8Array(new SharedArrayBuffer(bytes.length * 2 + 4096));
        grown.set(bytes);
        grown[counter.bytesRead++] = one.buffer[0];
        bytes = grown;
      }
      const room = Math.min(READ, bytes.length - padding - counter.bytesRead, most - counter.bytesRead);
      const { bytesRead } = await handle.read(bytes, counter.bytesRead, room, null);
      if (bytesRead === 0) break;
      counter.bytesRead += bytesRead;
    }
    return bytes.subarray(0, counter.bytesRead);
  } catch (error) {
    signal?.throwIfAborted();
    throw fileError(error, "read", path);
  } finally {
    await handle?.close();
  }
}

async function* through(raw: ReturnType<typeof createReadStream>, unpacked: zlib.Gunzip): AsyncGenerator<Buffer> {
  raw.on("error", (error) => unpacked.destroy(error));
  yield* raw.pipe(unpacked);
}

async function* unpackZstd(raw: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let unpacked: Uint8Array[] = [];
  const stream = new Decompress((chunk) => unpacked.push(chunk));
  for await (const chunk of raw) {
    stream.push(chunk);
    yield* unpacked;
    unpacked = [];
  }
  stream.push(new Uint8Array(), true);
  yield* unpacked;
}
