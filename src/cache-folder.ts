/** @file The cache folder, for files that can be fetched or made again: data packages, compiled programs, hub models. */
import { lstat, readdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

/** Returns the folder that `QUERN_CACHE` names, else the operating system's cache folder. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env, platform: string = process.platform): string {
  if (environment.QUERN_CACHE) return environment.QUERN_CACHE;
  if (platform === "win32") return join(environment.LOCALAPPDATA ?? join(homedir(), "AppData", "Local"), "quern");
  if (platform === "darwin") return join(homedir(), "Library", "Caches", "quern");
  return join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "quern");
}

/** The folders of the cache, and the names of Quern's entries in each. */
export const CACHE_PARTS = {
  /** Compiled programs, by hash; with a suffix during a build. */
  programs: /^[0-9a-f]{16,}(\..+)?$/,
  /** npm packages, `name@version`. */
  npm: /^(\.download-.+|\.?[^.][^/]*@\d[^/]*)$/,
  /** Models of the hub, `owner+name`. */
  models: /^[^/]+\+[^/]+$/,
  /** Data sets of the hub, `owner+name`. */
  datasets: /^[^/]*\+[^/]+$/,
  /** What folders of task files define, by hash of the folder's path. */
  tasks: /^\.?[0-9a-f]{32}(\..+\.tmp)?$/,
  /** Completions of judges, by hash of the request. */
  judge: /^\.?[0-9a-f]{64}\.json(\..+\.tmp)?$/,
} as const satisfies Readonly<Record<string, RegExp>>;

/** Marks a folder as a cache for backup programs and for `quern cache --clear` (bford.info/cachedir). */
export const CACHE_TAG = "CACHEDIR.TAG";
const SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55";

/**
 * Tags an empty folder of the cache. A folder that already contains files belongs to someone else and is never cleared.
 */
export async function tagCacheFolder(folder: string): Promise<void> {
  if ((await readdir(folder)).length > 0) return;
  const text = `${SIGNATURE}\n# Made by Quern. Everything in it can be fetched or made again: quern cache --clear\n`;
  await writeFile(join(folder, CACHE_TAG), text, { flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
}

/** True for a folder (not a link to one) that is tagged or is in the system's default cache folder. */
export async function isCachePart(folder: string): Promise<boolean> {
  if (!(await lstat(folder)).isDirectory()) return false;
  if (!process.env.QUERN_CACHE) return true;
  const text = await readFile(join(folder, CACHE_TAG), "utf8").catch(() => "");
  return text.startsWith(SIGNATURE);
}
