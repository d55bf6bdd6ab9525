/**
 * @file What general compressors make of a text: the honest neighbours of a model's bits per byte. All at their best, on
 * the very bytes that the model is judged by.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { packageFolder } from "../../version.js";

export interface CompressionBaselines {
  /** gzip -9, in bits a byte. */
  readonly gzip: number;
  /** xz -9e, or where the machine has no `xz` its algorithm (LZMA at its best, by lzma1), in bits a byte. */
  readonly xz: number;
  /** brotli at its best (quality 11, window of 16 MiB), in bits a byte. */
  readonly brotli: number;
}

/** Bits a byte by each compressor, all at the same time and off the event loop. About two seconds a megabyte. */
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
  return { gzip: bits(gzipped.length), xz: bits(xz), brotli: bits(brotlied.length) };
}

async function sizeByXz(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<number> {
  try {
    return (await outputOf("xz", ["-9e", "--threads=1", "--stdout"], bytes, signal)).length;
  } catch (error) {
    signal?.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    return Number(await outputOf(process.execPath, ["--input-type=module", "--eval", LZMA], bytes, signal));
  }
}

/** In a process of its own, since it is JavaScript and takes seconds. */
const LZMA = `
import { compress } from "lzma1";
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
process.stdout.write(String(compress(Buffer.concat(chunks), 9).length));
`;

function outputOf(
  program: string,
  args: readonly string[],
  input: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Packages are looked for from the folder it runs in.
    const options = { encoding: "buffer", maxBuffer: input.length + (1 << 20), cwd: packageFolder, signal } as const;
    const child = execFile(program, args, options, (error, output) => (error ? reject(error) : resolve(output)));
    child.stdin?.on("error", () => {}); // a process that ends early tells why by its own error
    child.stdin?.end(input);
  });
}
