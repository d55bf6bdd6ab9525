/** @file The lines of text files, as strings, in memory that does not grow with the file. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { packingOf, readBytes, textOf } from "../documents/index.js";
import { fileError } from "../errors.js";

/** The lines of a file, unpacked, or of all files of a folder by their names; none of one that is not there. */
export async function* linesOfFile(path: string, signal?: AbortSignal): AsyncGenerator<string> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) {
    const names = (await readdir(path)).filter((name) => !name.startsWith(".")).sort();
    for (const name of names) yield* readLines(join(path, name), signal);
  } else if (found !== undefined) yield* readLines(path, signal);
}

/** The lines of a file. Throws a `QuernError` where it cannot be read. */
export async function* readLines(path: string, signal?: AbortSignal): AsyncGenerator<string> {
  let rest = Buffer.alloc(0);
  try {
    for await (const chunk of readBytes(path, packingOf(path).compression, signal)) {
      const bytes = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
      const end = bytes.lastIndexOf(10) + 1;
      if (end > 0) yield* textOf(bytes.subarray(0, end - 1)).split("\n");
      rest = bytes.subarray(end);
    }
  } catch (error) {
    throw fileError(error, "read", path);
  }
  if (rest.length > 0) yield textOf(rest);
}
