/** @file A JSONL file that only grows: each line is on disk before its writer continues, and survives a kill. */
import { type FileHandle, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileError } from "../errors.js";
import { makeFolder } from "./atomic.js";

export interface AppendFile {
  readonly path: string;
  /** The text of the file when it was opened; "" for a new file. */
  readonly before: string;
  /** Appends one line of JSON per row; when it returns, the rows survive a kill and a power failure. */
  append(rows: readonly object[]): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens a file to append to, or creates it. A last line that a kill cut off stays, and the next row starts a new line.
 * @param check called with the first line of a file that is not empty; throws if the file is not of the wanted kind
 * @throws QuernError if the file cannot be read or written
 */
export async function openAppendFile(path: string, check: (firstLine: string) => void = () => {}): Promise<AppendFile> {
  let handle: FileHandle;
  let before: string;
  try {
    await makeFolder(dirname(path));
    before = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    const first = before.split("\n", 1)[0];
    if (first !== "") check(first);
    handle = await open(path, "a");
  } catch (error) {
    throw fileError(error, "write", path);
  }
  let startsLine = before === "" || before.endsWith("\n");
  // One write after the other, so that a failed one cannot mix two lines.
  let last: Promise<unknown> = Promise.resolve();
  const write = async (rows: readonly object[]) => {
    const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    const text = `${startsLine ? "" : "\n"}${lines}`;
    startsLine = false;
    try {
      await handle.appendFile(text);
      await handle.datasync();
    } catch (error) {
      throw fileError(error, "write", path);
    }
    startsLine = true;
  };
  return {
    path,
    before,
    append(rows) {
      const written = last.then(() => write(rows));
      last = written.catch(() => {});
      return written;
    },
    async close() {
      await last;
      await handle.close();
    },
  };
}
