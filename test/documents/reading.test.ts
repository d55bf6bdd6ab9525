import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isPage } from "../../src/documents/document.js";
import { type ReadDocumentsOptions, readDocuments, readPages } from "../../src/documents/read.js";
import { ReadLog, readLines } from "../../src/documents/read-report.js";
import { QuernError } from "../../src/errors.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-reading-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, data: string | Uint8Array) => {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, data);
  return path;
};
/** The two readers: one for tokenizers and training, one for the data verbs. */
async function asDocuments(paths: string[], options: ReadDocumentsOptions = {}) {
  const reader = readDocuments(paths, options);
  const found: { id?: string; text: string }[] = [];
  for await (const { id, text } of reader) found.push({ id, text });
  return { found, report: reader.report };
}
async function asPages(paths: string[], options: ReadDocumentsOptions = {}) {
  const reader = readPages(paths, options);
  const found: { id: string; text: string }[] = [];
  for await (const each of reader) found.push({ id: each.id, text: isPage(each) ? "html" : each.text });
  return { found, report: reader.report };
}
const readers = [
  ["readDocuments", asDocuments],
  ["readPages", asPages],
] as const;

const LINES = '{"text":"one","id":1}\n{"text":"two","id":2}\n';
const FRAME = Buffer.concat([
  Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, 0x50]),
  Buffer.from([(Buffer.byteLength(LINES) << 3) | 1, Buffer.byteLength(LINES) >> 5, 0]),
  Buffer.from(LINES),
]);

