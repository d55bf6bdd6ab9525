/** @file Streams the lines of text files as strings, in constant memory. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { compressionByName, isFolder, LONGEST_LINE, readBytes, textOf } from "../documents/index.js";
import { fileError, QuernError } from "../errors.js";

/** Yields the lines of a file, decompressed, or of a folder's files in name order; nothing if the path does not exist. */
export async function* linesOfFile(path: string, signal?: AbortSignal): AsyncGenerator<string> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) {
    const names = (await readdir(path)).filter((name) => !name.startsWith(".")).sort();
    for (const name of names) yield* readLines(join(path, name), signal);
  } else if (found !== undefined) yield* readLines(path, signal);
}

/** Yields the lines of a file, decompressed. @throws QuernError if it cannot be read or a line exceeds the limit */
export async function* readLines(path: string, signal?: AbortSignal): AsyncGenerator<string> {
  if (await isFolder(path)) throw new QuernError(`${path} is a folder, not a file of lines`, { exitCode: 2 });
  /** Chunks of a line whose end has not been read yet. */
  let rest: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of readBytes(path, compressionByName(path).compression, signal)) {
      const end = chunk.lastIndexOf(10) + 1;
      if (end > 0) {
        yield* textOf(Buffer.concat([...rest, chunk.subarray(0, end - 1)])).split("\n");
        rest = [];
        length = 0;
      }
      rest.push(chunk.subarray(end));
      length += chunk.length - end;
      if (length > LONGEST_LINE) {
        throw new QuernError(`${path} has a line of more than ${LONGEST_LINE >> 20} MiB; is it a text file?`);
      }
    }
  } catch (error) {
    throw fileError(error, "read", path);
  }
  if (length > 0) yield textOf(Buffer.concat(rest));
}
