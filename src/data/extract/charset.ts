/**
 * @file Bytes of a page as text. What tells the encoding, in this order: a byte order mark, the HTTP header, the page's
 * `<meta>`, its XML declaration, and, where none of them does or what they say does not fit the bytes, statistics.
 * https://encoding.spec.whatwg.org, https://html.spec.whatwg.org/#determining-the-character-encoding
 */

export interface Decoded {
  readonly text: string;
  /** The name of the encoding as WHATWG writes it, in lower case. */
  readonly charset: string;
  readonly from: "mark" | "header" | "meta" | "statistics";
  /** Characters that stand for bytes which mean nothing in the encoding. */
  readonly broken: number;
}

/** Bytes in which a `<meta>` is looked for; browsers look at 1,024, pages put it later. */
const HEAD = 4096;
/** Bytes whose statistics are taken. */
const SAMPLE = 64 * 1024;

/** @param contentType value of the HTTP header `Content-Type`, if it is known */
export function decodePage(bytes: Uint8Array, contentType = ""): Decoded {
  const mark = markOf(bytes);
  if (mark !== undefined) return decode(bytes, mark, "mark");
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, HEAD)).toString("latin1");
  const header = known(/charset\s*=\s*["']?([^\s"';,]+)/i.exec(contentType)?.[1]);
  if (header !== undefined && fits(bytes, header)) return decode(bytes, header, "header");
  const meta = known(metaOf(head));
  // A page that can be read as ASCII until its meta tag is not UTF-16, whatever the tag says.
  if (meta !== undefined && !meta.startsWith("utf-16") && fits(bytes, meta)) return decode(bytes, meta, "meta");
  return decode(bytes, guess(bytes), "statistics");
}

function markOf(bytes: Uint8Array): string | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return "utf-8";
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return undefined;
}

function metaOf(head: string): string | undefined {
  const meta = /<meta\b[^>]*?\bcharset\s*=\s*["']?\s*([^\s"'/>;]+)/i.exec(head);
  return meta?.[1] ?? /^\s*<\?xml[^>]*\bencoding\s*=\s*["']([^"']+)/i.exec(head)?.[1];
}

/** The name that the Encoding Standard gives to a label; undefined for labels it does not know. */
function known(label: string | undefined): string | undefined {
  if (label === undefined) return undefined;
  try {
    return new TextDecoder(label.trim()).encoding;
  } catch {
    return undefined;
  }
}

/** False where the bytes contradict what was said: UTF-8 in which whole letters are broken, UTF-16 without its zeros. */
function fits(bytes: Uint8Array, charset: string): boolean {
  const sample = bytes.subarray(0, SAMPLE);
  if (charset === "utf-8") {
    const { good, bad } = utf8Statistics(sample);
    return bad === 0 || good >= bad * 4;
  }
  if (charset.startsWith("utf-16")) return zeros(sample) !== undefined;
  if (charset === "windows-1252") {
    // The commonest lie: a server's default for pages that are UTF-8.
    const { good, bad } = utf8Statistics(sample);
    return !(good >= 3 && bad === 0);
  }
  return true;
}

function decode(bytes: Uint8Array, charset: string, from: Decoded["from"]): Decoded {
  const text = new TextDecoder(charset).decode(bytes);
  let broken = 0;
  for (let i = text.indexOf("\ufffd"); i >= 0; i = text.indexOf("\ufffd", i + 1)) broken++;
  return { text, charset, from, broken };
}

/** Sequences of two to four bytes that are UTF-8, and bytes above 127 that are not. */
function utf8Statistics(bytes: Uint8Array): { readonly good: number; readonly bad: number } {
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
      // A letter cut by the end of the sample is no fault; one cut by the end of the page is.
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

/** On which side the zeros of UTF-16 text stand, if they do. */
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
  if (odd > pairs * 0.4 && even < pairs * 0.1) return "utf-16le";
  if (even > pairs * 0.4 && odd < pairs * 0.1) return "utf-16be";
  return undefined;
}

/** Encodings tried by statistics: the letters of their script, and those that running text in it uses most. */
const CANDIDATES: readonly (readonly [charset: string, letters: RegExp, common: RegExp])[] = [
  ["shift_jis", /[\u3040-\u30ff\u4e00-\u9fff]/g, /[\u3040-\u309f、。]/g],
  ["euc-jp", /[\u3040-\u30ff\u4e00-\u9fff]/g, /[\u3040-\u309f、。]/g],
  ["gb18030", /[\u4e00-\u9fff]/g, /[的一是不了在人有我他这中大来上国个到说们为和，。]/g],
  ["big5", /[\u4e00-\u9fff]/g, /[的一是不了在人有我他這中大來上國個到說們為和，。]/g],
  ["euc-kr", /[\uac00-\ud7af]/g, /[이다는을에가의고하로지]/g],
  ["windows-1251", /[\u0410-\u044f\u0451]/g, /[оеаинтсрвл]/g],
  ["koi8-r", /[\u0410-\u044f\u0451]/g, /[оеаинтсрвл]/g],
  ["windows-1253", /[\u0386-\u03ce]/g, /[αεοιτσνηυρκ]/g],
  ["windows-1255", /[\u05d0-\u05ea]/g, /[יוהלאמרתבנ]/g],
  ["windows-1256", /[\u0621-\u064a]/g, /[ايلمنوترب]/g],
  ["windows-874", /[\u0e01-\u0e5b]/g, /[านรกอเงมย]/g],
];

/** Below this share of high bytes that follow another, letters above ASCII are the accents of a Western text. */
const WESTERN = 0.25;

/** The likeliest encoding of bytes about which nothing is said. */
function guess(bytes: Uint8Array): string {
  const sample = bytes.subarray(0, SAMPLE);
  const wide = zeros(sample);
  if (wide !== undefined) return wide;
  const { good, bad } = utf8Statistics(sample);
  if (bad === 0 || good >= bad * 4) return "utf-8";
  let best = "windows-1252";
  if (highRuns(sample) < WESTERN) return best;
  let score = 0.5;
  for (const [charset, letters, common] of CANDIDATES) {
    const text = new TextDecoder(charset).decode(sample);
    const high = count(text, /[\u0080-\uffff]/g);
    if (high === 0) continue;
    // What is private or half as wide as it should be comes from bytes that were paired wrongly.
    const wrong = count(text, /[\ufffd\ue000-\uf8ff\uff61-\uff9f]/g);
    const value = (count(text, letters) + 1.5 * count(text, common) - 4 * wrong) / high;
    if (value > score) {
      score = value;
      best = charset;
    }
  }
  return best;
}

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

/** The share of bytes above 127 that follow another. */
function highRuns(bytes: Uint8Array): number {
  let high = 0;
  let runs = 0;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] < 0x80) continue;
    high++;
    if (i > 0 && bytes[i - 1] >= 0x80) runs++;
  }
  return high === 0 ? 0 : runs / high;
}
