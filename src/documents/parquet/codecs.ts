/**
 * @file Decompressing a Parquet page. Each codec writes into memory of the size that the page's header gives, and checks every
 * length and distance against it.
 */
import * as zlib from "node:zlib";
import { unpackZstdPage } from "../zstd.js";

/** Unpacks a page of `size` bytes; `codec` is Parquet's number. Throws an Error where it is damaged or the codec is unknown. */
export function unpackPage(packed: Buffer, size: number, codec: number): Buffer {
  const page = unpackAs(packed, size, codec);
  if (page.length !== size) throw new Error(`a page has ${page.length} bytes instead of ${size}`);
  return page;
}

function unpackAs(packed: Buffer, size: number, codec: number): Buffer {
  const options = { maxOutputLength: Math.max(size, 1) };
  switch (codec) {
    case 0:
      return packed;
    case 1:
      return unpackSnappy(packed, size);
    case 2:
      return zlib.gunzipSync(packed, options);
    case 4:
      return zlib.brotliDecompressSync(packed, options);
    case 5:
      return unpackHadoopLz4(packed, size);
    case 6:
      return unpackZstdPage(packed, size);
    case 7:
      return unpackLz4(packed, size);
    default:
      throw new Error(`a page is compressed by a codec that is unknown (${codec})`);
  }
}

const damaged = () => new Error("a page's compressed bytes are damaged");

/** Output of a codec that copies: literals, and stretches of what it wrote before. */
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
    // What is copied may begin in what is being written.
    else for (; to < end; to++) bytes[to] = bytes[to - distance];
    this.length = end;
  }

  whole(): Buffer {
    if (this.length !== this.bytes.length) throw damaged();
    return this.bytes;
  }
}

/** Snappy's format description: a length, then literals and copies. */
function unpackSnappy(packed: Buffer, size: number): Buffer {
  let at = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    if (at >= packed.length || shift > 28) throw damaged();
    const byte = packed[at++];
    length += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
  }
  if (length !== size) throw damaged();
  const out = new Output(size);
  while (at < packed.length) {
    const tag = packed[at++];
    const kind = tag & 3;
    if (kind === 0) {
      let count = tag >> 2;
      if (count >= 60) {
        const wide = count - 59;
        if (wide > packed.length - at) throw damaged();
        count = packed.readUIntLE(at, wide);
        at += wide;
      }
      out.literal(packed, at, count + 1);
      at += count + 1;
      continue;
    }
    const wide = kind === 3 ? 4 : kind;
    if (wide > packed.length - at) throw damaged();
    if (kind === 1) out.copy(((tag >> 5) << 8) | packed[at], ((tag >> 2) & 7) + 4);
    else out.copy(packed.readUIntLE(at, wide), (tag >> 2) + 1);
    at += wide;
  }
  return out.whole();
}

/** LZ4's block format. */
function unpackLz4(packed: Buffer, size: number): Buffer {
  const out = new Output(size);
  let at = 0;
  const extended = (short: number): number => {
    let length = short;
    for (let byte = 255; short === 15 && byte === 255; ) {
      if (at >= packed.length) throw damaged();
      byte = packed[at++];
      length += byte;
    }
    return length;
  };
  while (at < packed.length) {
    const token = packed[at++];
    const literals = extended(token >> 4);
    out.literal(packed, at, literals);
    at += literals;
    if (at >= packed.length) break;
    if (packed.length - at < 2) throw damaged();
    const distance = packed.readUInt16LE(at);
    at += 2;
    out.copy(distance, extended(token & 15) + 4);
  }
  return out.whole();
}

/** Parquet's older LZ4: blocks as Hadoop frames them, or as some writers have it, without any frame. */
function unpackHadoopLz4(packed: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  let length = 0;
  for (let at = 0; at < packed.length; ) {
    const [own, compressed] = packed.length - at < 8 ? [0, 0] : [packed.readUInt32BE(at), packed.readUInt32BE(at + 4)];
    if (compressed === 0 || compressed > packed.length - at - 8 || own > size - length) return unpackLz4(packed, size);
    try {
      parts.push(unpackLz4(packed.subarray(at + 8, at + 8 + compressed), own));
    } catch {
      return unpackLz4(packed, size);
    }
    length += own;
    at += 8 + compressed;
  }
  return Buffer.concat(parts);
}
