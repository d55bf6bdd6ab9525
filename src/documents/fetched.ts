/**
 * @file Caches remote files that can only be read from disk: Parquet, which is read from its end, and JSONL. Each is fetched
 * once; its name in the cache is a hash of its URL.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { cacheFolder } from "../cache-folder.js";
import { createAtomicFile, makeFolder } from "./atomic.js";
import { type LocationOptions, readLocation } from "./location.js";

/**
 * Returns the local path of a remote file, and fetches it on first use.
 *
 * @throws QuernError if it cannot be fetched or written
 */
export async function fetchedFile(location: string, options: LocationOptions = {}): Promise<string> {
  const name = createHash("sha256").update(location).digest("hex").slice(0, 16);
  const folder = join(cacheFolder(options.environment ?? process.env), "fetched", name);
  const path = join(folder, basename(new URL(location).pathname));
  if (
    await stat(path).then(
      () => true,
      () => false,
    )
  )
    return path;
  await makeFolder(folder);
  const file = await createAtomicFile(path);
  try {
    for await (const bytes of readLocation(location, options)) await file.write(bytes);
    await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
  return path;
}
