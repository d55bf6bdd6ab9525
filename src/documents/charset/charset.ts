/**
 * @file Decodes the bytes of a page. The encoding comes from, in this order: a byte order mark, the HTTP header, the page's
 * `<meta>`, its XML declaration. If none is declared, or the bytes contradict it, statistics decide.
 * https://encoding.spec.whatwg.org, https://html.spec.whatwg.org/#determining-the-character-encoding
 */

import { decodeBytes, encodingOf } from "./decode.js";
import { guessCharset, hasJapaneseEscape } from "./guess-charset.js";
import { charsetIn, declaredEncoding } from "./prescan.js";

export interface Decoded {
  readonly text: string;
  /** WHATWG's name of the encoding, in lower case. */
  readonly charset: string;
  readonly from: "mark" | "header" | "meta" | "statistics";
  /** Replacement characters (U+FFFD), each for bytes that are invalid in the encoding. */
  readonly broken: number;
}

/** Bytes used for statistics. */
const SAMPLE = 64 * 1024;

/** Decodes a page. @param contentType value of the HTTP header `Content-Type`, if known */
export function decodePage(bytes: Uint8Array, contentType = ""): Decoded {
  const mark = markOf(bytes);
  if (mark !== undefined) return decode(bytes, mark, "mark");
  const header = encodingOf(charsetIn(contentType));
  if (header !== undefined && fits(bytes, header)) return decode(bytes, header, "header");
  const meta = declaredEncoding(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1"));
  if (meta !== undefined && fits(bytes, meta)) return decode(bytes, meta, "meta");
  return decode(bytes, guess(bytes), "statistics");
}

function markOf(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return "utf-8";
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return undefined;
}

/**
 * False if the bytes contradict the declared encoding: UTF-8 with many invalid sequences, UTF-16 without zeros, or UTF-8
 * declared as something else. The last is the most common (a server's default, a template's `<meta>`).
 */
function fits(bytes: Uint8Array, charset: string): boolean {
  if (charset === "utf-8") {
    const { good, bad } = utf8Statistics(bytes);
    return bad === 0 || good >= bad * 4;
  }
  if (charset.startsWith("utf-16")) return zeros(bytes) !== undefined;
  const { good, bad } = utf8Statistics(bytes);
  // Text in ISO-2022-JP is ASCII with escape sequences.
  if (charset === "iso-2022-jp") return good + bad === 0 || hasJapaneseEscape(bytes);
  // A double-byte character looks like UTF-8 by chance about once in twelve; single-byte letters hardly ever do.
  const byChance = DOUBLE.test(charset) ? 3 : 0;
  return !(good > byChance && bad * 20 <= good);
}

const DOUBLE = /^(?:gbk|gb18030|big5|euc-|shift_jis)/;

function decode(bytes: Uint8Array, charset: string, from: Decoded["from"]): Decoded {
  const text = decodeBytes(bytes, charset);
  let broken = 0;
  for (let i = text.indexOf("\ufffd"); i >= 0; i = text.indexOf("\ufffd", i + 1)) broken++;
  return { text, charset, from, broken };
}

/** Counts valid UTF-8 sequences of two to four bytes, and bytes above 127 outside them, in the first `SAMPLE` bytes. */
function utf8Statistics(page: Uint8Array): { readonly good: number; readonly bad: number } {
  // Starts at the first such byte: a page may begin with more ASCII markup than `SAMPLE`.
  const first = page.findIndex((byte) => byte > 127);
  const bytes = first < 0 ? page.subarray(0, 0) : page.subarray(first, first + SAMPLE);
  let good = 0;
  let bad = 0;
  for (let i = 0; i < bytes.length; ) {
    const byte = bytes[i];
    if (byte < 0x80) {
      i++;
      continue;
    }
    const length =
      byte >= 0xc2 && byte <= 0xdf ? 2 : byte >= 0xe0 && byte <= 0xef ? 3 : byte >= 0xf0 && byte <= 0xf4 ? 4 : 0;
    let sound = length > 0;
    for (let j = 1; j < length && sound; j++) {
      // A character cut by the end of the sample is not an error; one cut by the end of the page is.
      if (i + j >= SAMPLE) return { good, bad };
      sound = (bytes[i + j] & 0xc0) === 0x80;
    }
    if (sound) {
      good++;
      i += length;
    } else {
      bad++;
      i++;
    }
  }
  return { good, bad };
}

/** Returns UTF-16's byte order according to the zero bytes; undefined if the bytes do not look like UTF-16. */
function zeros(bytes: Uint8Array): "utf-16le" | "utf-16be" | undefined {
  let even = 0;
  let odd = 0;
  const length = Math.min(bytes.length & ~1, 4096);
  for (let i = 0; i < length; i += 2) {
    if (bytes[i] === 0) even++;
    if (bytes[i + 1] === 0) odd++;
  }
  const pairs = length / 2;
  if (pairs < 2) return undefined;
  // In Chinese only markup and line ends have zeros, and a character such as U+4E00 has its zero on the other side.
  if (odd > pairs * 0.02 && even * 3 < odd) return "utf-16le";
  if (even > pairs * 0.02 && odd * 3 < even) return "utf-16be";
  return undefined;
}

/** Returns the most likely encoding of bytes without a declared one. */
function guess(bytes: Uint8Array): string {
  const wide = zeros(bytes);
  if (wide !== undefined) return wide;
  const { good, bad } = utf8Statistics(bytes);
  // Only sequences above ASCII count here; `guessCharset` handles pure ASCII, which may contain Japanese escapes.
  if (good >= bad * 4 && good > 0) return "utf-8";
  return guessCharset(bytes);
}
