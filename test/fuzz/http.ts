/** @file HTTP responses as archives hold them, with codings done, undone, named wrongly or damaged. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { mutateBytes, mutateList, mutateText, several } from "./mutations.js";
import type { Random } from "./random.js";
import { sentences, zstdFrame } from "./seeds.js";

const TYPES = [
  ...[
    "text/html",
    "text/html; charset=utf-8",
    'text/html;charset="windows-1252',
    "text/plain",
    "application/xhtml+xml",
  ],
  ...["application/json", "text/html; charset=no-such", ";;;", "text/html, text/plain", "image/png", ""],
];

function encoded(body: Buffer, coding: string, random: Random): Buffer {
  switch (coding) {
    case "gzip":
    case "x-gzip":
      return gzipSync(body, { level: 1 });
    case "deflate":
      return random.chance(0.5) ? deflateSync(body) : deflateRawSync(body);
    case "br":
      return brotliCompressSync(body);
    case "zstd":
      return zstdFrame(body, random);
    default:
      return body;
  }
}

function chunked(body: Buffer, random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, 1 + random.below(400));
    const told = random.chance(0.93)
      ? size.toString(16)
      : random.pick(["", "ffffffff", "-1", "1e9", "zz", `${size}`, "0".repeat(3000), "7fffffffffffffff"]);
    parts.push(
      Buffer.from(`${told}${random.pick(["", "", " ", ";a=b"])}\r\n`),
      body.subarray(at, at + size),
      Buffer.from("\r\n"),
    );
    at += size;
  }
  return Buffer.concat([
    ...parts,
    Buffer.from(random.pick(["0\r\n\r\n", "0\r\n\r\n", "0\r\nTrailer: x\r\n\r\n", "", "0"])),
  ]);
}

export function httpMessage(random: Random): Buffer {
  let body: Buffer = Buffer.from(`<html><head><title>t</title></head><body><p>${sentences(random)}</p></body></html>`);
  const codings = random.pick([
    [],
    [],
    ["gzip"],
    ["deflate"],
    ["br"],
    ["zstd"],
    ["gzip", "gzip"],
    ["gzip", "br"],
    ["x-gzip"],
    ["identity"],
  ]);
  for (const coding of codings) body = encoded(body, coding, random);
  if (random.chance(0.25)) body = mutateBytes(body, random);
  const isChunked = random.chance(0.3);
  if (isChunked) body = chunked(body, random);
  const told = random.chance(0.85)
    ? codings.join(", ")
    : random.pick(["gzip", "br", "utf-8", "none", "gzip,gzip,gzip,gzip,gzip,gzip", "deflate", "compress"]);
  let headers = [
    `Content-Type: ${random.pick(TYPES)}`,
    ...(told === "" ? [] : [`Content-Encoding: ${told}`]),
    ...(isChunked || random.chance(0.05) ? ["Transfer-Encoding: chunked"] : []),
    `Content-Length: ${random.pick([body.length, body.length, 0, -1, 1e12, "x"])}`,
    "X-Robots-Tag: noindex",
    "Set-Cookie: a=b; Path=/",
  ];
  if (random.chance(0.3)) headers = mutateList(headers, random);
  if (random.chance(0.2)) headers = headers.map((line) => (random.chance(0.3) ? mutateText(line, random) : line));
  const line = random.chance(0.95)
    ? "HTTP/1.1 200 OK"
    : random.pick(["HTTP/1.1 404 Not Found", "HTTP/2 200", "HTTP/1.1 999", "ICY 200 OK", ""]);
  const end = random.pick(["\r\n", "\r\n", "\n"]);
  const message: Buffer = Buffer.concat([Buffer.from(`${line}${end}${headers.join(end)}${end}${end}`), body]);
  return random.chance(0.1) ? several(message, random, (bytes) => mutateBytes(bytes, random, 15)) : message;
}
