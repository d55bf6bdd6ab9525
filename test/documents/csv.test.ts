import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isCsv, ReadLog, readCsv } from "../../src/documents/index.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-csv-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function read(name: string, data: string | Buffer) {
  const path = join(folder, name);
  writeFileSync(path, data);
  const log = new ReadLog();
  const rows: Record<string, unknown>[] = [];
  const lines: string[] = [];
  for await (const { fields, place } of readCsv(path, { log })) {
    rows.push(fields);
    lines.push(place.replace(path, ""));
  }
  return { rows, lines, report: log.report };
}

describe("CSV", () => {
  it("reads quotes, line ends in fields, both line ends and blank lines", async () => {
    const { rows, lines, report } = await read(
      "quotes.csv",
      '\ufeffa,b\r\n1,"two, ""2"""\r\n\r\n"x\ny",\n3,un"quoted"\n"",last',
    );
    expect(rows).toEqual([
      { a: "1", b: 'two, "2"' },
      { a: "x\ny", b: "" },
      { a: "3", b: 'un"quoted"' },
      { a: "", b: "last" },
    ]);
    expect(lines).toEqual([", line 2", ", line 4", ", line 6", ", line 7"]);
    expect(report).toMatchObject({ read: { files: 1, documents: 4, rows: 4 }, skipped: {} });
  });

  it("counts rows with missing fields and an unclosed quotation mark, with their lines", async () => {
    const { rows, report } = await read("cut.csv", 'a,b\n1,2\n3\n4,5,6\n7,"8\n9,10\n');
    expect(rows).toEqual([{ a: "1", b: "2" }]);
    expect(report.skipped).toEqual({ damaged_row: 3 });
    expect(report.skippedAt.damaged_row[0]).toMatch(/line 3: 1 fields where the first line names 2 columns/);
    expect(report.skippedAt.damaged_row[2]).toMatch(/line 5: a quotation mark is not closed/);
  });

  it("reads .tsv and .csv.gz, and counts damaged compression and bytes that are not UTF-8", async () => {
    expect((await read("tabs.tsv", "a\tb\n1,5\t2\n")).rows).toEqual([{ a: "1,5", b: "2" }]);
    const whole = gzipSync(`a,b\n${"1,2\n".repeat(1000)}`);
    expect((await read("whole.csv.gz", whole)).rows).toHaveLength(1000);
    expect((await read("half.csv.gz", whole.subarray(0, whole.length - 9))).report.skipped).toEqual({
      damaged_gzip: 1,
    });
    expect((await read("latin.csv", Buffer.from("a,b\ncaf\xe9,1\n", "latin1"))).report.skipped).toEqual({
      not_utf8: 1,
    });
    expect((await read("empty.csv", "")).rows).toEqual([]);
    expect(["a.CSV", "a.tsv.zst", "a.csv.gz", "a.json", "csv"].map(isCsv)).toEqual([true, true, true, false, false]);
  });

  it("does not depend on where the file is cut into pieces", async () => {
    const line = (i: number) => `${i},"${'long ""text""\r\n'.repeat(i % 40)}é"\r\n`;
    const { rows } = await read("long.csv", `n,text\r\n${Array.from({ length: 9000 }, (_, i) => line(i)).join("")}`);
    expect(rows).toHaveLength(9000);
    rows.forEach(({ n, text }, i) => {
      if (n !== String(i) || text !== `${'long "text"\r\n'.repeat(i % 40)}é`) throw new Error(`row ${i}`);
    });
  });
});
