import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clearCache, inspectCache } from "../../../src/cache.js";
import { openRegistry } from "../../../src/eval/harness/catalogue.js";
import { stateOfFiles } from "../../../src/eval/harness/folder-state.js";
import { listTasks, listTasksAsJson } from "../../../src/eval/harness/task-list.js";

let root: string;
let folder: string;
let tasks: string;
const saved = process.env.QUERN_CACHE;

/** Enough files for a cache, with a template outside of the folder. */
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quern-task-index-"));
  folder = join(root, "tasks");
  process.env.QUERN_CACHE = join(root, "cache");
  tasks = join(root, "cache", "tasks");
  mkdirSync(join(folder, "deep"), { recursive: true });
  writeFileSync(join(root, "template"), "dataset_path: one/data\ntest_split: test\ndoc_to_text: q\ndoc_to_target: a\n");
  for (let i = 0; i < 210; i++) {
    writeFileSync(
      join(folder, i % 2 ? "deep" : "", `t${i}.yaml`),
      `include: ${i % 2 ? "../" : ""}../template\ntask: t${i}\ntag: parity_${i % 2}\n`,
    );
  }
  writeFileSync(join(folder, "group.yaml"), "group: some\ntask: [t0, parity_1]\n");
});
afterEach(() => {
  if (saved === undefined) delete process.env.QUERN_CACHE;
  else process.env.QUERN_CACHE = saved;
  rmSync(root, { recursive: true });
});

const list = async (options = {}) => listTasks({ include: [folder], ...options });
const task = async (name: string) => (await list()).tasks.find((each) => each.name === name);
/** Files change at distinct times only if some time passes. */
const settle = () => sleep(50);
const cacheFile = () => join(tasks, readdirSync(tasks).find((name) => name !== "CACHEDIR.TAG")!);
/** Marks what is cached, to see whether it is used. */
const mark = () => {
  const text = readFileSync(cacheFile(), "utf8");
  writeFileSync(cacheFile(), text.replaceAll("one/data", "two/data"));
};

