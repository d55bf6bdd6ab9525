/** @file Files as streams of bytes, unpacked where their name says that they are packed: .gz by zlib, .zst by zlib or zstd.ts. */
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { extname } from "node:path";
import * as zlib from "node:zlib";
import { fileError, QuernError } from "../errors.js";
import { through, unpackZstd } from "./zstd.js";

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
): AsyncGenerator<Buffer> {
  const raw = createReadStream(path, { signal, highWaterMark: 1 << 20 });
  onOpen?.(raw);
  try {
    yield* compression === undefined ? raw : unpack(raw, compression);
  } catch (error) {
    // The stream has an error of its own for it.
    signal?.throwIfAborted();
    const damage = compression === undefined ? undefined : damageOf(error);
    if (damage !== undefined) {
      throw new QuernError(`${path} is not a whole ${compression} file: ${damage}; fetch or make it again`, {
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
 * them: in `into` if they fit, since fresh memory costs more than reading. `onOpen` is given what counts them.
 * @throws QuernError where the file cannot be read; the signal's reason when it aborts
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

/**
 * What a packed stream holds, piece by piece, however long it is. Throws an error of which `damageOf` tells what is wrong with the
 * stream, and those of `packed` as they come.
 */
export async function* unpack(packed: AsyncIterable<Uint8Array>, compression: Compression): AsyncGenerator<Buffer> {
  if (compression === "gzip") yield* through(packed, zlib.createGunzip());
  else yield* unpackZstd(packed);
}

/** What is wrong with a packed stream, of an error that `unpack` threw; undefined where it is about something else. */
export function damageOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = (error as NodeJS.ErrnoException).code as unknown;
  // zlib's codes, and zstd.ts's, begin with Z_ or ZSTD_; fzstd's are numbers.
  return typeof code === "number" || /^(Z_|ZSTD_)/.test(String(code)) ? error.message : undefined;
}
