/** @file Zstandard frames: headers, block headers, literals and sequences, without a checksum so that they are reached. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { decompressZstd } from "../../../src/documents/zstd.js";
import { QuernError } from "../../../src/errors.js";
import { mutateBytes, mutateList, set } from "../mutations.js";
import type { Random } from "../random.js";
import { fixture, zstdFrame } from "../seeds.js";
import type { Target } from "../target.js";
import { fieldOf, readStruct, type Value } from "../thrift.js";

/** What `zstd -19` makes of two lines of JSON. */
const LINES = Buffer.from(
  "KLUv/QRovQEAQoMLEbDrIAnacMs2msYoDipJUFAC4FkVoekEc78aeFanxzr4Zw2OF6EJf5DTil3ZBQEAPIV6ArIm39g=",
  "base64",
);

interface Frame {
  head: Buffer;
  blocks: Buffer[];
}

/** Takes a frame apart; its checksum is left away. */
function divide(bytes: Buffer): Frame {
  const flags = bytes[4];
  const single = (flags & 32) !== 0;
  const sizeBytes = flags >> 6 === 0 ? (single ? 1 : 0) : 1 << (flags >> 6);
  const length = (single ? 5 : 6) + [0, 1, 2, 4][flags & 3] + sizeBytes;
  const head = Buffer.from(bytes.subarray(0, length));
  head[4] &= ~4;
  const blocks: Buffer[] = [];
  for (let at = length; at + 3 <= bytes.length; ) {
    const block = bytes.readUIntLE(at, 3);
    const size = ((block >> 1) & 3) === 1 ? 1 : block >> 3;
    blocks.push(bytes.subarray(at, at + 3 + size));
    at += 3 + size;
    if ((block & 1) === 1) break;
  }
  return { head, blocks };
}

/** The frames that Parquet's writer packed its pages into. */
function pages(): Buffer[] {
  const file = fixture("oracle/fixtures/parquet/zstd.parquet");
  const found: Buffer[] = [];
  const items = (value: Value | undefined) => (value?.type === "list" ? value.items : []);
  const footer = readStruct(file, file.length - 8 - file.readUInt32LE(file.length - 8)).value;
  for (const group of items(fieldOf(footer, 4))) {
    for (const chunk of items(fieldOf(group, 1))) {
      const place = fieldOf(fieldOf(chunk, 3), 9);
      if (place?.type !== "int") continue;
      const { value, end } = readStruct(file, Number(place.value));
      const size = fieldOf(value, 3);
      const at = file.indexOf(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), end);
      if (size?.type === "int" && at >= 0 && at < end + 100) found.push(file.subarray(at, end + Number(size.value)));
    }
  }
  return found;
}

function mutateFrame(frame: Frame, random: Random): void {
  const at = random.below(frame.blocks.length);
  const block = frame.blocks[at];
  if (block === undefined) return;
  const head = block.readUIntLE(0, 3);
  const withHead = (value: number) => {
    const bytes = Buffer.from(block);
    bytes.writeUIntLE(value & 0xffffff, 0, 3);
    return bytes;
  };
  random.oneOf(
    () => {
      frame.head = set(frame.head, 5, Buffer.from([random.below(256)]));
    },
    () => {
      frame.blocks[at] = withHead(head ^ (1 << random.below(24)));
    },
    () => {
      frame.blocks[at] = withHead((head & 7) | (random.pick([0, 1, 1 << 17, (1 << 17) + 1, (1 << 21) - 1]) << 3));
    },
    () => {
      frame.blocks = mutateList(frame.blocks, random);
    },
    ...Array.from({ length: 5 }, () => () => {
      // The header of the literals, their table and the tables of sequences stand first.
      const body = mutateBytes(block.subarray(3), random, 0, random.pick([4, 12, 40, block.length - 3]));
      const bytes = Buffer.concat([withHead((head & 7) | (body.length << 3)).subarray(0, 3), body]);
      frame.blocks[at] = bytes;
    }),
  );
}

export function open(): Target {
  const seeds = [LINES, ...pages()];
  return {
    make(random) {
      const frames = Array.from({ length: 1 + random.below(2) }, () => {
        const raw = random.chance(0.15) ? zstdFrame(random.bytes(2500), random) : random.pick(seeds);
        const frame = divide(raw);
        for (let i = random.few(); i > 0; i--) mutateFrame(frame, random);
        return Buffer.concat([frame.head, ...frame.blocks]);
      });
      if (random.chance(0.1))
        frames.push(Buffer.from([0x5a, 0x2a, 0x4d, 0x18, random.below(256), 0, 0, random.below(256), 1]));
      return { "a.jsonl.zst": Buffer.concat(frames) };
    },
    async read(folder, reached) {
      const bytes = readFileSync(join(folder, "a.jsonl.zst"));
      async function* pieces() {
        for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
      }
      let length = 0;
      try {
        for await (const piece of decompressZstd(pieces())) {
          reached();
          length += piece.length;
          // Repeated blocks make much of little; the readers above have limits for it.
          if (length > 2 ** 28) break;
        }
      } catch (error) {
        if (
          (error as { code?: unknown }).code !== "ZSTD_damaged" &&
          !/^Z/.test(String((error as { code?: unknown }).code))
        )
          throw error;
        if (!/not a Zstandard frame|frame header|dictionary/.test((error as Error).message)) reached();
        throw new QuernError((error as Error).message, { cause: error });
      }
    },
    command: () => ["data", "clean", "a.jsonl.zst", "--recipe", "as-is", "--workers", "1", "--out", "out"],
  };
}
