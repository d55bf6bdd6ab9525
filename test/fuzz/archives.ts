/** @file Web archives: WARC and ARC, plain, compressed record by record or as a whole; and the pages in them. */
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { extractPages, readArchive, readPages } from "../../src/data/index.js";
import { httpMessage } from "./http.js";
import { mutateBytes, mutateList, mutateText, NUMBERS } from "./mutations.js";
import type { Random } from "./random.js";
import { zstdFrame } from "./seeds.js";
import type { Files, Target } from "./target.js";

function warc(random: Random): Buffer {
  const body = httpMessage(random);
  const length = random.chance(0.85)
    ? body.length
    : random.pick([...NUMBERS, "", "12 34", "0x10", body.length - 5, body.length + 300]);
  let fields = [
    `WARC-Type: ${random.pick(["response", "response", "response", "conversion", "resource", "request", "warcinfo", "x"])}`,
    "WARC-Record-ID: <urn:uuid:12345678-1234-4123-8123-123456789abc>",
    `WARC-Date: ${random.pick(["2026-01-01T00:00:00Z", "2026-13-45", ""])}`,
    `WARC-Target-URI: ${random.pick(["http://example.org/", "<http://example.org/>", "http://[::1", "ftp://x", "dns:example.org", "http://a b/\u0001"])}`,
    "Content-Type: application/http; msgtype=response",
  ];
  if (random.chance(0.2)) fields = mutateList(fields, random);
  if (random.chance(0.2))
    fields = fields.map((line) => (random.chance(0.3) ? mutateText(line, random, ["\r\n", ":", "\t"]) : line));
  fields.push(`Content-Length: ${length}`);
  const end = random.pick(["\r\n", "\r\n", "\r\n", "\n"]);
  const version = random.chance(0.95)
    ? random.pick(["WARC/1.0", "WARC/1.1", "WARC/0.17"])
    : random.pick(["WARC/9.9", "WARC/", "warc/1.0"]);
  return Buffer.concat([
    Buffer.from(`${version}${end}${fields.join(end)}${end}${end}`),
    body,
    Buffer.from(random.pick(["\r\n\r\n", "\r\n\r\n", "", "\n"])),
  ]);
}

function arc(random: Random): Buffer {
  const body = httpMessage(random);
  const length = random.chance(0.85) ? body.length : random.pick([...NUMBERS, "", body.length - 5, body.length + 300]);
  const url = random.pick(["http://example.org/", "http://example.org/a b", "filedesc://x.arc", "http://\u00e9.test/"]);
  const head = `${url} 192.0.2.1 20260101000000 text/html ${length}`;
  const line = random.chance(0.1) ? mutateText(head, random, [" ", "\n"]) : head;
  return Buffer.concat([Buffer.from(`${line}\n`, "latin1"), body, Buffer.from("\n")]);
}

const ARC_HEAD = Buffer.from(
  "filedesc://a.arc 0.0.0.0 20260101000000 text/plain 76\n1 0 Quern\nURL IP-address Archive-date Content-type Archive-length\n\n\n",
);

function archive(random: Random, isArc: boolean): Files {
  let records = Array.from({ length: 1 + random.below(6) }, () => (isArc ? arc(random) : warc(random)));
  if (isArc && random.chance(0.8)) records.unshift(ARC_HEAD);
  if (random.chance(0.2)) records = mutateList(records, random).slice(0, 60);
  if (random.chance(0.1)) records.splice(random.below(records.length), 0, random.bytes(1 + random.below(300)));
  const packing = random.pick(["plain", "plain", "each", "each", "whole", "zstd"]);
  const name = isArc ? "a.arc" : "a.warc";
  let bytes: Buffer;
  if (packing === "plain") bytes = Buffer.concat(records);
  else if (packing === "whole") bytes = gzipSync(Buffer.concat(records), { level: 1 });
  else
    bytes = Buffer.concat(
      records.map((each) => (packing === "each" ? gzipSync(each, { level: 1 }) : zstdFrame(each, random))),
    );
  if (random.chance(0.25)) bytes = mutateBytes(bytes, random, 30);
  const ending = packing === "plain" ? "" : packing === "zstd" ? ".zst" : ".gz";
  return { [name + ending]: bytes };
}

export function target(isArc: boolean): Target {
  return {
    make: (random) => archive(random, isArc),
    async read(folder, reached) {
      for (const ending of ["", ".gz", ".zst"]) {
        const stream = createReadStream(join(folder, `${isArc ? "a.arc" : "a.warc"}${ending}`), {
          highWaterMark: 5000,
        });
        try {
          for await (const { content } of readArchive(stream)) if (content !== undefined) reached();
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
        }
      }
      for await (const document of extractPages(readPages([folder]) as never)) void document;
    },
    command: (files) => ["data", "extract", ...Object.keys(files)],
  };
}
