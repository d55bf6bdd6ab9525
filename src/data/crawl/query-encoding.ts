/**
 * @file Encodes the query of a link in the charset of its page, as browsers do: https://url.spec.whatwg.org,
 * "percent-encode after encoding". Node can decode these charsets but not encode them, so the tables invert its
 * decoders.
 */

/**
 * Percent-encodes the non-ASCII characters in the query of a link as bytes of `charset`. Characters that the charset
 * lacks become an escaped `&#1234;`.
 * Links without such characters, and pages in UTF-8, UTF-16 or an unknown charset, are left to the URL parser, which
 * uses UTF-8.
 *
 * @param charset name from the Encoding Standard, in lower case
 */
export function encodeQuery(link: string, charset: string): string {
  const hash = link.indexOf("#");
  const end = hash < 0 ? link.length : hash;
  const query = link.indexOf("?");
  if (query < 0 || query > end) return link;
  const text = link.slice(query, end);
  if (!/[^\0-\x7f]/.test(text)) return link;
  const table = tableOf(charset);
  if (table === null) return link;
  const encoded = text.replace(/[^\0-\x7f]+/gu, (run) => encodeRun(run, table, charset));
  return link.slice(0, query) + encoded + link.slice(end);
}

type Table = ReadonlyMap<string, readonly number[]>;

function encodeRun(run: string, table: Table, charset: string): string {
  let text = "";
  /** ISO-2022-JP switches to its two-byte set and back. */
  let isShifted = false;
  const shift = (to: boolean) => {
    if (isShifted !== to) text += to ? "%1B$B" : "%1B(B";
    isShifted = to;
  };
  for (const character of run) {
    const bytes = table.get(character);
    if (charset === "iso-2022-jp") shift(bytes !== undefined);
    text += bytes === undefined ? `%26%23${character.codePointAt(0)}%3B` : bytes.map(escapeByte).join("");
  }
  shift(false);
  return text;
}

/** The second byte of a character may be an ASCII byte. */
function escapeByte(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[!$-&(-;=?-~]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
}

/** Characters with two encodings in Big5, of which encoders use the second. */
const BIG5_LAST = /[\u2550\u255e\u2561\u256a\u5341\u5345]/;

const tables = new Map<string, Table | null>();

/** Maps non-ASCII characters to their bytes. Null if the URL parser's UTF-8 is right. */
function tableOf(charset: string): Table | null {
  const known = tables.get(charset);
  if (known !== undefined) return known;
  const made = makeTable(charset);
  tables.set(charset, made);
  return made;
}

function makeTable(charset: string): Table | null {
  if (/^(utf-|replacement$|x-user-defined$)/.test(charset)) return null;
  if (charset === "iso-2022-jp") {
    const pairs = [...(tableOf("euc-jp") ?? [])].filter(([, [lead, trail]]) => lead >= 0xa1 && trail >= 0xa1);
    return new Map(pairs.map(([character, bytes]) => [character, bytes.map((byte) => byte & 0x7f)]));
  }
  let decoder: InstanceType<typeof TextDecoder>;
  try {
    decoder = new TextDecoder(charset, { ignoreBOM: true });
  } catch {
    return null;
  }
  const table = new Map<string, number[]>();
  const note = (bytes: number[]) => {
    // Decoded as a stream: a single call on Node 20 and 22 reads windows-1252 as Latin-1.
    const character = decoder.decode(new Uint8Array(bytes), { stream: true }) + decoder.decode();
    // Keep only bytes that decode to one whole character. Of two encodings, encoders use the first.
    const isOne = character.length === 1 || (character.length === 2 && /^[\ud800-\udbff]/.test(character));
    if (!isOne || character <= "\x7f" || character === "\ufffd") return;
    if (!table.has(character) || (charset === "big5" && BIG5_LAST.test(character))) table.set(character, bytes);
  };
  // Only GBK has a single byte for the euro.
  for (let byte = charset === "gb18030" ? 0x81 : 0x80; byte <= 0xff; byte++) note([byte]);
  if (!/^(gbk|gb18030|big5|euc-jp|euc-kr|shift_jis)$/.test(charset)) return table;
  const first = charset === "big5" ? 0xa1 : 0x81;
  for (let lead = first; lead <= 0xfe; lead++) {
    // Shift_JIS: NEC's duplicates of IBM's characters, which encoders do not use.
    if (charset === "shift_jis" && (lead === 0xed || lead === 0xee)) continue;
    for (let trail = 0x40; trail <= 0xfe; trail++) note([lead, trail]);
  }
  if (charset === "gb18030") {
    // The rest of the basic plane, four bytes per character.
    for (let pointer = 0; pointer < 39_420; pointer++) {
      const digits = [Math.trunc(pointer / 12_600), Math.trunc(pointer / 1260) % 10, Math.trunc(pointer / 10) % 126];
      note([0x81 + digits[0], 0x30 + digits[1], 0x81 + digits[2], 0x30 + (pointer % 10)]);
    }
  }
  return table;
}
