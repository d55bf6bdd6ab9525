/** @file Keeps the completions of judges by the content of the request, one file each, so that no one pays twice. */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder, tagCacheFolder } from "../../../cache-folder.js";
import { writeFileAtomic } from "../../../documents/index.js";
import { fileError } from "../../../errors.js";
import { openSealed, sealed } from "../../../json-file.js";
import type { Completion } from "../parsers.js";

/** A stored completion with the tokens that it took. */
export interface StoredCompletion extends Completion {
  readonly finish_reason: string | null;
  readonly prompt_tokens: number | null;
  readonly completion_tokens: number | null;
}

export interface CompletionCache {
  /** Returns undefined for an unknown key, or a damaged file. */
  get(key: string): Promise<StoredCompletion | undefined>;
  set(key: string, completion: StoredCompletion): Promise<void>;
}

/**
 * Opens a cache.
 * @param folder default the folder `judge` of Quern's cache
 * @param fresh whether to ask again, and replace what is stored
 */
export async function openCompletionCache(folder?: string, { fresh = false } = {}): Promise<CompletionCache> {
  const at = folder ?? join(cacheFolder(), "judge");
  try {
    await mkdir(at, { recursive: true });
    if (folder === undefined) await tagCacheFolder(at);
  } catch (error) {
    throw fileError(error, "write", at);
  }
  const pathOf = (key: string) => join(at, `${key}.json`);
  return {
    async get(key) {
      if (fresh) return undefined;
      const text = await readFile(pathOf(key), "utf8").catch(() => "");
      return openSealed<StoredCompletion>(text);
    },
    set: (key, completion) => writeFileAtomic(pathOf(key), sealed(completion)),
  };
}