describe("the cached list of tasks", () => {
  it("equals the list that was read", async () => {
    await settle();
    const first = await list();
    expect(first).toMatchObject({ files: 211, runs: 210, broken: [] });
    expect(await list()).toEqual(first);
    expect(JSON.parse(await listTasksAsJson({ include: [folder] }))).toEqual(first);
    mark();
    expect((await task("t7"))?.dataset).toBe("two/data");
    expect(await list({ cache: false })).toEqual(first);
    expect((await list({ pattern: "t1?" })).tasks).toHaveLength(10);
  });

  it.each<readonly [string, () => void, (names: readonly string[]) => void]>([
    [
      "a changed file of the same size and time",
      () => {
        const path = join(folder, "t2.yaml");
        const { atime, mtime } = statSync(path);
        writeFileSync(path, readFileSync(path, "utf8").replace("task: t2", "task: u2"));
        utimesSync(path, atime, mtime);
      },
      (names) => expect([names.includes("t2"), names.includes("u2")]).toEqual([false, true]),
    ],
    [
      "a new file in a folder within",
      () => writeFileSync(join(folder, "deep", "new.yaml"), "task: new\n"),
      (names) => expect(names).toContain("new"),
    ],
    ["a removed file", () => unlinkSync(join(folder, "t4.yaml")), (names) => expect(names).not.toContain("t4")],
  ])("notices %s", async (_, change, check) => {
    await settle();
    await list();
    mark();
    change();
    const { tasks: found } = await list();
    check(found.map(({ name }) => name));
    expect(found.find(({ name }) => name === "t0")?.dataset).toBe("one/data");
  });

  it("notices a change of a file that tasks include from elsewhere", async () => {
    await settle();
    await list();
    writeFileSync(join(root, "template"), "dataset_path: new/data\n");
    expect((await task("t9"))?.dataset).toBe("new/data");
  });

  it("notices an included file that was missing", async () => {
    unlinkSync(join(root, "template"));
    await settle();
    expect((await list()).broken).toHaveLength(210);
    expect(readdirSync(tasks)).toHaveLength(2);
    writeFileSync(join(root, "template"), "dataset_path: new/data\n");
    expect((await list()).broken).toEqual([]);
  });

  it("is made again if its file is damaged", async () => {
    await settle();
    const first = await list();
    const { size } = statSync(cacheFile());
    for (const length of [size - 1, size - 3000, 40, 0]) {
      truncateSync(cacheFile(), length);
      expect(await list()).toEqual(first);
      expect(statSync(cacheFile()).size).toBe(size);
    }
  });

  it("is whole while several processes write it", async () => {
    await settle();
    const lists = await Promise.all([1, 2, 3, 4].map(() => list()));
    for (const each of lists) expect(each).toEqual(lists[0]);
    const names = readdirSync(tasks).filter((name) => name !== "CACHEDIR.TAG");
    expect(names).toEqual([expect.stringMatching(/^[0-9a-f]{32}$/)]);
    expect((await inspectCache()).parts).toMatchObject([{ name: "tasks", entries: 1 }]);
    await clearCache();
    expect(readdirSync(join(root, "cache"))).toEqual([]);
  });

  it("is not kept without a cache, with a warning if it cannot be", async () => {
    await settle();
    await list({ cache: false });
    expect(() => readdirSync(tasks)).toThrow("ENOENT");
    writeFileSync(join(root, "file"), "");
    process.env.QUERN_CACHE = join(root, "file", "cache");
    const warnings: string[] = [];
    const { runs } = await list({ onWarning: (warning: string) => warnings.push(warning) });
    expect([runs, warnings]).toEqual([210, [expect.stringContaining("is not cached: cannot")]]);
  });

  it("builds tasks, tags and groups as the files do", async () => {
    await settle();
    await list();
    const registry = await openRegistry([folder]);
    const { tasks: found, groups } = registry.select(["some", "t2"]);
    expect([...groups.keys()]).toEqual(["some"]);
    expect(found.size).toBe(107);
    expect(found.get("t2")?.config).toMatchObject({ datasetPath: "one/data", tags: ["parity_0"] });
  });

  it("keeps names and messages in any script", async () => {
    writeFileSync(join(folder, "größe.yaml"), 'task: "größe\\t🌾"\ndataset_path: d\n日本: 1\n');
    await settle();
    const first = await list();
    const found = first.tasks.find(({ name }) => name === "größe\t🌾");
    expect(found?.obstacles.join()).toContain("日本");
    expect(await list()).toEqual(first);
    mark();
    expect((await list()).tasks.find(({ name }) => name === "größe\t🌾")).toEqual(found);
  });

  it("lets a later folder override an earlier one", async () => {
    const later = join(root, "later");
    mkdirSync(later);
    writeFileSync(join(later, "own.yaml"), "task: t5\ndataset_path: own/data\n");
    const { tasks: found, files } = await listTasks({ include: [folder, later] });
    expect([found.length, files]).toEqual([210, 212]);
    expect(found.find(({ name }) => name === "t5")).toMatchObject({ dataset: "own/data", runs: false });
    expect(found.map(({ name }) => name)).toEqual(found.map(({ name }) => name).sort());
  });
});

describe("the state of files", () => {
  it("does not identify a file that was changed just before it was read", () => {
    const path = join(folder, "t0.yaml");
    const { ctimeMs } = statSync(path);
    expect(stateOfFiles([path], ctimeMs + 2).isSettled).toBe(false);
    expect(stateOfFiles([path], ctimeMs - 5).isSettled).toBe(false);
    expect(stateOfFiles([path], ctimeMs + 3000).isSettled).toBe(true);
    expect(stateOfFiles([path, join(folder, "none")], ctimeMs + 3000).missing).toEqual([join(folder, "none")]);
  });
});
