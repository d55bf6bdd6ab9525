/** @file What identifies a model on disk, so that results of another version of it are not taken for its own. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/**
 * Returns the path of a model with the sizes and times of its files. Training again changes it.
 * @param path a model folder or file
 */
export async function modelIdentity(path: string): Promise<readonly unknown[]> {
  const found = await stat(path);
  if (!found.isDirectory()) return [path, found.size, found.mtimeMs];
  const files: unknown[] = [path];
  for (const name of (await readdir(path)).sort()) {
    const { size, mtimeMs } = await stat(join(path, name));
    files.push([name, size, mtimeMs]);
  }
  return files;
}
