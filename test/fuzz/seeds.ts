/** @file What inputs are made from: fixtures of the repository, sound documents, and how formats are packed. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { type Json, mutateBytes } from "./mutations.js";
import type { Random } from "./random.js";

/** A committed file, by its path under test/, wherever this was built to. */
export function fixture(path: string): Buffer {
  let root = import.meta.dirname;
  while (!existsSync(join(root, "package.json"))) root = dirname(root);
  return readFileSync(join(root, "test", path));
}

export const fixtureJson = (path: string): Json => JSON.parse(fixture(path).toString("utf8")) as Json;

const SENTENCES = [
  "The mill stood by the river for two hundred years.",
  "Write to ann@example.org or call +49 30 1234567.",
  "In 1999 it ground 12 sacks of grain, at $3.50 each.",
  "Das Mühlrad drehte sich, und der Müller schlief.",
  "水車は川のそばにある。",
  "It's the miller's own: \"don't touch\" – he said…",
  "for (let i = 0; i < 10; i++) { grind(i); }",
];

export function sentences(random: Random, count = 1 + random.below(12)): string {
  return Array.from({ length: count }, () => random.pick(SENTENCES)).join(random.pick([" ", "\n", "\n\n"]));
}

export function documentRecord(random: Random): Json {
  return {
    text: sentences(random),
    id: random.pick<Json>(["a", 7, `doc-${random.below(100)}`]),
    url: `https://example.org/${random.below(50)}?q=1`,
    source: random.pick(["web", "books"]),
    quality: random.below(100) / 100,
    language: random.pick(["en", "de"]),
    origin: { archive: "a.warc.gz", offset: random.below(10_000), time: "2026-01-01T00:00:00Z" },
  };
}

/** A frame of Zstandard with raw blocks and blocks of one repeated byte (RFC 8878); it has no checksum. */
export function zstdFrame(bytes: Buffer, random: Random): Buffer {
  const parts: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, random.pick([0x00, 0x38, 0x50, 0xa8])])];
  const block = (type: number, size: number, data: Buffer, isLast: boolean) => {
    const head = Buffer.alloc(3);
    head.writeUIntLE((size << 3) | (type << 1) | (isLast ? 1 : 0), 0, 3);
    parts.push(head, data);
  };
  for (let at = 0; at < bytes.length; at += 1000)
    block(0, Math.min(1000, bytes.length - at), bytes.subarray(at, at + 1000), false);
  block(1, random.chance(0.1) ? random.below(1 << 21) : random.below(3), Buffer.from(" "), true);
  return Buffer.concat(parts);
}

export type Packing = "" | ".gz" | ".zst";

/** Packed bytes; now and then they are damaged behind their header, or another member follows. */
export function packed(bytes: Buffer, packing: Packing, random: Random): Buffer {
  if (packing === "") return bytes;
  const pack = (part: Buffer) => (packing === ".gz" ? gzipSync(part, { level: 1 }) : zstdFrame(part, random));
  let whole = pack(bytes);
  if (random.chance(0.1)) whole = Buffer.concat([whole, pack(bytes)]);
  return random.chance(0.2) ? mutateBytes(whole, random, 12) : whole;
}
