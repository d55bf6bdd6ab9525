/**
 * @file The members of a packed archive: each record of a WARC or ARC file is packed by itself, so that it can be read
 * from its offset alone. RFC 1952 (gzip), RFC 8878 (Zstandard).
 */
import * as zlib from "node:zlib";
import { Decompress, decompress } from "fzstd";

/** A member unpacked, and how many packed bytes it took; or what is wrong with it. */
export type Member =
  | { readonly bytes: Buffer; readonly length: number }
  /** The window ends inside the member. */
  | "more"
  | { readonly problem: string };

export type Packing = "gzip" | "zstd" | "none";

export function packingOf(start: Uint8Array): Packing {
  if (start[0] === 0x1f && start[1] === 0x8b) return "gzip";
  const magic = start.length < 4 ? 0 : Buffer.from(start.subarray(0, 4)).readUInt32LE();
  return magic === ZSTD_MAGIC || isSkippable(magic) ? "zstd" : "none";
}

/** Unpacks the gzip member at the start of `window`, of at most `limit` bytes unpacked. */
export function gunzipMember(window: Buffer, limit: number): Member {
  const start = gzipHeaderLength(window);
  if (typeof start !== "number") return start;
  let bytes: Buffer;
  let packed: number;
  try {
    const options = { info: true, maxOutputLength: limit } as zlib.ZlibOptions;
    const result = zlib.inflateRawSync(window.subarray(start), options) as unknown as {
      readonly buffer: Buffer;
      readonly engine: { readonly bytesWritten: number };
    };
    bytes = result.buffer;
    packed = result.engine.bytesWritten;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "Z_BUF_ERROR") return "more";
    return { problem: code === "ERR_BUFFER_TOO_LARGE" ? "too large" : "damaged gzip" };
  }
  const end = start + packed;
  if (window.length < end + 8) return "more";
  if (window.readUInt32LE(end) !== zlib.crc32(bytes)) return { problem: "wrong checksum" };
  return { bytes, length: end + 8 };
}

/** What a gzip member that was cut short unpacks to as far as it goes. */
export function gunzipCut(window: Buffer, limit: number): Buffer {
  const start = gzipHeaderLength(window);
  if (typeof start !== "number") return Buffer.alloc(0);
  try {
    const finishFlush = zlib.constants.Z_SYNC_FLUSH; // what there is, without an error at its end
    return zlib.inflateRawSync(window.subarray(start), { finishFlush, maxOutputLength: limit });
  } catch {
    return Buffer.alloc(0);
  }
}

/** True where a gzip member seems to begin whose text begins as `expected` says. */
export function startsMember(window: Buffer, expected: RegExp): boolean {
  return expected.test(gunzipCut(window.subarray(0, 512), 2 ** 20).toString("latin1"));
}

/** Bytes of a gzip member's header, at most 64 KiB of which are looked at; "more" where it does not end in `bytes`. */
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
    if ((flags & flag) === 0) continue; // a name, a comment: each up to a 0
    const end = bytes.indexOf(0, at);
    if (end < 0) return bytes.length > at + 65536 ? { problem: "damaged gzip" } : "more";
    at = end + 1;
  }
  if (flags & 2) at += 2;
  return at > bytes.length ? "more" : at;
}

const ZSTD_MAGIC = 0xfd2fb528;
const isSkippable = (magic: number) => magic >= 0x184d2a50 && magic <= 0x184d2a5f;

/** Unpacks the Zstandard frame at the start of `window`; a skippable frame is unpacked to nothing. */
export function unzstdMember(window: Buffer, limit: number): Member {
  if (window.length < 9) return "more";
  const magic = window.readUInt32LE();
  if (isSkippable(magic)) {
    // A dictionary for all frames lies in the first one (the WARC zstd proposal); fzstd takes none.
    if (window.length >= 12 && window.readUInt32LE(8) === 0xec30a437) return { problem: "zstd with a dictionary" };
    // All that follow at once: a file may be full of them.
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

/** What a Zstandard frame that was cut short unpacks to as far as it goes. */
export function unzstdCut(frame: Buffer, limit: number): Buffer {
  const chunks: Uint8Array[] = [];
  try {
    pushFrame(frame, limit, chunks);
  } catch {
    // What came before the damage is kept.
  }
  return Buffer.concat(chunks);
}

class TooLarge extends Error {}

/** fzstd takes a window's memory at once, and moves it with every block. zstd itself takes no larger one unasked. */
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

/** Unpacks a frame block by block, to stop at the limit. */
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

/** What a frame's header says that it unpacks to; undefined where it says nothing. RFC 8878, 3.1.1.1.4. */
function zstdContentSize(frame: Buffer): number | undefined {
  const [window, dictionary, width] = zstdFields(frame);
  const at = 5 + window + dictionary;
  if (width === 0 || frame.length < at + width) return undefined;
  if (width === 8) return Number(frame.readBigUInt64LE(at));
  return frame.readUIntLE(at, width) + (width === 2 ? 256 : 0);
}

/** RFC 8878, 3.1.1.1.2: an exponent and eighths. */
const zstdWindow = (frame: Buffer) => 2 ** (10 + (frame[5] >> 3)) * (1 + (frame[5] & 7) / 8);

/** True where a stream of Zstandard that begins so can be unpacked piece by piece, without a window of any size that it likes. */
export function isStream(start: Buffer): boolean {
  if (start.length < 6) return false;
  const one = (start[4] & 0x20) !== 0;
  return ((one ? zstdContentSize(start) : zstdWindow(start)) ?? 0) <= LARGEST_WINDOW;
}

/** Bytes of a header's fields: window descriptor, number of the dictionary, content size. */
function zstdFields(frame: Buffer): readonly [number, number, number] {
  const one = (frame[4] & 0x20) !== 0; // then the window is the content
  return [one ? 0 : 1, [0, 1, 2, 4][frame[4] & 3], [one ? 1 : 0, 2, 4, 8][frame[4] >> 6]];
}

/** Bytes of a frame, found by walking over its blocks' headers. */
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
