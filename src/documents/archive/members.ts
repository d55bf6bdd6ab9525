/**
 * @file Decompresses the members of an archive. Each record of a WARC or ARC file is compressed separately, so that it can
 * be read given only its offset. RFC 1952 (gzip), RFC 8878 (Zstandard).
 */
import * as zlib from "node:zlib";
import { Decompress, decompress } from "fzstd";

/** A member's decompressed bytes and its compressed length; or what is wrong with it. */
export type Member =
  | { readonly bytes: Buffer; readonly length: number }
  /** The window ends inside the member. */
  | "more"
  | { readonly problem: string };

export type MemberCompression = "gzip" | "zstd" | "none";

export function compressionByMagic(start: Uint8Array): MemberCompression {
  if (start[0] === 0x1f && start[1] === 0x8b) return "gzip";
  const magic = start.length < 4 ? 0 : Buffer.from(start.subarray(0, 4)).readUInt32LE();
  return magic === ZSTD_MAGIC || isSkippable(magic) ? "zstd" : "none";
}

/** Decompresses the gzip member at the start of `window`, to at most `limit` bytes. */
export function gunzipMember(window: Buffer, limit: number): Member {
  const start = gzipHeaderLength(window);
  if (typeof start !== "number") return start;
  let bytes: Buffer;
  let compressedLength: number;
  try {
    const options = { info: true, maxOutputLength: limit } as zlib.ZlibOptions;
    const result = zlib.inflateRawSync(window.subarray(start), options) as unknown as {
      readonly buffer: Buffer;
      readonly engine: { readonly bytesWritten: number };
    };
    bytes = result.buffer;
    compressedLength = result.engine.bytesWritten;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "Z_BUF_ERROR") return "more";
    return { problem: code === "ERR_BUFFER_TOO_LARGE" ? "too large" : "damaged gzip" };
  }
  const end = start + compressedLength;
  if (window.length < end + 8) return "more";
  if (window.readUInt32LE(end) !== zlib.crc32(bytes)) return { problem: "wrong checksum" };
  return { bytes, length: end + 8 };
}

/** Decompresses as much as a truncated gzip member contains. */
export function gunzipCut(window: Buffer, limit: number): Buffer {
  const start = gzipHeaderLength(window);
  if (typeof start !== "number") return Buffer.alloc(0);
  try {
    const finishFlush = zlib.constants.Z_SYNC_FLUSH; // returns the available output, without an error at the end
    return zlib.inflateRawSync(window.subarray(start), { finishFlush, maxOutputLength: limit });
  } catch {
    return Buffer.alloc(0);
  }
}

/** True if `window` seems to begin with a gzip member whose text matches `expected`. */
export function startsMember(window: Buffer, expected: RegExp): boolean {
  return expected.test(gunzipCut(window.subarray(0, 512), 2 ** 20).toString("latin1"));
}

/** Returns the length of a gzip member's header, reading at most 64 KiB of it; "more" if it does not end in `bytes`. */
export function gzipHeaderLength(bytes: Buffer): number | Member {
  if (bytes.length < 10) return "more";
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b || bytes[2] !== 8 || bytes[3] > 31) return { problem: "no gzip member" };
  const flags = bytes[3];
  let at = 10;
  if (flags & 4) {
    if (bytes.length < at + 2) return "more";
    at += 2 + bytes.readUInt16LE(at);
  }
  for (const flag of [8, 16]) {
    if ((flags & flag) === 0) continue; // a file name and a comment, each ended by a 0
    const end = bytes.indexOf(0, at);
    if (end < 0) return bytes.length > at + 65536 ? { problem: "damaged gzip" } : "more";
    at = end + 1;
  }
  if (flags & 2) at += 2;
  return at > bytes.length ? "more" : at;
}

const ZSTD_MAGIC = 0xfd2fb528;
const isSkippable = (magic: number) => magic >= 0x184d2a50 && magic <= 0x184d2a5f;

