import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { XxHash64 } from "../../src/documents/xxhash64.js";
import { decompressZstd } from "../../src/documents/zstd.js";

async function decompress(compressed: Buffer, pieces = 7): Promise<Buffer> {
  async function* chunks() {
    for (let at = 0; at < compressed.length; at += pieces) yield compressed.subarray(at, at + pieces);
  }
  const parts: Buffer[] = [];
  for await (const part of decompressZstd(chunks())) parts.push(part);
  return Buffer.concat(parts);
}

/** Makes a frame of raw blocks (RFC 8878). @param window the window descriptor of the header: 0xa8 is 2 GiB */
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

/** Output of `zstd -19` for two lines of JSON. */
const COMPRESSED = Buffer.from(
  "KLUv/QRovQEAQoMLEbDrIAnacMs2msYoDipJUFAC4FkVoekEc78aeFanxzr4Zw2OF6EJf5DTil3ZBQEAPIV6ArIm39g=",
  "base64",
);

describe("Zstandard", () => {
  it("decompresses literals and sequences, in pieces of any size", async () => {
    for (const pieces of [1, 7, 1000]) {
      const text = (await decompress(COMPRESSED, pieces)).toString();
      expect(text.split("\n").map((line) => (line === "" ? null : JSON.parse(line).text))).toEqual([
        "one packed line",
        "zwei: gepackt",
        ...(text.endsWith("\n") ? [null] : []),
      ]);
    }
  });

  it("accepts a window of 2 GiB without its memory, consecutive frames, and skippable frames", async () => {
    const blocks = [Buffer.alloc(100_000, "a"), Buffer.from("the end")];
    const skippable = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const compressed = Buffer.concat([frame(blocks, { window: 0xa8 }), skippable, frame([Buffer.from("!")])]);
    expect((await decompress(compressed, 5000)).equals(Buffer.concat([...blocks, Buffer.from("!")]))).toBe(true);
  });

  it("refuses a wrong checksum, a truncated frame, and other bytes", async () => {
    const whole = frame([Buffer.from("some text")], { checksum: true });
    expect((await decompress(whole)).toString()).toBe("some text");
    const changed = Buffer.from(whole);
    changed[12] ^= 1;
    await expect(decompress(changed)).rejects.toMatchObject({ code: expect.stringMatching(/^ZSTD_/) });
    await expect(decompress(whole.subarray(0, -1))).rejects.toMatchObject({ code: expect.stringMatching(/^Z/) });
    await expect(decompress(Buffer.from("no frame at all"))).rejects.toMatchObject({
      code: expect.stringMatching(/^Z/),
    });
  });

  it("terminates on any mutation", async () => {
    let refused = 0;
    for (let at = 4; at < COMPRESSED.length; at++) {
      const mutated = Buffer.from(COMPRESSED);
      mutated[at] ^= 0x55;
      await decompress(mutated, 1000).catch((error: { code: unknown }) => {
        expect(String(error.code)).toMatch(/^Z/);
        refused += 1;
      });
    }
    // It has a checksum, so nearly every change is detected.
    expect(refused).toBeGreaterThan(COMPRESSED.length * 0.9);
  });
});

describe("xxHash64", () => {
  it("returns the published values, in one piece or several", () => {
    const digest = (...pieces: string[]) => {
      const hash = new XxHash64();
      for (const piece of pieces) hash.update(Buffer.from(piece));
      return hash.digest();
    };
    expect(digest("")).toBe(0x51d8e999);
    // The lower halves of the hashes by PyPI's `xxhash`.
    expect(digest("a")).toBe(0xa98c6e5b);
    expect(digest("Nobody inspects the spammish repetition")).toBe(0x8a378bf1);
    expect(digest("x".repeat(100))).toBe(0x88a3c094);
    const long = createHash("sha512").update("seed").digest("hex").repeat(3);
    expect(digest(long.slice(0, 5), long.slice(5, 100), long.slice(100))).toBe(digest(long));
  });
});
