import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parsePythonJson, readRowsOf, readTaskDocuments } from "../../../src/eval/harness/documents.js";
import { HubData } from "../../../src/eval/harness/hub-data.js";
import { pythonJson } from "../../../src/eval/harness/python-json.js";
import { TaskRegistry } from "../../../src/eval/harness/registry.js";
import { PythonFloat } from "../../../src/tokenizer/index.js";

const fixtures = join(dirname(fileURLToPath(import.meta.url)), "../../fixtures/eval/rows");
let folder: string;
const write = (name: string, text: string | Uint8Array): string => {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
};
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "quern-documents-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("rows", () => {
  it("have the same fields, and floats beside floats", async () => {
    const rows = await readRowsOf(write("a.jsonl", '{"a":1,"n":{"x":1}}\n\n{"a":2.5,"b":"x","n":{"x":2.0}}\n'));
    expect(rows).toEqual([
      { a: new PythonFloat(1), n: { x: new PythonFloat(1) }, b: null },
      { a: 2.5, n: { x: new PythonFloat(2) }, b: "x" },
    ]);
  });

  it("keep nested objects of unlike fields", async () => {
    const rows = await readRowsOf(write("b.jsonl", '{"n":{"x":1}}\n{"n":{"y":2}}\n'));
    expect(rows).toEqual([{ n: { x: 1 } }, { n: { y: 2 } }]);
  });

  it("keep whole floats and large integers, but no digits within text", async () => {
    const rows = await readRowsOf(write("c.json", '[{"f":1e3,"i":12345678901234567890,"s":"\\"2.0\\" 1e5"}]'));
    expect(rows).toEqual([{ f: new PythonFloat(1000), i: 12345678901234567890n, s: '"2.0" 1e5' }]);
  });

  it("have pandas' types in CSV", async () => {
    const rows = await readRowsOf(write("d.csv", 'i,f,s,b,m\n1,1.5,"a, ""b""",True,1\n2,2,NA,False,\n'));
    expect(rows).toEqual([
      { i: 1, f: 1.5, s: 'a, "b"', b: true, m: new PythonFloat(1) },
      { i: 2, f: new PythonFloat(2), s: null, b: false, m: null },
    ]);
  });

  /** Made by test/oracle/datasets_rows.py. */
  const expected = parsePythonJson(readFileSync(join(fixtures, "expected.json"), "utf8"), "expected.json") as Readonly<
    Record<string, readonly object[]>
  >;
  it.each(Object.keys(expected))("of %s equal those of Hugging Face's datasets", async (name) => {
    const rows = await readRowsOf(join(fixtures, name), name === "names.tsv" ? { columns: ["a", "b"] } : {});
    expect(pythonJson(rows)).toBe(pythonJson(expected[name]));
  });

  it("fail with their line", async () => {
    await expect(readRowsOf(write("e.jsonl", '{"a":1}\n{"a":\n'))).rejects.toThrow(/e\.jsonl line 2 is not JSON/);
    await expect(readRowsOf(write("f.jsonl", "[1]\n"))).rejects.toThrow(/f\.jsonl: element 1 is no object/);
  });
});

