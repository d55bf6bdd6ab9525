import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readTaskDocuments } from "../../../src/eval/harness/documents.js";
import { filePattern } from "../../../src/eval/harness/file-pattern.js";
import { HubData } from "../../../src/eval/harness/hub-data.js";
import { TaskRegistry } from "../../../src/eval/harness/registry.js";
import { PythonFloat } from "../../../src/tokenizer/index.js";

type Files = Readonly<Record<string, string | Buffer>>;
/** Repositories of the hub: files by `NAME@REVISION`. */
let repositories: Map<string, Files>;
let requests: string[];
let server: Server;
let endpoint: string;
let root: string;

const commitOf = (key: string, files: Files) =>
  createHash("sha1").update(key).update(JSON.stringify(files)).digest("hex");
const convert = "refs/convert/parquet";

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = decodeURIComponent((request.url ?? "").replace(/\?.*/, ""));
    requests.push(path);
    for (const [key, files] of repositories) {
      const [name, revision] = key.split("@") as [string, string];
      const commit = commitOf(key, files);
      if (
        path === `/api/datasets/${name}/revision/${revision}` ||
        path === `/api/datasets/${name}/revision/${commit}`
      ) {
        const siblings = Object.entries(files).map(([rfilename, data]) => ({
          rfilename,
          size: Buffer.byteLength(data),
        }));
        return void response.end(JSON.stringify({ sha: commit, siblings }));
      }
      const start = `/datasets/${name}/resolve/${commit}/`;
      const file = path.startsWith(start) ? files[path.slice(start.length)] : undefined;
      if (file !== undefined) return void response.end(file);
    }
    response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quern-hub-data-"));
  repositories = new Map();
  requests = [];
});
afterEach(() => rmSync(root, { recursive: true }));

const hubAt = (base: string, more: Record<string, string> = {}) =>
  new HubData({ cache: join(root, "cache"), environment: { HF_ENDPOINT: base, ...more } });

function task(yaml: string) {
  const path = join(root, "t.yaml");
  writeFileSync(path, `task: t\ndoc_to_text: q\ndoc_to_target: q\n${yaml}\n`);
  return new TaskRegistry().select([path]).tasks.get("t")!;
}
const read = async (yaml: string, hub = hubAt(endpoint), more = {}) =>
  (await readTaskDocuments(task(yaml), 0, { hub, ...more })).evaluated;
const lines = (...questions: readonly string[]) => questions.map((q) => `${JSON.stringify({ q })}\n`).join("");
const parquet = (...questions: readonly string[]) =>
  Buffer.from(parquetWriteBuffer({ columnData: [{ name: "q", data: [...questions] }] }));
const asked = (...questions: readonly string[]) => questions.map((q) => ({ q }));

const README = `---
license: mit
configs:
- config_name: one
  data_files:
  - split: test
    path: one/test-*
  - split: dev
    path: ["one/dev.jsonl", "one/more/*.jsonl"]
- config_name: two
  default: yes
  data_files: two/**/*.csv
---
# A data set
`;

