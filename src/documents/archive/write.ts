/** @file Writing WARC 1.1 (ISO 28500:2017), each record a gzip member of its own, so that it can be read from its offset. */
import { createHash, randomUUID } from "node:crypto";
import { gzipSync } from "node:zlib";

export interface WarcFields {
  readonly type: "warcinfo" | "request" | "response" | "metadata" | "revisit" | "resource" | "conversion";
  /** When it was fetched, ISO 8601. */
  readonly date: string;
  readonly contentType: string;
  readonly url?: string;
  /** Default: a new one. */
  readonly id?: string;
  /** Further fields as the standard names them, `WARC-Concurrent-To` for example. */
  readonly further?: Readonly<Record<string, string | undefined>>;
}

/** `<urn:uuid:…>`, new each time. */
export const newRecordId = () => `<urn:uuid:${randomUUID()}>`;

/** One record, packed, with its block digest; a response's payload digest goes into `further`. */
export function warcRecord({ type, date, contentType, url, id, further }: WarcFields, block: Uint8Array): Buffer {
  const fields: [string, string | undefined][] = [
    ["WARC-Type", type],
    ["WARC-Record-ID", id ?? newRecordId()],
    ["WARC-Date", date],
    ["WARC-Target-URI", url],
    ...Object.entries(further ?? {}),
    ["WARC-Block-Digest", sha1(block)],
    ["Content-Type", contentType],
    ["Content-Length", `${block.length}`],
  ];
  const lines = fields.filter(([, value]) => value !== undefined);
  // A line break inside a value would begin a field of its own.
  const head = lines.map(([name, value]) => `${name}: ${value?.replace(/[\r\n]+/g, " ")}\r\n`).join("");
  return gzipSync(Buffer.concat([Buffer.from(`WARC/1.1\r\n${head}\r\n`), block, Buffer.from("\r\n\r\n")]));
}

/** The digest as archives write it: `sha1:` and base 32. */
export function sha1(bytes: Uint8Array): string {
  return `sha1:${base32(createHash("sha1").update(bytes).digest())}`;
}

/** RFC 4648, without padding: a SHA-1 needs none. */
function base32(bytes: Uint8Array): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(value >>> (bits - 5)) & 31];
    value &= (1 << bits) - 1;
  }
  return bits > 0 ? text + alphabet[(value << (5 - bits)) & 31] : text;
}
