import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";
import { readMetadata } from "../../src/documents/parquet/metadata.js";
import { type ParquetDamage, type ParquetOptions, readParquetRows } from "../../src/documents/parquet.js";
import { QuernError } from "../../src/errors.js";

// Files by test/oracle/parquet.py: one table, written by pyarrow and polars in all their encodings, and its rows as JSON.
const FIXTURES = join(import.meta.dirname, "..", "oracle", "fixtures", "parquet");
const fixture = (name: string) => readFileSync(join(FIXTURES, `${name}.parquet`));
const names = readdirSync(FIXTURES)
  .filter((name) => name.endsWith(".parquet") && name !== "binary.parquet")
  .map((name) => name.replace(".parquet", ""));
type Row = Readonly<Record<string, unknown>>;
const expected = JSON.parse(readFileSync(join(FIXTURES, "rows.json"), "utf8")) as Row[];

const folder = mkdtempSync(join(tmpdir(), "quern-parquet-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, data: Uint8Array) => {
  const path = join(folder, name);
  writeFileSync(path, data);
  return path;
};
async function read(path: string, options: Partial<ParquetOptions> = {}) {
  const rows: Row[] = [];
  const damage: ParquetDamage[] = [];
  const onDamage = (what: ParquetDamage) => damage.push(what);
  for await (const row of readParquetRows(path, { required: "text", onDamage, ...options })) rows.push(row);
  return { rows, damage };
}
/** The position of a column of the first row group. */
async function columnOf(bytes: Buffer, name: string) {
  const readAt = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const { schema, groups } = await readMetadata(readAt, bytes.length);
  const chunk = groups[0].columns[schema.find((node) => node.name === name)?.column ?? -1];
  if (chunk === undefined) throw new Error(`no column ${name}`);
  return { ...chunk, rows: groups[0].rows };
}

describe("Parquet", () => {
  it.each(names)("reads the same rows as pyarrow from %s", async (name) => {
    const { rows, damage } = await read(join(FIXTURES, `${name}.parquet`));
    expect(damage).toEqual([]);
    expect(rows).toHaveLength(expected.length);
    const keys = Object.keys(rows[0]);
    expect(rows).toEqual(expected.map((row) => Object.fromEntries(keys.map((key) => [key, row[key]]))));
  });

  it("reads only the requested columns, and one in a group", async () => {
    const path = join(FIXTURES, "snappy.parquet");
    const { rows } = await read(path, { columns: ["id"] });
    expect(Object.keys(rows[0])).toEqual(["text", "id"]);
    const nested = await read(path, { columns: ["id"], required: "group.b" });
    expect(nested.rows.map(({ group, id }) => [group, id])).toEqual(expected.map(({ group, id }) => [group, id]));
  });

  it("reads a file that is compressed as a whole", async () => {
    const path = file("whole.parquet.gz", gzipSync(fixture("plain")));
    expect((await read(path, { compression: "gzip" })).rows).toHaveLength(expected.length);
  });

  it("loses only the values of a damaged column other than the text", async () => {
    const bytes = fixture("snappy");
    const id = await columnOf(bytes, "id");
    bytes.fill(0xff, id.start, id.start + id.bytes);
    const { rows, damage } = await read(file("column.parquet", bytes));
    expect(rows.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
    expect(rows[0].id).toBeUndefined();
    expect(rows.at(-1)?.id).toBe(expected.at(-1)?.id);
    expect(damage).toMatchObject([{ reason: "damaged_column", column: "id" }]);
  });

  it("loses only the rows of a damaged page of text", async () => {
    const bytes = fixture("plain");
    const text = await columnOf(bytes, "text");
    // The middle of the chunk is in one page, whose checksum becomes wrong.
    bytes[text.start + (text.bytes >> 1)] ^= 1;
    const { rows, damage } = await read(file("page.parquet", bytes));
    expect(damage).toHaveLength(1);
    const [lost] = damage as { reason: string; rows: number }[];
    expect(lost.reason).toBe("damaged_row");
    expect(lost.rows).toBeLessThan(text.rows);
    expect(rows.length + lost.rows).toBe(expected.length);
    expect(expected.map(({ id, text }) => JSON.stringify([id, text]))).toEqual(
      expect.arrayContaining(rows.map(({ id, text }) => JSON.stringify([id, text]))),
    );
    await expect(read(join(folder, "page.parquet"), { onDamage: undefined })).rejects.toThrow(/is damaged: .*checksum/);
  });

  it("refuses bytes that are not marked as text, a missing column, and a column of numbers", async () => {
    await expect(read(join(FIXTURES, "binary.parquet"))).rejects.toThrow(
      /"text" contains bytes that are not marked as text/,
    );
    const snappy = join(FIXTURES, "snappy.parquet");
    await expect(read(snappy, { required: "body" })).rejects.toThrow(/no column "body"; its columns are text, id/);
    await expect(read(snappy, { required: "small" })).rejects.toThrow(/"small" contains INT32, not text/);
    await expect(read(snappy, { required: "list" })).rejects.toThrow(/"list" contains a group, not text/);
  });

  it("terminates on any mutation with rows, damage or an error", { timeout: 120_000 }, async () => {
    let state = 12345;
    const random = (below: number) => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    let refused = 0;
    const rounds = Number(process.env.QUERN_FUZZ ?? 40);
    for (let round = 0; round < rounds; round++) {
      const bytes = fixture(names[round % names.length]);
      const footer = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8);
      for (let change = random(3); change >= 0; change--) {
        // Half of the changes are in the footer, which contains all positions.
        const at = random(2) === 0 ? footer + random(bytes.length - 8 - footer) : 4 + random(footer - 4);
        if (random(2) === 0) bytes[at] = [0, 1, 127, 128, 255, random(256)][random(6)];
        else bytes.writeUInt32LE([0x7fffffff, 0xffffffff, 0x80808080, random(2 ** 32)][random(4)], at);
      }
      const outcome = await read(file("mutated.parquet", bytes)).catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(QuernError);
      if (outcome instanceof Error || (outcome as { damage: unknown[] }).damage.length > 0) refused += 1;
    }
    expect(refused).toBeGreaterThan(rounds / 10);
  });
});