describe.each(readers)("%s", (_, read) => {
  it.each([
    ["c4.json.gz", gzipSync(LINES)],
    ["lines.json", LINES],
    ["array.json", '[{"text":"one","id":1},\n  {\n "text":"two",\n"id":2}]\n'],
    ["array.jsonl", '\ufeff[ {"text":"one","id":1}, {"text":"two","id":2} ]'],
    ["values.json", '{\n "text": "one",\n "id": 1\n}\n{\n "text": "two", "id": 2 }\n'],
    ["RC_2019", LINES],
    ["RC_2019-04.zst", FRAME],
    ["named.jsonl", gzipSync(LINES)],
    ["bom.ndjson", `\ufeff${LINES.replaceAll("\n", "\r\n")}`],
    [
      "rows.parquet.gz",
      gzipSync(
        new Uint8Array(
          parquetWriteBuffer({
            columnData: [
              { name: "text", data: ["one", "two"] },
              { name: "id", data: ["1", "2"] },
            ],
          }),
        ),
      ),
    ],
  ])("reads %s by its content, named or in a folder", async (name, data) => {
    const path = file(`in/${name}`, data);
    for (const input of [path, dirname(path)]) {
      const { found, report } = await read([input]);
      expect(found).toEqual([
        { id: "1", text: "one" },
        { id: "2", text: "two" },
      ]);
      expect(report).toEqual({ read: { files: 1, documents: 2, rows: 2 }, skipped: {}, skippedAt: {} });
    }
  });

  it("keeps every digit of a large id", async () => {
    const path = file(
      "ids.jsonl",
      '{"text":"a 9007199254740993 \\" b","id":1234567890123456789}\n{"text":"b","id":18446744073709551615}\n' +
        '{"id":-9007199254740993,"text":"c"}\n{"id":7,"text":"d","x":1e300}\n',
    );
    expect((await read([path])).found).toEqual([
      { id: "1234567890123456789", text: 'a 9007199254740993 " b' },
      { id: "18446744073709551615", text: "b" },
      { id: "-9007199254740993", text: "c" },
      { id: "7", text: "d" },
    ]);
  });

  it("counts what it skips by the same reasons, and with strict stops at damage", async () => {
    const bad = Buffer.concat([
      Buffer.from('{"text":"good"}\n{"broken\n{"text":" "}\n{"body":"x"}\n[1]\n{"text":"\0"}\n'),
      Buffer.from([0x7b, 0xff, 0x0a]),
      Buffer.from(`${"[".repeat(2000)}\n`),
    ]);
    const path = file("in/bad.jsonl", bad);
    file("in/picture.png", "no");
    const { found, report } = await read([dirname(path)]);
    expect(found.map(({ text }) => text)).toEqual(["good"]);
    expect(report.read).toEqual({ files: 1, documents: 1, rows: 1 });
    expect(report.skipped).toEqual({
      ...{ empty: 1, no_text: 1, not_an_object: 1, not_json: 1, not_utf8: 1, nul_byte: 1, other_kind: 1, too_deep: 1 },
    });
    expect(report.skippedAt.no_text[0]).toMatch(/bad\.jsonl, .*: has no "text" that is a string; its keys are body$/);
    const refused = await read([path], { strict: true }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(QuernError);
    expect(refused).toMatchObject({
      exitCode: 1,
      message: expect.stringMatching(/not_json\); --strict stops at damaged input/),
    });
    // With strict, reasons that are not damage are no error.
    const good = file("good/a.jsonl", '{"text":"good"}\n{"text":" "}\n');
    file("good/picture.png", "no");
    expect((await read([dirname(good)], { strict: true })).report.skipped).toEqual({ empty: 1, other_kind: 1 });
  });

  it("reads the text under another key, or in a group", async () => {
    const path = file("a.jsonl", '{"body":"b","meta":{"text":"c"},"a.b":"d","id":1}\n');
    for (const [textField, text] of [
      ["body", "b"],
      ["meta.text", "c"],
      ["a.b", "d"],
    ])
      expect((await read([path], { textField })).found).toEqual([{ id: "1", text }]);
    await expect(read([path])).rejects.toThrow(/no text in .*a\.jsonl: skipped 1 no_text/);
  });

  it("reads the documents before damage", async () => {
    const lines = Array.from({ length: 5000 }, (_, i) => `{"text":"line ${i} ${Math.sin(i)}","id":${i}}\n`).join("");
    const gzip = gzipSync(lines);
    const { found, report } = await read([file("cut.jsonl.gz", gzip.subarray(0, gzip.length >> 1))]);
    expect(found.length).toBeGreaterThan(1000);
    expect(found.at(-1)?.id).toBe(String(found.length - 1));
    expect(report.skipped).toEqual({ damaged_gzip: 1 });
  });

  it("skips an endless line, and resumes after it", async () => {
    const line = Buffer.alloc(65 * 2 ** 20, "a");
    const data = gzipSync(
      Buffer.concat([Buffer.from('{"text":"before"}\n'), line, Buffer.from('\n{"text":"after"}\n')]),
      {
        level: 1,
      },
    );
    const { found, report } = await read([file("long.jsonl.gz", data)]);
    expect(found.map(({ text }) => text)).toEqual(["before", "after"]);
    expect(report.skipped).toEqual({ line_too_long: 1 });
  });

  it("skips Quern's own output, links to folders, and settings", async () => {
    file("notes/a.txt", "a note");
    file("notes/runs/first/run.json", "{}");
    file("notes/runs/first/metrics.jsonl", '{"text":"no"}\n');
    file("notes/shards/shards.json", "{}");
    file("notes/clean/funnel.json", "{}");
    file("notes/clean/documents/0.jsonl", '{"text":"clean"}\n');
    file("notes/clean/notes/step/0.jsonl", '{"text":"no"}\n');
    file("notes/package.json", '{"name":"x"}');
    symlinkSync("..", join(folder, "notes", "up"));
    symlinkSync("nowhere", join(folder, "notes", "broken"));
    const { found, report } = await read([join(folder, "notes")]);
    expect(found.map(({ text }) => text)).toEqual(["a note"]);
    expect(report.skipped).toEqual({ not_a_file: 1, other_kind: 1, own_output: 3, unreadable: 1 });
    // If the user names a finished stage, only its documents are read.
    expect((await read([join(folder, "notes", "clean")])).found.map(({ text }) => text)).toEqual(["clean"]);
  });

  it.skipIf(process.platform === "win32")("refuses pipes and devices at once", async () => {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    await expect(read([pipe])).rejects.toThrow(/pipe is a pipe, not a file/);
    await expect(read(["/dev/zero"])).rejects.toThrow(/\/dev\/zero is a device, not a file/);
    file("b.txt", "text");
    expect((await read([folder])).report.skipped).toEqual({ not_a_file: 1 });
  });

  it("terminates on any mutation of compressed lines with documents, reasons or an error", async () => {
    let state = 99;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    const wholes: readonly (readonly [string, Buffer])[] = [
      ["m.jsonl.gz", gzipSync(LINES.repeat(50))],
      ["m.jsonl.zst", FRAME],
      ["m.jsonl", Buffer.from(LINES)],
      ["m.json", Buffer.from(`[${LINES.trim().replace("\n", ",")}]`)],
    ];
    const rounds = Number(process.env.QUERN_FUZZ ?? 40);
    for (let round = 0; round < rounds; round++) {
      const [name, whole] = wholes[round % wholes.length];
      const bytes = Buffer.from(whole);
      for (let change = random(3); change >= 0; change--) bytes[random(bytes.length)] = random(256);
      const outcome = await read([file(name, bytes)]).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(QuernError);
    }
  });
});

describe("a report of reading", () => {
  it("is summed, and formatted in lines", () => {
    const one = new ReadLog();
    one.files += 1;
    one.documents += 3;
    one.texts += 1;
    for (let i = 0; i < 5; i++) one.skip("not_json", `a.jsonl, line ${i}`, { detail: "why" });
    const sum = new ReadLog();
    sum.merge(one.report);
    sum.merge(one.report);
    expect(sum.report).toMatchObject({ read: { files: 2, documents: 6, rows: 4 }, skipped: { not_json: 10 } });
    expect(readLines(sum.report)).toEqual([
      "read 2 files, 6 documents (4 rows)",
      "skipped 10 not_json: a.jsonl, line 0: why; a.jsonl, line 1: why; a.jsonl, line 2: why; …",
    ]);
    expect(() => new ReadLog({ strict: true }).merge(one.report)).toThrow(/a\.jsonl, line 0: why \(not_json\)/);
  });
});
