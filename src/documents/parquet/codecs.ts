/**
 * @file Decompresses Parquet pages. Each codec writes into a buffer of the size in the page header, and checks every length
 * and distance against it.
 */
import * as zlib from "node:zlib";
import { decompressZstdPage } from "../zstd.js";

/**
 * Decompresses a page to `size` bytes.
 * @param codec Parquet's number of the codec
 * @throws Error if the page is damaged or the codec is unknown
 */
export function decompressPage(compressed: Buffer, size: number, codec: number): Buffer {
  const page = decompressAs(compressed, size, codec);
  if (page.length !== size) throw new Error(`a page has ${page.length} bytes instead of ${size}`);
  return page;
}

function decompressAs(compressed: Buffer, size: number, codec: number): Buffer {
  const options = { maxOutputLength: Math.max(size, 1) };
  switch (codec) {
    case 0:
      return compressed;
    case 1:
      return decompressSnappy(compressed, size);
    case 2:
      return zlib.gunzipSync(compressed, options);
    case 4:
      return zlib.brotliDecompressSync(compressed, options);
    case 5:
      return decompressHadoopLz4(compressed, size);
    case 6:
      return decompressZstdPage(compressed, size);
    case 7:
      return decompressLz4(compressed, size);
    default:
      throw new Error(`a page is compressed with an unknown codec (${codec})`);
  }
}

const damaged = () => new Error("a page's compressed bytes are damaged");

/** Output of an LZ77 codec: literals, and copies of earlier output. */
class Output {
  readonly bytes: Buffer;
  length = 0;

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafeSlow(size);
  }

  literal(from: Buffer, at: number, length: number): void {
    if (length > from.length - at || length > this.bytes.length - this.length) throw damaged();
    from.copy(this.bytes, this.length, at, at + length);
    this.length += length;
  }

  copy(distance: number, length: number): void {
    const { bytes } = this;
    let to = this.length;
    const end = to + length;
    if (distance <= 0 || distance > to || end > bytes.length) throw damaged();
    if (distance >= length) bytes.copyWithin(to, to - distance, to - distance + length);
    // The source overlaps the destination, so bytes are copied one by one.
    else for (; to < end; to++) bytes[to] = bytes[to - distance];
    this.length = end;
  }

  whole(): Buffer {
    if (this.length !== this.bytes.length) throw damaged();
    return this.bytes;
  }
}

/** Decompresses Snappy: a length, then literals and copies (format_description.txt). */
function decompressSnappy(compressed: Buffer, size: number): Buffer {
  let at = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    if (at >= compressed.length || shift > 28) throw damaged();
    const byte = compressed[at++];
    length += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
  }
  if (length !== size) throw damaged();
  const out = new Output(size);
  while (at < compressed.length) {
    const tag = compressed[at++];
    const kind = tag & 3;
    if (kind === 0) {
      let count = tag >> 2;
      if (count >= 60) {
        const wide = count - 59;
        if (wide > compressed.length - at) throw damaged();
        count = compressed.readUIntLE(at, wide);
        at += wide;
      }
      out.literal(compressed, at, count + 1);
      at += count + 1;
      continue;
    }
    const wide = kind === 3 ? 4 : kind;
    if (wide > compressed.length - at) throw damaged();
    if (kind === 1) out.copy(((tag >> 5) << 8) | compressed[at], ((tag >> 2) & 7) + 4);
    else out.copy(compressed.readUIntLE(at, wide), (tag >> 2) + 1);
    at += wide;
  }
  return out.whole();
}

/** Decompresses LZ4's block format. */
function decompressLz4(compressed: Buffer, size: number): Buffer {
  const out = new Output(size);
  let at = 0;
  const extended = (short: number): number => {
    let length = short;
    for (let byte = 255; short === 15 && byte === 255; ) {
      if (at >= compressed.length) throw damaged();
      byte = compressed[at++];
      length += byte;
    }
    return length;
  };
  while (at < compressed.length) {
    const token = compressed[at++];
    const literals = extended(token >> 4);
    out.literal(compressed, at, literals);
    at += literals;
    if (at >= compressed.length) break;
    if (compressed.length - at < 2) throw damaged();
    const distance = compressed.readUInt16LE(at);
    at += 2;
    out.copy(distance, extended(token & 15) + 4);
  }
  return out.whole();
}

/** Decompresses Parquet's old LZ4 codec: blocks in Hadoop's framing or, from some writers, a block without framing. */
function decompressHadoopLz4(compressed: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  let length = 0;
  for (let at = 0; at < compressed.length; ) {
    const [own, stored] =
      compressed.length - at < 8 ? [0, 0] : [compressed.readUInt32BE(at), compressed.readUInt32BE(at + 4)];
    if (stored === 0 || stored > compressed.length - at - 8 || own > size - length)
      return decompressLz4(compressed, size);
    try {
      parts.push(decompressLz4(compressed.subarray(at + 8, at + 8 + stored), own));
    } catch {
      return decompressLz4(compressed, size);
    }
    length += own;
    at += 8 + stored;
  }
  return Buffer.concat(parts);
}
