import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readRowsOf, readTaskDocuments } from "../../../src/eval/harness/documents.js";
import { TaskRegistry } from "../../../src/eval/harness/registry.js";
import { PythonFloat } from "../../../src/tokenizer/index.js";

let folder: string;
const write = (name: string, text: string): string => {
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
    await expect(readTaskDocuments(wanted, 0, {})).rejects.toThrow("--data DIR");
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
});
