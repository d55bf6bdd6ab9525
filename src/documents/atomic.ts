/**
 * @file Atomic files and folders. Each is written under a temporary name in the same folder, flushed to disk and renamed.
 * If the process is killed or the disk fills up, the old version remains, or none.
 */
import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileError, QuernError } from "../errors.js";

export type FileData = string | NodeJS.ArrayBufferView;

/** A file that is being written; `commit` gives it its name. */
export interface AtomicFile {
  /** Its final path. */
  readonly path: string;
  /** Bytes written so far. */
  readonly bytes: number;
  /** Appends; a string is written as UTF-8. */
  write(data: FileData): Promise<void>;
  /** Overwrites bytes at a position, for headers that are known only at the end. Does not change where `write` appends. */
  writeAt(data: NodeJS.ArrayBufferView, position: number): Promise<void>;
  /** Flushes, closes and renames. */
  commit(): Promise<void>;
  /** Closes and removes the file; does nothing after `commit`. */
  discard(): Promise<void>;
}

/**
 * Makes a folder and its parents. Node's recursive mkdir never returns if a file system refuses new folders with ENOENT,
 * as /proc does.
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

// Not the process id: two machines that share a folder may use the same one.
const own = randomBytes(6).toString("hex");
let sequence = 0;

/** Returns a unique name next to `path`. It is hidden, so that folder listings skip files of killed processes. */
export function temporaryName(path: string): string {
  sequence += 1;
  return join(dirname(path), `.${basename(path)}.${own}-${sequence}.tmp`);
}

/** True for a name that `temporaryName` made. */
export const isLeftover = (name: string): boolean => /^\..+\.[0-9a-f]{12}-\d+\.tmp$/.test(name);

/**
 * Removes the temporary files and folders (`temporaryName`) of killed processes from a folder that no other process writes
 * to. Does not look into its other folders, which may contain a user's files.
 */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (isLeftover(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** Creates a file and its parent folders. @throws QuernError if it cannot be written */
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
    // Closing may also fail on a full disk. The file is removed anyway, and the caller reports the first error.
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
    // One call may write only a part (more than 2 GiB, or a disk that is nearly full).
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

/** Writes a whole file; on failure the old one remains. */
export async function writeFileAtomic(path: string, data: FileData): Promise<void> {
  const file = await createAtomicFile(path);
  await file.write(data);
  await file.commit();
}

/** Renames a folder to `path`. An existing folder is moved aside first, because a rename cannot replace a non-empty one. */
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
 * Calls `fill` with a new temporary folder next to `path`. When `fill` returns, the folder replaces `path`; if it throws,
 * the folder is removed.
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
    const failure = fileError(error, "write", path);
    // The message names the final path, not the temporary one.
    if (!(failure instanceof QuernError) || !failure.message.includes(temporary)) throw failure;
    throw new QuernError(failure.message.replaceAll(temporary, path), { exitCode: failure.exitCode, cause: failure });
  }
}