describe("the data of a task comes from the hub", () => {
  const own: Files = {
    "README.md": README,
    "one/test-00000-of-00002.parquet": parquet("a", "b"),
    "one/test-00001-of-00002.parquet": parquet("c"),
    "one/dev.jsonl": lines("d"),
    "one/more/2.jsonl": lines("f"),
    "one/more/1.jsonl": lines("e"),
    "two/deep/x.csv": "q,n\ng,2.0\n",
    "two/y.csv": "q,n\nh,1\n",
  };

  it.each<readonly [string, readonly object[]]>([
    ["dataset_name: one\ntest_split: test", asked("a", "b", "c")],
    ["dataset_name: one\ntest_split: dev", asked("d", "e", "f")],
    [
      "dataset_name: null\ntest_split: train",
      [
        { q: "g", n: new PythonFloat(2) },
        { q: "h", n: 1 },
      ],
    ],
    ["dataset_kwargs: {data_files: {test: one/more/*.jsonl}}\ntest_split: test", asked("e", "f")],
    ["dataset_kwargs: {data_files: one/dev.jsonl}\ntest_split: train", asked("d")],
    ["dataset_kwargs: {data_dir: one, data_files: more/1.jsonl}\ntest_split: train", asked("e")],
    [
      "dataset_kwargs: {data_files: {test: two/y.csv}, column_names: [q, k]}\ntest_split: test",
      [
        { q: "q", k: "n" },
        { q: "h", k: "1" },
      ],
    ],
  ])("by the README: %s", async (yaml, rows) => {
    repositories.set("some/set@main", own);
    expect(await read(`dataset_path: some/set\n${yaml}`)).toEqual(rows);
  });

  it("by the converted branch where the README has no configurations", async () => {
    repositories.set("some/set@main", { "README.md": "# No front matter\n", "set.py": "" });
    repositories.set(`some/set@${convert}`, {
      "first/test/0000.parquet": parquet("a"),
      "first/test/0001.parquet": parquet("b"),
      "second/partial-test/0000.parquet": parquet("c"),
    });
    const path = "dataset_path: some/set\ntest_split: test\n";
    expect(await read(`${path}dataset_name: first`)).toEqual(asked("a", "b"));
    await expect(read(`${path}dataset_name: third`)).rejects.toThrow(
      "the data of the task t: the data set some/set has no configuration third; it has first, second; or give its folder " +
        "with --data DIR",
    );
    await expect(read(path)).rejects.toThrow(/needs a dataset_name: first, second/);
    await expect(read(`${path}dataset_name: second`)).rejects.toThrow(
      /some\/set \(second\) has no split test; it has partial-test; the hub converted only a part/,
    );
  });

  it("by the converted branch where the README names files of another kind", async () => {
    repositories.set("set@main", { "README.md": "---\nconfigs:\n- data_files: all.zip\n---\n", "all.zip": "PK" });
    repositories.set(`set@${convert}`, { "default/train/0000.parquet": parquet("a") });
    expect(await read("dataset_path: set\ntest_split: train")).toEqual(asked("a"));
    expect(readdirSync(join(root, "cache", "datasets"))).toContain("+set");
  });

  it.each<readonly [Files, string, readonly object[]]>([
    [{ "data/odd-00000-of-00001.parquet": parquet("a"), "test.jsonl": lines("b") }, "odd", asked("a")],
    [{ "en/dev_set/a.jsonl": lines("a"), "train.jsonl": lines("b") }, "validation", asked("a")],
    [{ "x-test.jsonl": lines("a"), "y_train.csv": "q\nb\n" }, "test", asked("a")],
    [{ "things.json": '[{"q": "a"}]', ".hidden.json": "{", "latest.txt": "" }, "train", asked("a")],
  ])("by the names of files where nothing is converted: %#", async (files, split, rows) => {
    repositories.set("some/set@main", files);
    expect(await read(`dataset_path: some/set\ntest_split: ${split}`)).toEqual(rows);
  });

  it("at a revision", async () => {
    repositories.set("some/set@main", { "test.jsonl": lines("new") });
    repositories.set("some/set@v1", { "test.jsonl": lines("old") });
    const yaml = "dataset_path: some/set\ntest_split: test\n";
    expect(await read(`${yaml}dataset_kwargs: {revision: v1}`)).toEqual(asked("old"));
    const file = "dataset_path: json\ntest_split: test\ndataset_kwargs: {data_files: {test:";
    expect(await read(`${file} hf://datasets/some/set@v1/test.jsonl}}`)).toEqual(asked("old"));
    expect(await read(`${file} hf://datasets/some/set/test.jsonl}}`)).toEqual(asked("new"));
  });
});

