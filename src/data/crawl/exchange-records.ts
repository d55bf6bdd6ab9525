/** @file The WARC records of a request and its response: WARC 1.1, sections 6.4 to 6.7. */

import { newRecordId, sha1, warcRecord } from "../../documents/index.js";
import { version } from "../../version.js";
import type { Exchange } from "./fetcher.js";

export interface ExchangeContext {
  /** True if the archive is empty, so that it begins with a warcinfo record. */
  readonly first: boolean;
  /** Payloads already in the archives: digest → address. */
  readonly payloads: ReadonlyMap<string, string>;
  /** How a page was found, written to a metadata record. */
  readonly found?: { readonly depth: number; readonly via?: string };
}

/**
 * Returns the records of an exchange: the response (or a revisit of one with the same payload), the request, metadata.
 */
export function exchangeRecords(url: string, exchange: Exchange, context: ExchangeContext): Uint8Array[] {
  const { time: date, address, request, response, cut } = exchange;
  const { first, payloads, found } = context;
  const records: Uint8Array[] = [];
  const fields = "application/warc-fields";
  if (first) {
    const info = `software: Quern/${version}\r\nformat: WARC File Format 1.1\r\nrobots: obey\r\n`;
    records.push(warcRecord({ type: "warcinfo", date, contentType: fields }, Buffer.from(info)));
  }
  const payload = payloadOf(response);
  const digest = sha1(payload);
  const before = payloads.get(digest);
  const id = newRecordId();
  const common = { "WARC-IP-Address": address, "WARC-Payload-Digest": digest };
  const contentType = "application/http; msgtype=response";
  if (before !== undefined && before !== url && payload.length > 0) {
    const further = {
      ...common,
      "WARC-Profile": "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest",
      "WARC-Refers-To-Target-URI": before,
    };
    const head = response.subarray(0, response.length - payload.length);
    records.push(warcRecord({ type: "revisit", date, url, id, contentType, further }, head));
  } else {
    const further = { ...common, "WARC-Truncated": cut === "type" ? undefined : cut };
    records.push(warcRecord({ type: "response", date, url, id, contentType, further }, response));
  }
  const further = { "WARC-Concurrent-To": id };
  const requestType = "application/http; msgtype=request";
  records.push(warcRecord({ type: "request", date, url, contentType: requestType, further }, request));
  if (found !== undefined) {
    const via = found.via === undefined ? "" : `via: ${found.via}\r\n`;
    const block = Buffer.from(`${via}hopsFromSeed: ${found.depth}\r\n`);
    records.push(warcRecord({ type: "metadata", date, url, contentType: fields, further }, block));
  }
  return records;
}

/** Returns the bytes after the head of an HTTP message. */
export function payloadOf(message: Buffer): Buffer {
  const end = message.indexOf("\r\n\r\n");
  return end < 0 ? Buffer.alloc(0) : message.subarray(end + 4);
}