describe("the layout of --data", () => {
  const task = (yaml: string) => {
    const path = write("tasks/t.yaml", `task: t\ndoc_to_text: a\ndoc_to_target: a\n${yaml}`);
    return new TaskRegistry().select([path]).tasks.get("t")!;
  };

  it("has no folder for a null name, and falls back to the validation split", async () => {
    write("data/own/set/validation.jsonl", '{"a":"x"}\n');
    const documents = await readTaskDocuments(task("dataset_path: own/set\nvalidation_split: validation\n"), 0, {
      data: join(folder, "data"),
    });
    expect(documents).toEqual({ evaluated: [{ a: "x" }], fewshot: null });
  });

  it("names a missing split and those that are there", async () => {
    const wanted = task("dataset_path: own/set\ntest_split: test\n");
    await expect(readTaskDocuments(wanted, 0, { data: join(folder, "data") })).rejects.toThrow(
      /the split test of the task t is missing: .*the folder has validation\.jsonl/,
    );
    const hub = new HubData({ cache: folder, environment: { HF_HUB_OFFLINE: "1" } });
    await expect(readTaskDocuments(wanted, 0, { hub })).rejects.toThrow(/HF_HUB_OFFLINE is set.*--data DIR/);
  });

  it.each<readonly [string, Readonly<Record<string, string | Uint8Array>>, readonly object[]]>([
    [
      "shards",
      { "test-00001-of-00002.jsonl": '{"a":2.5}\n', "test-00000-of-00002.jsonl": '{"a":1}\n' },
      [{ a: new PythonFloat(1) }, { a: 2.5 }],
    ],
    ["a folder of the split", { "test/0001.csv": "a\ny\n", "test/0000.csv": "a\nx\n" }, [{ a: "x" }, { a: "y" }]],
    ["a folder data", { "data/test-00000-of-00001-0123abcd.jsonl": '{"a":"x"}\n' }, [{ a: "x" }]],
    ["compressed lines", { "test.jsonl.gz": gzipSync('{"a":"x"}\n') }, [{ a: "x" }]],
    ["tabs", { "test.tsv": 'a\tb\n"x, y"\t1\n' }, [{ a: "x, y", b: 1 }]],
    ["JSON lines before Parquet", { "test.parquet": "damaged", "test.jsonl": '{"a":"x"}\n' }, [{ a: "x" }]],
    [
      "Parquet",
      {
        "test.parquet": new Uint8Array(
          parquetWriteBuffer({
            columnData: [
              { name: "a", data: ["x", null], type: "STRING" },
              { name: "whole", data: [2, 0.5], type: "DOUBLE" },
              { name: "count", data: [2n, 2n ** 60n], type: "INT64" },
              { name: "list", data: [[1.0, 2.5], []] },
              { name: "nested", data: [{ f: 3, s: "2" }, null], type: "JSON" },
            ],
          }),
        ),
      },
      [
        { a: "x", whole: new PythonFloat(2), count: 2, list: expect.anything(), nested: { f: 3, s: "2" } },
        { a: null, whole: 0.5, count: 2n ** 60n, list: expect.anything(), nested: null },
      ],
    ],
  ])("reads %s", async (name, files, rows) => {
    const place = `many/${name.replaceAll(" ", "_")}`;
    for (const [file, data] of Object.entries(files)) write(`data/${place}/${file}`, data);
    const wanted = task(`dataset_path: ${place}\ntest_split: test\n`);
    const { evaluated } = await readTaskDocuments(wanted, 0, { data: join(folder, "data") });
    expect(evaluated).toEqual(rows);
  });

  it("names a missing shard", async () => {
    write("data/shards/test-00001-of-00003.csv", "a\n1\n");
    write("data/shards/test-00000-of-00003.csv", "a\n1\n");
    const wanted = task("dataset_path: shards\ntest_split: test\n");
    await expect(readTaskDocuments(wanted, 0, { data: join(folder, "data") })).rejects.toThrow(
      /the file 00002 of 00003 of the split test is missing in .*shards/,
    );
  });

  it("has the files that a task names in the data set of the hub", async () => {
    write("data/own/named/part/x.csv", "1,2\n3,4\n");
    const wanted = task(
      "dataset_path: own/named\ntest_split: test\ndataset_kwargs: {data_files: {test: part/x.csv}, column_names: [a, b]}\n",
    );
    const { evaluated } = await readTaskDocuments(wanted, 0, { data: join(folder, "data") });
    expect(evaluated).toEqual([
      { a: 1, b: 2 },
      { a: 3, b: 4 },
    ]);
  });

  it("reads data_files beside the task file", async () => {
    write("tasks/rows.csv", "a\nx\n");
    const documents = await readTaskDocuments(
      task("dataset_path: csv\ndataset_kwargs: {data_files: {test: rows.csv}}\ntest_split: test\n"),
      0,
      {},
    );
    expect(documents.evaluated).toEqual([{ a: "x" }]);
  });

  it("reads data_files from the folder of the task file's folder, and from --data", async () => {
    write("data/outer.json", '[{"q": "outer"}]');
    const loaded = task(
      "dataset_path: json\ndataset_kwargs: {data_files: {test: data/outer.json}}\ntest_split: test\n",
    );
    expect((await readTaskDocuments(loaded, 0, {})).evaluated).toEqual([{ q: "outer" }]);
    write("elsewhere/far/only.json", '[{"q": "far"}]');
    const far = task("dataset_path: json\ndataset_kwargs: {data_files: {test: far/only.json}}\ntest_split: test\n");
    expect((await readTaskDocuments(far, 0, { data: join(folder, "elsewhere") })).evaluated).toEqual([{ q: "far" }]);
  });

  it("reads data_files by a pattern, in the order of their names", async () => {
    write("tasks/parts/b.json", '{"a":"y"}\n');
    write("tasks/parts/a.json", '{"a":"x"}\n');
    const named = (pattern: string) =>
      task(`dataset_path: json\ndataset_kwargs: {data_files: {test: ${pattern}}}\ntest_split: test\n`);
    const { evaluated } = await readTaskDocuments(named('"parts/*.json"'), 0, {});
    expect(evaluated).toEqual([{ a: "x" }, { a: "y" }]);
    await expect(readTaskDocuments(named('"parts/*.csv"'), 0, {})).rejects.toThrow(
      /parts\/\*\.csv, which is neither in the working directory nor beside the task file/,
    );
    await expect(readTaskDocuments(named("https://example.org/a.json"), 0, {})).rejects.toThrow(/download it/);
    await expect(
      readTaskDocuments(
        task("dataset_path: json\ndataset_kwargs: {data_files: parts/a.json}\ntest_split: test\n"),
        0,
        {},
      ),
    ).rejects.toThrow(/has no split test/);
  });
});
