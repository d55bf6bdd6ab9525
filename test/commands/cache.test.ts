import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clearCache, inspectCache } from "../../src/cache.js";
import { tagCacheFolder } from "../../src/cache-folder.js";

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

  it("can be listed and cleared by part", async () => {
    for (const [part, name] of [
      ["programs", "0123456789abcdef"],
      ["programs", "0123456789abcdee"],
      ["npm", "text@1.0.0"],
    ]) {
      const path = join(folder, "cache", part);
      await mkdir(path, { recursive: true });
      await tagCacheFolder(path);
      await mkdir(join(path, name));
      await writeFile(join(path, name, "file"), "12345");
    }
    expect((await inspectCache()).parts).toEqual([
      { name: "npm", entries: 1, bytes: 5 },
      { name: "programs", entries: 2, bytes: 10 },
    ]);
    expect((await inspectCache("npm")).parts).toHaveLength(1);
    await expect(inspectCache("tokens")).rejects.toThrow('has no "tokens"; it has npm, programs');
    await expect(clearCache("tokens")).rejects.toThrow('has no "tokens"; it has npm, programs');
    expect((await clearCache("programs")).parts).toHaveLength(1);
    expect(await readdir(join(folder, "cache"))).toEqual(["npm"]);
  });

  it("is cleared only of Quern's own files", async () => {
    const cache = join(folder, "cache");
    // A user's folder that QUERN_CACHE names by mistake, with no files by Quern.
    await mkdir(join(cache, "programs", "0123456789abcdef"), { recursive: true });
    await mkdir(join(cache, "photographs"));
    await writeFile(join(cache, "programs", "0123456789abcdef", "mine"), "mine");
    await writeFile(join(cache, "photographs", "mine"), "mine");
    await tagCacheFolder(join(cache, "programs"));
    await expect(clearCache()).rejects.toMatchObject({ exitCode: 2, message: /is not a cache that Quern made/ });
    expect((await readdir(cache, { recursive: true })).length).toBe(5);
    // A link to a cache is not followed.
    await rm(join(cache, "programs"), { recursive: true });
    const elsewhere = join(folder, "elsewhere");
    await mkdir(elsewhere);
    await tagCacheFolder(elsewhere);
    await mkdir(join(elsewhere, "0123456789abcdef"));
    await symlink(elsewhere, join(cache, "programs"));
    await expect(clearCache()).rejects.toThrow(/is not a cache that Quern made/);
    expect(await readdir(elsewhere)).toEqual(["0123456789abcdef", "CACHEDIR.TAG"]);
    // Files of others in Quern's cache stay.
    await rm(join(cache, "programs"));
    await mkdir(join(cache, "programs"));
    await tagCacheFolder(join(cache, "programs"));
    await mkdir(join(cache, "programs", "0123456789abcdef"));
    await writeFile(join(cache, "programs", "notes.txt"), "mine");
    await clearCache();
    expect(await readdir(join(cache, "programs"))).toEqual(["CACHEDIR.TAG", "notes.txt"]);
  });
});
