/**
 * @file Files and folders that are there whole or not at all. Each is written under a temporary name beside its own,
 * flushed to the disk and renamed, so that a process killed at any moment, or a full disk, leaves the old one or none.
 */
import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileError, QuernError } from "../errors.js";

export type FileData = string | NodeJS.ArrayBufferView;

/** A file that is being written; it takes its name at `commit`. */
export interface AtomicFile {
  /** The name that it will have. */
  readonly path: string;
  /** Bytes written so far. */
  readonly bytes: number;
  /** Appends; a string is written as UTF-8. */
  write(data: FileData): Promise<void>;
  /** Overwrites bytes at a position from the start, for headers that are known last; does not move the end. */
  writeAt(data: NodeJS.ArrayBufferView, position: number): Promise<void>;
  /** Flushes, closes and renames. */
  commit(): Promise<void>;
  /** Closes and removes what was written; does nothing after `commit`. */
  discard(): Promise<void>;
}

/**
 * Makes a folder and those above it. Node's own recursive mkdir never returns where a file system refuses new folders
 * with ENOENT, as /proc does.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    // Another process may have made it in the meantime.
    await mkdir(path).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== "EEXIST") throw again;
    });
  }
}

// Not the process's number: on a folder that machines share, two of them may have the same.
const own = randomBytes(6).toString("hex");
let sequence = 0;

/** A name beside `path` that no other process or call uses, hidden so that folder listings skip what a kill left. */
export function temporaryName(path: string): string {
  sequence += 1;
  return join(dirname(path), `.${basename(path)}.${own}-${sequence}.tmp`);
}

/** True for a name of `temporaryName`. */
export const isLeftover = (name: string): boolean => /^\..+\.[0-9a-f]{12}-\d+\.tmp$/.test(name);

/**
 * Removes what killed processes left in a folder that nobody else writes to: files and folders with names of
 * `temporaryName`. Does not look into other folders, which may be somebody's work.
 */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (isLeftover(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Begins a file; makes the folders that it lies in. Throws a `QuernError` when it cannot be written. */
export async function createAtomicFile(path: string): Promise<AtomicFile> {
  const temporary = temporaryName(path);
  let handle: FileHandle;
  try {
    await makeFolder(dirname(path));
    handle = await open(temporary, "wx");
  } catch (error) {
    throw fileError(error, "write", path);
  }
  let bytes = 0;
  let isOpen = true;

  const close = async () => {
    if (!isOpen) return;
    isOpen = false;
    await handle.close();
  };
  const discard = async () => {
    // Closing may fail on a full disk as well; the file goes all the same, and the first error is the one to tell.
    await close().catch(() => {});
    await rm(temporary, { force: true });
  };
  const guarded = async (work: () => Promise<void>) => {
    try {
      await work();
    } catch (error) {
      await discard();
      throw fileError(error, "write", path);
    }
  };
  const writeAll = async (data: NodeJS.ArrayBufferView, position: number) => {
    // One write call may take less than it was given (more than 2 GiB, or a disk about to be full).
    const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    for (let done = 0; done < view.length; ) {
      const { bytesWritten } = await handle.write(view, done, Math.min(view.length - done, 1 << 30), position + done);
      done += bytesWritten;
    }
  };
  return {
    path,
    get bytes() {
      return bytes;
    },
    write: (data) =>
      guarded(async () => {
        const view = typeof data === "string" ? Buffer.from(data, "utf8") : data;
        const position = bytes;
        bytes += view.byteLength;
        await writeAll(view, position);
      }),
    writeAt: (data, position) => guarded(() => writeAll(data, position)),
    commit: () =>
      guarded(async () => {
        await handle.sync();
        await close();
        await rename(temporary, path);
      }),
    discard: async () => {
      if (isOpen) await discard();
    },
  };
}

/** Writes a whole file, or leaves what was there. */
export async function writeFileAtomic(path: string, data: FileData): Promise<void> {
  const file = await createAtomicFile(path);
  await file.write(data);
  await file.commit();
}

/** Gives a folder the name of one that may be there: that one is moved aside first, since a rename cannot replace a full one. */
export async function replaceFolder(temporary: string, path: string): Promise<void> {
  try {
    await rename(temporary, path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "ENOTEMPTY" && code !== "EEXIST" && code !== "EPERM") throw error;
    const aside = temporaryName(path);
    await rename(path, aside);
    await rename(temporary, path);
    await rm(aside, { recursive: true, force: true });
  }
}

/**
 * Calls `fill` with a fresh temporary folder beside `path` and renames it to `path` when `fill` returns; removes it when
 * `fill` throws. A folder that was there is replaced.
 */
export async function writeFolderAtomic<T>(path: string, fill: (temporary: string) => Promise<T>): Promise<T> {
  const temporary = temporaryName(path);
  try {
    await makeFolder(temporary);
    const result = await fill(temporary);
    await replaceFolder(temporary, path);
    return result;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    const told = fileError(error, "write", path);
    // What failed inside is told by the name that it would have had.
    if (!(told instanceof QuernError) || !told.message.includes(temporary)) throw told;
    throw new QuernError(told.message.replaceAll(temporary, path), { exitCode: told.exitCode, cause: told });
  }
}
