/** @file Baselines for a model's bits per byte: general compressors at their strongest settings, on the same bytes. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

export interface CompressionBaselines {
  /** gzip -9, in bits per byte. */
  readonly gzip: number;
  /** xz -9e, in bits per byte; undefined on a machine without `xz`. */
  readonly xz: number | undefined;
  /** brotli at maximum quality (11, window of 16 MiB), in bits per byte. */
  readonly brotli: number;
}

/** Returns bits per byte of each compressor. They run concurrently, off the event loop, at about two seconds per megabyte. */
export async function compressionBaselines(bytes: Uint8Array, signal?: AbortSignal): Promise<CompressionBaselines> {
  const bits = (size: number) => (8 * size) / bytes.length;
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const [gzipped, brotlied, xz] = await Promise.all([
    promisify(gzip)(bytes, { level: 9 }),
    promisify(brotliCompress)(bytes, { params }),
    sizeByXz(bytes, signal),
  ]);
  return { gzip: bits(gzipped.length), xz: xz === undefined ? undefined : bits(xz), brotli: bits(brotlied.length) };
}

/** Returns the size of the bytes compressed by `xz -9e`; undefined if `xz` is not installed. */
function sizeByXz(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const options = { encoding: "buffer", maxBuffer: bytes.length + (1 << 20), signal } as const;
    const child = execFile("xz", ["-9e", "--threads=1", "--stdout"], options, (error, output) => {
      if (error === null) resolve(output.length);
      else if (!signal?.aborted && error.code === "ENOENT") resolve(undefined);
      else reject(error);
    });
    child.stdin?.on("error", () => {}); // the callback above reports a process that ends early
    child.stdin?.end(bytes);
  });
}
