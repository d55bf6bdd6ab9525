/** @file Writes WARC 1.1 (ISO 28500:2017). Each record is a separate gzip member, so it can be read given its offset. */
import { createHash, randomUUID } from "node:crypto";
import { gzipSync } from "node:zlib";

export interface WarcFields {
  readonly type: "warcinfo" | "request" | "response" | "metadata" | "revisit" | "resource" | "conversion";
  /** Fetch time, ISO 8601. */
  readonly date: string;
  readonly contentType: string;
  readonly url?: string;
  /** Default: a new id. */
  readonly id?: string;
  /** Further fields by their names in the standard, such as `WARC-Concurrent-To`. */
  readonly further?: Readonly<Record<string, string | undefined>>;
}

/** Returns a new `<urn:uuid:…>`. */
export const newRecordId = () => `<urn:uuid:${randomUUID()}>`;

/** Returns one compressed record with its block digest. Pass a response's payload digest in `further`. */
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
  // A line break in a value would start a new field.
  const head = lines.map(([name, value]) => `${name}: ${value?.replace(/[\r\n]+/g, " ")}\r\n`).join("");
  return gzipSync(Buffer.concat([Buffer.from(`WARC/1.1\r\n${head}\r\n`), block, Buffer.from("\r\n\r\n")]));
}

/** Returns a SHA-1 digest as archives write it: `sha1:` and base 32. */
export function sha1(bytes: Uint8Array): string {
  return `sha1:${base32(createHash("sha1").update(bytes).digest())}`;
}

/** Base 32 by RFC 4648, without padding: a SHA-1 needs none. */
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
