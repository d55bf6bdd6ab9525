import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { warcRecord } from "../../src/documents/archive/write.js";
import { cutDocument } from "../../src/documents/cut.js";
import type { Document } from "../../src/documents/document.js";
import { type ReadDocumentsOptions, readDocuments } from "../../src/documents/read.js";
import { decodeText } from "../../src/documents/utf8.js";
import { QuernError } from "../../src/errors.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quern-read-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const file = async (name: string, data: string | Uint8Array) => {
  const path = join(folder, name);
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, data);
  return path;
};
const all = async (paths: string[], options: ReadDocumentsOptions = {}) => {
  const reader = readDocuments(paths, options);
  const documents: Document[] = [];
  for await (const document of reader) documents.push(document);
  return { documents, ...reader.report };
};

describe("readDocuments", () => {
  it("reads a folder in order of names, and lists what it skips", async () => {
    await file("b.md", "# Two\n");
    await file("a.txt", "\ufeffone é\r\n");
    await file("sub/c.txt.gz", gzipSync("three"));
    await file("sub/picture.png", new Uint8Array([1, 2, 0]));
    await file("sub/broken.txt", new Uint8Array([65, 0xff]));
    await file("empty.txt", " \n");
    await file(".hidden/x.txt", "no");
    await symlink("..", join(folder, "sub", "loop"));
    const { documents, skipped, skippedAt, read } = await all([folder]);
    expect(documents.map(({ text, id }) => [id, text])).toEqual([
      ["a.txt", "one é\r\n"],
      ["b.md", "# Two\n"],
      ["sub/c.txt.gz", "three"],
    ]);
    expect(read).toEqual({ files: 3, documents: 3, rows: 0 });
    expect(skipped).toEqual({ empty: 1, not_a_file: 1, not_utf8: 1, other_kind: 1 });
    const places = Object.values(skippedAt).map(([place]) => place.slice(folder.length + 1));
    expect(places).toEqual([
      "empty.txt",
      "sub/loop",
      "sub/broken.txt: a byte that is not UTF-8, at byte 1",
      "sub/picture.png",
    ]);
  });

  it("reads JSONL, plain and gzipped, across chunk borders", async () => {
    const long = "x".repeat(300_000);
    const lines = [{ text: "one", id: 7, url: "u", source: "s" }, { text: long }, { text: " " }, { text: "last" }];
    const jsonl = lines.map((line) => JSON.stringify(line)).join("\n");
    for (const path of [await file("a.jsonl", jsonl), await file("a.jsonl.gz", gzipSync(jsonl))]) {
      const { documents } = await all([path]);
      const origin = { archive: path, offset: 0 };
      expect(documents[0]).toEqual({ text: "one", id: "7", url: "u", source: "s", origin });
      expect(documents[1].text).toBe(long);
      expect(documents[2]).toMatchObject({ text: "last" });
      // The byte offset of its line.
      const offset = jsonl.lastIndexOf("\n") + 1;
      expect(documents[2]).toMatchObject({ id: `${basename(path)}:${offset}`, origin: { archive: path, offset } });
    }
  });

  it("yields long text files in pieces with their byte offsets, and reports damage before that", async () => {
    const text = `\ufeff${Array.from({ length: 450_000 }, (_, i) => `Zeile ${i}: ä€𝄞 ${"word ".repeat(i % 7)}\n`).join("")}`;
    const path = await file("long.txt", text);
    expect(Buffer.byteLength(text)).toBeGreaterThan(2 ** 24);
    const { documents, read } = await all([path], { longest: 500_000 });
    expect(read).toEqual({ files: 1, documents: 1, rows: 0 });
    const whole = { text: text.slice(1), id: "long.txt", source: "long.txt", origin: { archive: path, offset: 3 } };
    expect(documents).toEqual([...cutDocument(whole, 500_000, { offsets: true })]);
    expect(documents.map((piece) => piece.text).join("")).toBe(text.slice(1));
    const bytes = Buffer.from(text);
    for (const { text: piece, origin } of documents)
      expect(
        bytes
          .subarray(origin.offset, (origin.offset ?? 0) + 40)
          .toString()
          .slice(0, 20),
      ).toBe(piece.slice(0, 20));
    const damaged = await file("damaged.txt", Buffer.concat([bytes, Buffer.from([0xc3])]));
    await expect(all([damaged], { longest: 500_000 })).rejects.toThrow(/not_utf8: .*damaged\.txt: a byte that is not/);
  });

  it("reads the texts of a web archive, and skips its pages", async () => {
    const record = (type: "conversion" | "resource", url: string, contentType: string, body: string) =>
      warcRecord({ type, date: "2026-11-24T00:00:00Z", contentType, url }, Buffer.from(body));
    const first = record("resource", "http://a.test/1", "text/html", "<p>a page");
    const second = record("conversion", "http://a.test/2", "text/plain", "a text");
    const path = await file("in/a.warc.gz", Buffer.concat([first, second]));
    const { documents, read, skipped } = await all([join(folder, "in")]);
    expect(documents).toMatchObject([
      { text: "a text", url: "http://a.test/2", source: "in", origin: { archive: path, offset: first.length } },
    ]);
    expect(read).toEqual({ files: 1, documents: 1, rows: 0 });
    expect(skipped).toEqual({ not_extracted: 1 });
  });

  it("reads a file that the user names, whatever its extension", async () => {
    const path = await file("LICENSE", "free");
    expect((await all([path])).documents).toEqual([
      { text: "free", id: "LICENSE", source: "LICENSE", origin: { archive: path, offset: 0 } },
    ]);
  });

  it.each([
    ["binary.txt", new Uint8Array([65, 66, 0, 67]), /binary\.txt: a NUL byte, so it is not text, at byte 2/],
    ["latin1.txt", new Uint8Array([65, 0xe9, 66]), /latin1\.txt: a byte that is not UTF-8, at byte 1/],
    ["utf16.txt", new Uint8Array([0xff, 0xfe, 65, 0]), /UTF-16, not UTF-8/],
    ["empty.txt", "", /no text in .*empty\.txt: skipped 1 empty: .*empty\.txt/],
    [
      "cut.txt.gz",
      gzipSync("some text ".repeat(100)).subarray(0, 30),
      /1 damaged_gzip: .*cut\.txt\.gz: is not a complete gzip/,
    ],
    ["no.jsonl", '\n{"txt":"b"}\n', /1 no_text: .*no\.jsonl, line 2: has no "text" that is a string; its keys are txt/],
    ["bad.jsonl", '{"text":"a"\n', /1 not_json: .*bad\.jsonl, line 1: /],
  ])("refuses %s", async (name, data, message) => {
    const error = await all([await file(name, data)]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(QuernError);
    expect((error as QuernError).exitCode).toBe(1);
    expect((error as QuernError).message).toMatch(message);
  });

  it("reads JSONL compressed by zstd, and reports a file that is cut short", async () => {
    // zstd -19 of two lines
    const compressed = Buffer.from(
      "KLUv/QRovQEAQoMLEbDrIAnacMs2msYoDipJUFAC4FkVoekEc78aeFanxzr4Zw2OF6EJf5DTil3ZBQEAPIV6ArIm39g=",
      "base64",
    );
    const { documents } = await all([await file("a.jsonl.zst", compressed)]);
    expect(documents.map(({ id, text }) => [id, text])).toEqual([
      ["a", "one packed line"],
      ["a.jsonl.zst:36", "zwei: gepackt"],
    ]);
    const cut = all([await file("cut.jsonl.zst", compressed.subarray(0, 40))]);
    await expect(cut).rejects.toThrow(/1 damaged_zstd: .*cut\.jsonl\.zst: is not a complete zstd file/);
  });

  it("reads Parquet row group by row group, and refuses other files", async () => {
    const rows = Array.from({ length: 5000 }, (_, i) => `row ${i}`);
    const whole = new Uint8Array(
      parquetWriteBuffer({
        columnData: [
          { name: "score", data: rows.map((_, i) => i / 2) },
          { name: "text", data: rows },
          { name: "id", data: rows.map((_, i) => `n${i}`) },
        ],
        rowGroupSize: 4500,
      }),
    );
    const { documents, read } = await all([await file("a.parquet", whole)]);
    expect(read).toEqual({ files: 1, documents: 5000, rows: 5000 });
    expect(documents.map(({ text }) => text)).toEqual(rows);
    const origin = { archive: join(folder, "a.parquet"), row: 5000 };
    expect(documents[4999]).toEqual({ text: "row 4999", id: "n4999", source: "a.parquet", origin });

    const other = parquetWriteBuffer({ columnData: [{ name: "body", data: ["x"] }] });
    await expect(all([await file("b.parquet", new Uint8Array(other))])).rejects.toThrow(/no column "text".*body/);
    await expect(all([await file("c.parquet", whole.subarray(0, 3000))])).rejects.toThrow(
      /not a complete Parquet file/,
    );
    await expect(all([await file("d.parquet", "PAR1")])).rejects.toThrow(
      /damaged_parquet: .*d\.parquet: .*it has only 4 bytes/,
    );
  });

  it("refuses a missing path, an empty folder and an empty list of paths", async () => {
    await expect(all([join(folder, "none")])).rejects.toThrow(/cannot read .*none: there is no such file/);
    await expect(all([folder])).rejects.toThrow(/no text in .*: there is no text, JSON lines or Parquet file/);
    await expect(all([])).rejects.toThrow(/no input; give a file or folder/);
  });

  it("stops at the signal", async () => {
    const path = await file("a.jsonl", '{"text":"a"}\n{"text":"b"}\n');
    const abort = new AbortController();
    const reading = (async () => {
      for await (const _ of readDocuments([path], { signal: abort.signal })) abort.abort();
    })();
    await expect(reading).rejects.toThrow(/abort/i);
  });
});

describe("decodeText", () => {
  it("finds the first ill-formed byte", () => {
    const cases: [number[], number][] = [
      [[0x61, 0xc0, 0x80], 1], // overlong
      [[0xe0, 0x80, 0x80], 0], // overlong
      [[0x61, 0xed, 0xa0, 0x80], 1], // a surrogate
      [[0xf4, 0x90, 0x80, 0x80], 0], // above 10FFFF
      [[0x61, 0x62, 0xe2, 0x82], 2], // cut short
      [[0xe2, 0x82, 0xac, 0x80], 3], // a lone continuation
    ];
    for (const [bytes, offset] of cases) expect(decodeText(new Uint8Array(bytes))).toMatchObject({ offset });
    expect(decodeText(new TextEncoder().encode("a€𝄞"))).toEqual({ text: "a€𝄞" });
  });
});
