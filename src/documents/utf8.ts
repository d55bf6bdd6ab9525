/** @file Decodes UTF-8 and finds the exact position of invalid bytes. */
import { isUtf8 } from "node:buffer";

export type Decoded =
  | { readonly text: string }
  /** What is wrong, the reason under which it is counted, and the byte offset. */
  | { readonly problem: string; readonly reason: string; readonly offset: number };

/** V8's strings are limited to slightly below 2^29 characters. */
export const LONGEST_TEXT = 2 ** 29 - 64;

/** Decodes UTF-8 and drops a byte order mark. A NUL or an invalid byte is a problem, because text has neither. */
export function decodeText(bytes: Uint8Array): Decoded {
  const checked = checkText(bytes);
  return "problem" in checked ? checked : { text: textOf(bytes.subarray(checked.start)) };
}

/** Decodes bytes that are known to be valid UTF-8. */
export function textOf(bytes: Uint8Array): string {
  return bufferOf(bytes).toString("utf8");
}

/** Views bytes as a Buffer, whose searches are several times faster than those of other arrays. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Returns the problem that `decodeText` would report, or where the text starts, after a byte order mark if there is one. */
export function checkText(bytes: Uint8Array): Exclude<Decoded, { readonly text: string }> | { readonly start: number } {
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    return { problem: "it is UTF-16, not UTF-8 (convert it with iconv)", reason: "not_utf8", offset: 0 };
  }
  const nul = bufferOf(bytes).indexOf(0);
  const invalid = isUtf8(bytes) ? -1 : invalidOffset(bytes);
  if (nul >= 0 && (invalid < 0 || nul < invalid))
    return { problem: "a NUL byte, so it is not text", reason: "nul_byte", offset: nul };
  if (invalid >= 0) return { problem: "a byte that is not UTF-8", reason: "not_utf8", offset: invalid };
  if (bytes.length > LONGEST_TEXT) {
    return { problem: "too long for one document (512 MB)", reason: "file_too_long", offset: LONGEST_TEXT };
  }
  return { start: bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0 };
}

/** Returns the offset of the first ill-formed UTF-8 sequence (Unicode 15, table 3-7); -1 if there is none. */
function invalidOffset(bytes: Uint8Array): number {
  for (let at = 0; at < bytes.length; ) {
    const lead = bytes[at];
    if (lead < 0x80) {
      at += 1;
      continue;
    }
    const length =
      lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe0 && lead <= 0xef ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
    if (length === 0) return at;
    for (let next = 1; next < length; next++) {
      // The second byte's range is narrower after some leads: no overlong forms, no surrogates, nothing above 10FFFF.
      const low = next > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
      const high = next > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
      const byte = bytes[at + next];
      if (byte === undefined || byte < low || byte > high) return at;
    }
    at += length;
  }
  return -1;
}

/** True if valid UTF-8 contains only white space, by the definition of String.trim. */
export function isBlank(bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte >= 0x80) return textOf(bytes.subarray(at)).trim() === "";
    if (byte !== 0x20 && (byte < 0x09 || byte > 0x0d)) return false;
  }
  return true;
}