/** Decompresses the Zstandard frame at the start of `window`; a skippable frame yields no bytes. */
export function unzstdMember(window: Buffer, limit: number): Member {
  if (window.length < 9) return "more";
  const magic = window.readUInt32LE();
  if (isSkippable(magic)) {
    // The first frame may contain a dictionary for all others (the WARC zstd proposal), which fzstd does not support.
    if (window.length >= 12 && window.readUInt32LE(8) === 0xec30a437) return { problem: "zstd with a dictionary" };
    // Skips all consecutive skippable frames at once: a file may be full of them.
    let length = 0;
    while (window.length >= length + 8 && isSkippable(window.readUInt32LE(length))) {
      const next = length + 8 + window.readUInt32LE(length + 4);
      if (next > window.length) break;
      length = next;
    }
    return length === 0 ? "more" : { bytes: Buffer.alloc(0), length };
  }
  if (magic !== ZSTD_MAGIC) return { problem: "no zstd frame" };
  const length = zstdFrameLength(window);
  if (typeof length !== "number") return length;
  if (length > window.length) return "more";
  try {
    return { bytes: unzstd(window.subarray(0, length), limit), length };
  } catch (error) {
    return { problem: error instanceof TooLarge ? "too large" : "damaged zstd" };
  }
}

/** Decompresses as much as a truncated Zstandard frame contains. */
export function unzstdCut(frame: Buffer, limit: number): Buffer {
  const chunks: Uint8Array[] = [];
  try {
    pushFrame(frame, limit, chunks);
  } catch {
    // The output before the damage is kept.
  }
  return Buffer.concat(chunks);
}

class TooLarge extends Error {}

/** fzstd allocates the whole window at once and moves it with every block. zstd too refuses larger windows by default. */
const LARGEST_WINDOW = 2 ** 27;

function unzstd(frame: Buffer, limit: number): Buffer {
  const size = zstdContentSize(frame);
  if (size !== undefined) {
    if (size > limit) throw new TooLarge();
    const { buffer, byteOffset, length } = decompress(frame);
    return Buffer.from(buffer, byteOffset, length);
  }
  const chunks: Uint8Array[] = [];
  pushFrame(frame, limit, chunks, true);
  return Buffer.concat(chunks);
}

/** Decompresses a frame block by block, to stop at the limit. */
function pushFrame(frame: Buffer, limit: number, chunks: Uint8Array[], whole = false): void {
  if ((zstdContentSize(frame) ?? zstdWindow(frame)) > LARGEST_WINDOW) throw new TooLarge();
  let length = 0;
  const stream = new Decompress((chunk) => {
    length += chunk.length;
    if (length > limit) throw new TooLarge();
    chunks.push(chunk);
  });
  stream.push(frame, whole);
}

/** The decompressed size that a frame's header declares; undefined if it declares none. RFC 8878, 3.1.1.1.4. */
function zstdContentSize(frame: Buffer): number | undefined {
  const [window, dictionary, width] = zstdFields(frame);
  const at = 5 + window + dictionary;
  if (width === 0 || frame.length < at + width) return undefined;
  if (width === 8) return Number(frame.readBigUInt64LE(at));
  return frame.readUIntLE(at, width) + (width === 2 ? 256 : 0);
}

/** Window size in bytes: an exponent and eighths (RFC 8878, 3.1.1.1.2). */
const zstdWindow = (frame: Buffer) => 2 ** (10 + (frame[5] >> 3)) * (1 + (frame[5] & 7) / 8);

/** True if a Zstandard stream can be decompressed piece by piece, because its window is not too large. */
export function isStream(start: Buffer): boolean {
  if (start.length < 6) return false;
  const one = (start[4] & 0x20) !== 0;
  return ((one ? zstdContentSize(start) : zstdWindow(start)) ?? 0) <= LARGEST_WINDOW;
}

/** Widths in bytes of a header's fields: window descriptor, dictionary id, content size. */
function zstdFields(frame: Buffer): readonly [number, number, number] {
  const one = (frame[4] & 0x20) !== 0; // a single segment: the window is the content
  return [one ? 0 : 1, [0, 1, 2, 4][frame[4] & 3], [one ? 1 : 0, 2, 4, 8][frame[4] >> 6]];
}

/** Finds a frame's length in bytes by walking over its block headers. */
function zstdFrameLength(window: Buffer): number | Member {
  let at = 5 + zstdFields(window).reduce((sum, width) => sum + width);
  for (let last = false; !last; ) {
    if (window.length < at + 3) return "more";
    const block = window.readUIntLE(at, 3);
    const kind = (block >> 1) & 3;
    if (kind === 3) return { problem: "damaged zstd" };
    last = (block & 1) === 1;
    at += 3 + (kind === 1 ? 1 : block >> 3); // kind 1 repeats one byte
  }
  return at + (window[4] & 4 ? 4 : 0); // a checksum
}
