import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clearCache, inspectCache } from "../../src/cache.js";

describe("the cache", () => {
  const saved = process.env.QUERN_CACHE;
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "quern-cache-"));
    process.env.QUERN_CACHE = join(folder, "cache");
  });
  afterEach(async () => {
    if (saved === undefined) delete process.env.QUERN_CACHE;
    else process.env.QUERN_CACHE = saved;
    await rm(folder, { recursive: true, force: true });
  });

  it("is empty where it has never been used", async () => {
    expect((await inspectCache()).parts).toEqual([]);
    expect((await clearCache()).parts).toEqual([]);
  });

  it("is counted by part and cleared by part", async () => {
    for (const [part, name] of [
      ["programs", "one"],
      ["programs", "two"],
      ["packages", "text"],
    ]) {
      await mkdir(join(folder, "cache", part, name), { recursive: true });
      await writeFile(join(folder, "cache", part, name, "file"), "12345");
    }
    expect((await inspectCache()).parts).toEqual([
      { name: "packages", entries: 1, bytes: 5 },
      { name: "programs", entries: 2, bytes: 10 },
    ]);
    expect((await inspectCache("packages")).parts).toHaveLength(1);
    await expect(inspectCache("tokens")).rejects.toThrow('has no "tokens"; it has packages, programs');
    await expect(clearCache("tokens")).rejects.toThrow('has no "tokens"; it has packages, programs');
    expect((await clearCache("programs")).parts).toHaveLength(1);
    expect(await readdir(join(folder, "cache"))).toEqual(["packages"]);
  });
});