describe("the cache of data sets", () => {
  const yaml = "dataset_path: some/set\ntest_split: test\n";

  it("keeps files by commit, and needs no hub again", async () => {
    repositories.set("some/set@main", { "README.md": "", "data/test-00000-of-00001.parquet": parquet("a") });
    const hub = hubAt(endpoint);
    expect(await read(yaml, hub)).toEqual(asked("a"));
    const first = requests.length;
    expect(await read(yaml, hub)).toEqual(asked("a"));
    // The branch that does not exist is looked up once too.
    expect(requests.length).toBe(first);
    expect(await read(yaml)).toEqual(asked("a"));
    expect(requests.slice(first).filter((path) => path.includes("/resolve/"))).toEqual([]);
    repositories.set("some/set@main", { "README.md": "", "data/test-00000-of-00001.parquet": parquet("b") });
    expect(await read(yaml)).toEqual(asked("b"));
  });

  it("answers offline with the last commit", async () => {
    repositories.set("some/set@main", {
      "README.md": "---\nconfigs:\n- data_files: [{split: test, path: t.csv}]\n---\n",
      "t.csv": "q\na\n",
    });
    await read(yaml);
    expect(await read(yaml, hubAt("http://127.0.0.1:9"))).toEqual(asked("a"));
    const before = requests.length;
    expect(await read(yaml, hubAt(endpoint, { HF_HUB_OFFLINE: "1" }))).toEqual(asked("a"));
    expect(requests.length).toBe(before);
  });
});

describe("errors name --data", () => {
  const yaml = "dataset_path: some/set\ntest_split: test\n";
  it.each<readonly [string, Files | undefined, string, RegExp]>([
    [
      "offline",
      undefined,
      "http://127.0.0.1:9",
      /some\/set: http:\/\/127.0.0.1:9 does not answer .*check the network; or give its folder with --data DIR$/,
    ],
    ["a missing data set", undefined, "", /answers 404; there is no such dataset or revision.*--data DIR$/],
    ["a missing split", { "train.jsonl": lines("a") }, "", /some\/set has no split test; it has train; or give/],
    [
      "a missing file",
      { "README.md": "---\nconfigs: [{data_files: [{split: test, path: no/*}]}]\n---\n" },
      "",
      /no file that matches no\/\*/,
    ],
    ["a damaged README", { "README.md": "---\na: [\n---\n" }, "", /README\.md of some\/set line 2: not YAML/],
    [
      "a damaged README of the right form",
      { "README.md": "---\nconfigs: [{data_files: [1]}]\n---\n" },
      "",
      /data_files must be patterns/,
    ],
  ])("%s", async (_, files, base, message) => {
    if (files !== undefined) repositories.set("some/set@main", files);
    await expect(read(yaml, hubAt(base || endpoint))).rejects.toThrow(message);
  });

  it("a name that is a path", async () => {
    await expect(read("dataset_path: ../set\ntest_split: test")).rejects.toThrow(
      /\.\.\/set is not a data set of the hub/,
    );
    repositories.set("some/set@main", { "../../evil.jsonl": lines("a"), "README.md": "" });
    await expect(read(`${yaml}dataset_kwargs: {data_files: {test: ../../evil.jsonl}}`)).rejects.toThrow(/no file/);
  });
});

describe("filePattern", () => {
  it.each<readonly [string, readonly string[], readonly string[]]>([
    ["data/test-*", ["data/test-0.parquet"], ["data/x/test-0", "test-0", "data/test-0/x"]],
    ["**/*.csv", ["a.csv", "x/a.csv", "x/y/a.csv"], ["a.json", ".x/a.csv", "x/.a.csv"]],
    ["a/**", ["a/b", "a/b/c"], ["b/a", "a/.b"]],
    ["{one,two}/t?st.[jc]*", ["one/test.json", "two/tast.csv"], ["three/test.csv", "one/tst.csv"]],
    [".hidden/*", [".hidden/a"], ["x/.hidden/a"]],
    ["a+b(1).csv", ["a+b(1).csv"], ["aab1.csv"]],
  ])("%s", (pattern, matching, others) => {
    const regex = filePattern(pattern);
    expect(matching.filter((name) => regex.test(name))).toEqual(matching);
    expect(others.filter((name) => regex.test(name))).toEqual([]);
  });
});
