/** @file Lists and clears the cache. Everything in it can be fetched or made again. */
import { lstat, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { CACHE_PARTS, CACHE_TAG, cacheFolder, isCachePart } from "./cache-folder.js";
import { fileError, QuernError } from "./errors.js";

/** A folder of the cache, such as `programs` (compiled programs) or `npm` (data packages). */
export interface CachePart {
  readonly name: string;
  readonly entries: number;
  readonly bytes: number;
}

export interface CacheContents {
  readonly folder: string;
  readonly parts: readonly CachePart[];
}

/**
 * Returns the contents of the cache or of one part; empty if it has never been used.
 * @throws QuernError if the part does not exist
 */
export async function inspectCache(part?: string): Promise<CacheContents> {
  const folder = cacheFolder();
  const parts: CachePart[] = [];
  for (const name of (Object.keys(CACHE_PARTS) as (keyof typeof CACHE_PARTS)[]).sort()) {
    const path = join(folder, name);
    if ((await lstat(path).catch(() => undefined)) === undefined) continue;
    const entries = (await namesIn(path)).filter((entry) => CACHE_PARTS[name].test(entry));
    let bytes = 0;
    for (const entry of entries) bytes += await bytesUnder(join(path, entry));
    parts.push({ name, entries: entries.length, bytes });
  }
  const wanted = parts.filter(({ name }) => part === undefined || name === part);
  if (part !== undefined && wanted.length === 0) {
    const names = parts.map(({ name }) => name).join(", ");
    throw new QuernError(`the cache ${folder} has no "${part}"; it has ${names || "nothing"}`, { exitCode: 2 });
  }
  return { folder, parts: wanted };
}

/**
 * Clears the cache or one part of it, and returns what it removed. Files that Quern did not write stay. Running programs are
 * not affected.
 * @throws QuernError if the part does not exist, or the folder was not made by Quern
 */
export async function clearCache(part?: string): Promise<CacheContents> {
  const contents = await inspectCache(part);
  const { folder, parts } = contents;
  for (const { name } of parts) {
    const path = join(folder, name);
    if (await isCachePart(path)) continue;
    throw new QuernError(`${path} is not a cache that Quern made, so it is not cleared; check QUERN_CACHE`, {
      exitCode: 2,
    });
  }
  for (const { name } of parts) {
    const path = join(folder, name);
    try {
      for (const entry of await namesIn(path)) {
        if (!CACHE_PARTS[name as keyof typeof CACHE_PARTS].test(entry)) continue;
        await rm(join(path, entry), { recursive: true, force: true });
      }
      const left = await namesIn(path);
      if (left.length > 0 && left.some((entry) => entry !== CACHE_TAG)) continue; // files of others
      await rm(join(path, CACHE_TAG), { force: true });
      await rmdir(path);
    } catch (error) {
      throw fileError(error, "remove", path);
    }
  }
  return contents;
}

async function namesIn(path: string): Promise<string[]> {
  return readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw fileError(error, "read", path);
  });
}

/** Sums file sizes; files that another process removes meanwhile count as 0. */
async function bytesUnder(path: string): Promise<number> {
  const found = await lstat(path).catch(() => null);
  if (found === null) return 0;
  if (!found.isDirectory()) return found.size;
  let bytes = 0;
  for (const name of await namesIn(path)) bytes += await bytesUnder(join(path, name));
  return bytes;
}
