/**
 * @file Remote files that must lie on disk to be read (Parquet from its end, JSONL by the documents' reader): fetched
 * once into the cache and kept there under a name that its address gives.
 */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { cacheFolder } from "../cache-folder.js";
import { createAtomicFile, makeFolder } from "./atomic.js";
import { type LocationOptions, readLocation } from "./location.js";

/**
 * The path of a remote file on this disk; fetches it where it is not there yet.
 *
 * @throws QuernError where it cannot be fetched or written
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
