/** @file Reads files as streams of bytes and decompresses them by their extension: .gz with zlib, .zst with zlib or zstd.ts. */
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { extname } from "node:path";
import * as zlib from "node:zlib";
import { fileError, QuernError } from "../errors.js";
import { decompressZstd, through } from "./zstd.js";

export type Compression = "gzip" | "zstd";

const EXTENSIONS: Readonly<Record<string, Compression>> = { ".gz": "gzip", ".zst": "zstd", ".zstd": "zstd" };

/** Returns the compression that a file's name implies, and the lower-case extension of the decompressed file. */
export function compressionByName(name: string): {
  readonly compression: Compression | undefined;
  readonly extension: string;
} {
  const last = extname(name);
  const compression = EXTENSIONS[last.toLowerCase()];
  const inner = compression === undefined ? name : name.slice(0, -last.length);
  return { compression, extension: extname(inner).toLowerCase() };
}

/**
 * Streams a file's decompressed bytes.
 * @param onOpen called with a counter of the bytes read from disk, before decompression
 * @throws QuernError if the file cannot be read, or is damaged or cut short; the signal's reason when it aborts
 */
export async function* readBytes(
  path: string,
  compression: Compression | undefined,
  signal?: AbortSignal,
  onOpen?: (counter: { readonly bytesRead: number }) => void,
): AsyncGenerator<Buffer> {
  const raw = createReadStream(path, { signal, highWaterMark: 1 << 20 });
  onOpen?.(raw);
  try {
    yield* compression === undefined ? raw : decompress(raw, compression);
  } catch (error) {
    // On abort the stream throws its own error; the caller expects the signal's reason.
    signal?.throwIfAborted();
    const damage = compression === undefined ? undefined : damageOf(error);
    if (damage !== undefined) {
      throw new QuernError(`${path} is not a complete ${compression} file: ${damage}; download or create it again`, {
        cause: error,
      });
    }
    throw fileError(error, "read", path);
  } finally {
    raw.destroy();
  }
}

/** Bytes per read call. */
const READ = 1 << 24;

/**
 * Reads the first `most` bytes of an uncompressed file into memory that threads can share, followed by `padding` bytes.
 * @param into memory to reuse if it is large enough: allocating costs more than reading
 * @param onOpen called with a counter of the bytes read
 * @throws QuernError if the file cannot be read; the signal's reason when it aborts
 */
export async function readShared(
  path: string,
  most: number,
  padding: number,
  into: SharedArrayBuffer | undefined,
  signal?: AbortSignal,
  onOpen?: (counter: { readonly bytesRead: number }) => void,
): Promise<Uint8Array<SharedArrayBuffer>> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path);
    const counter = { bytesRead: 0 };
    onOpen?.(counter);
    const expected = Math.min((await handle.stat()).size, most) + padding;
    const fits = into !== undefined && into.byteLength >= expected;
    let bytes = new Uint8Array(fits ? into : new SharedArrayBuffer(expected), 0, expected);
    while (counter.bytesRead < most) {
      signal?.throwIfAborted();
      // A pipe has no known size, and a file may grow while it is read.
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

/**
 * Decompresses a stream of any length, piece by piece. If the stream is damaged, it throws an error that `damageOf`
 * explains. Errors of `compressed` are passed on.
 */
export async function* decompress(
  compressed: AsyncIterable<Uint8Array>,
  compression: Compression,
): AsyncGenerator<Buffer> {
  if (compression === "gzip") yield* through(compressed, zlib.createGunzip());
  else yield* decompressZstd(compressed);
}

/** Returns what is wrong with a compressed stream, from an error that `decompress` threw; undefined for any other error. */
export function damageOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = (error as NodeJS.ErrnoException).code as unknown;
  // The codes of zlib and zstd.ts begin with Z_ or ZSTD_; fzstd's are numbers.
  return typeof code === "number" || /^(Z_|ZSTD_)/.test(String(code)) ? error.message : undefined;
}
