import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { XxHash64 } from "../../src/documents/xxhash64.js";
import { unpackZstd } from "../../src/documents/zstd.js";

async function unpack(packed: Buffer, pieces = 7): Promise<Buffer> {
  async function* chunks() {
    for (let at = 0; at < packed.length; at += pieces) yield packed.subarray(at, at + pieces);
  }
  const parts: Buffer[] = [];
  for await (const part of unpackZstd(chunks())) parts.push(part);
  return Buffer.concat(parts);
}

/** A frame of blocks as they are, by RFC 8878. @param window as the header's byte says it: 0xa8 is 2 GiB */
function frame(blocks: readonly Buffer[], { window = 0x50, checksum = false } = {}): Buffer {
  const hash = new XxHash64();
  const parts: Buffer[] = [Buffer.from([0x28, 0xb5, 0x2f, 0xfd, checksum ? 4 : 0, window])];
  blocks.forEach((block, i) => {
    const head = Buffer.alloc(3);
    head.writeUIntLE((block.length << 3) | (i === blocks.length - 1 ? 1 : 0), 0, 3);
    parts.push(head, block);
    hash.update(block);
  });
  const end = Buffer.alloc(4);
  end.writeUInt32LE(hash.digest());
  return Buffer.concat(checksum ? [...parts, end] : parts);
}

/** What `zstd -19` makes of two lines of JSON. */
const PACKED = Buffer.from(
  "KLUv/QRovQEAQoMLEbDrIAnacMs2msYoDipJUFAC4FkVoekEc78aeFanxzr4Zw2OF6EJf5DTil3ZBQEAPIV6ArIm39g=",
  "base64",
);

describe("Zstandard", () => {
  it("unpacks literals and sequences, in pieces of any size", async () => {
    for (const pieces of [1, 7, 1000]) {
      const text = (await unpack(PACKED, pieces)).toString();
      expect(text.split("\n").map((line) => (line === "" ? null : JSON.parse(line).text))).toEqual([
        "one packed line",
        "zwei: gepackt",
        ...(text.endsWith("\n") ? [null] : []),
      ]);
    }
  });

  it("takes a window of 2 GiB without its memory, frames in a row, and frames to be skipped", async () => {
    const blocks = [Buffer.alloc(100_000, "a"), Buffer.from("the end")];
    const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const packed = Buffer.concat([frame(blocks, { window: 0xa8 }), skippable, frame([Buffer.from("!")])]);
    expect((await unpack(packed, 5000)).equals(Buffer.concat([...blocks, Buffer.from("!")]))).toBe(true);
  });

  it("refuses a checksum that does not fit, a frame that is cut, and what is no frame", async () => {
    const whole = frame([Buffer.from("some text")], { checksum: true });
    expect((await unpack(whole)).toString()).toBe("some text");
    const changed = Buffer.from(whole);
    changed[12] ^= 1;
    await expect(unpack(changed)).rejects.toMatchObject({ code: expect.stringMatching(/^ZSTD_/) });
    await expect(unpack(whole.subarray(0, -1))).rejects.toMatchObject({ code: expect.stringMatching(/^Z/) });
    await expect(unpack(Buffer.from("no frame at all"))).rejects.toMatchObject({ code: expect.stringMatching(/^Z/) });
  });

  it("ends on any mutation", async () => {
    let refused = 0;
    for (let at = 4; at < PACKED.length; at++) {
      const mutated = Buffer.from(PACKED);
      mutated[at] ^= 0x55;
      await unpack(mutated, 1000).catch((error: { code: unknown }) => {
        expect(String(error.code)).toMatch(/^Z/);
        refused += 1;
      });
    }
    // It has a checksum: hardly a change goes unnoticed.
    expect(refused).toBeGreaterThan(PACKED.length * 0.9);
  });
});

describe("xxHash64", () => {
  it("has the published values, in one piece or several", () => {
    const digest = (...pieces: string[]) => {
      const hash = new XxHash64();
      for (const piece of pieces) hash.update(Buffer.from(piece));
      return hash.digest();
    };
    expect(digest("")).toBe(0x51d8e999);
    // The lower halves of what the `xxhash` of PyPI gives.
    expect(digest("a")).toBe(0xa98c6e5b);
    expect(digest("Nobody inspects the spammish repetition")).toBe(0x8a378bf1);
    expect(digest("x".repeat(100))).toBe(0x88a3c094);
    const long = createHash("sha512").update("seed").digest("hex").repeat(3);
    expect(digest(long.slice(0, 5), long.slice(5, 100), long.slice(100))).toBe(digest(long));
  });
});
