/**
 * @file Finds the files of a split in a folder of data: `test.jsonl`; shards, `test-00000-of-00002.parquet`; or a folder `test`
 * with files. They may also be in a folder `data`, as in a clone of the hub.
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { QuernError } from "../../errors.js";
import { ROW_EXTENSIONS } from "./row-files.js";

const EXTENSION = new RegExp(
  `(?:${ROW_EXTENSIONS.map((extension) => `\\${extension}`).join("|")})(?:\\.gz|\\.zst)?$`,
  "i",
);
const SHARD = /^(.+)-(\d{5})-of-(\d{5})(?:-[0-9a-f]+)?$/;

/**
 * Returns the files of a split in order; undefined if there are none.
 * @throws QuernError if a shard is missing
 */
export async function splitFiles(folder: string, split: string): Promise<readonly string[] | undefined> {
  return (await filesIn(folder, split)) ?? (await filesIn(join(folder, "data"), split));
}

async function filesIn(folder: string, split: string): Promise<readonly string[] | undefined> {
  const names = await rowFilesIn(folder);
  // Formats in the order of the list, where several have the split.
  for (const extension of ROW_EXTENSIONS) {
    const own = names.filter((name) => EXTENSION.exec(name)?.[0].toLowerCase().startsWith(extension));
    const whole = own.find((name) => name.replace(EXTENSION, "") === split);
    if (whole !== undefined) return [join(folder, whole)];
    const shards = own.filter((name) => SHARD.exec(name.replace(EXTENSION, ""))?.[1] === split);
    if (shards.length > 0) return complete(shards, folder);
  }
  const within = await rowFilesIn(join(folder, split));
  return within.length === 0 ? undefined : within.map((name) => join(folder, split, name));
}

function complete(shards: readonly string[], folder: string): readonly string[] {
  const parts = shards.map((name) => SHARD.exec(name.replace(EXTENSION, ""))!);
  const [, split, , total] = parts[0]!;
  for (let number = 0; number < Number(total); number++) {
    const digits = String(number).padStart(5, "0");
    if (parts.some((part) => part[2] === digits && part[3] === total)) continue;
    throw new QuernError(`the file ${digits} of ${total} of the split ${split} is missing in ${folder}`);
  }
  return shards.map((name) => join(folder, name));
}

/** Returns the names of a folder's files of rows, sorted; none if there is no such folder. */
export async function rowFilesIn(folder: string): Promise<readonly string[]> {
  if (!((await stat(folder).catch(() => undefined))?.isDirectory() ?? false)) return [];
  const names = (await readdir(folder)).filter((name) => EXTENSION.test(name) && !name.startsWith("."));
  return names.sort();
}
