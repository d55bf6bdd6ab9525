/**
 * @file The folder of compiled programs. What lies in it is loaded and run, so it must be its owner's alone.
 *
 * A program is a folder named by the hash of all that made it. It is written beside and appears by one rename, so that a
 * crash or a second process never leaves half of one; the digest beside the library tells what a crash of the whole
 * machine (or a full disk, or a hand) did to it, and such a one is built again.
 */
import { createHash } from "node:crypto";
import { lstat, mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { cacheFolder } from "../../cache-folder.js";
import { fileError, QuernError } from "../../errors.js";

/** A build that has not come to its end after so long was killed; milliseconds. */
const ABANDONED = 3_600_000;
const DIGEST = "sha256";
const OTHERS_WRITE = 0o022;

/** The folder of compiled programs. */
export function programsFolder(): string {
  return join(cacheFolder(), "programs");
}

const mine = (uid: number) => process.getuid === undefined || uid === process.getuid();
const othersWrite = (mode: number) => process.getuid !== undefined && (mode & OTHERS_WRITE) !== 0;

/**
 * The programs' folder, made if it is not there.
 * @throws QuernError if it is another user's, or others may write to it
 */
export async function ownProgramsFolder(): Promise<string> {
  const folder = programsFolder();
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { uid, mode } = await stat(folder);
    if (!mine(uid)) {
      throw new QuernError(`${folder} belongs to another user, and programs in it would be run; set QUERN_CACHE`);
    }
    if (othersWrite(mode)) {
      throw new QuernError(
        `others can write to ${folder} (mode ${(mode & 0o777).toString(8)}), and programs in it would be run; ` +
          `look what lies there, then chmod 700 ${folder}, or set QUERN_CACHE`,
      );
    }
    const above = await stat(dirname(folder));
    // Who can write there can put another folder in the place of this one, unless the sticky bit keeps it.
    if (process.getuid !== undefined && (above.mode & 0o1002) === 0o002) {
      throw new QuernError(
        `everyone can write to ${dirname(folder)}; chmod o-w ${dirname(folder)}, or set QUERN_CACHE`,
      );
    }
  } catch (error) {
    throw fileError(error, "use the cache folder", folder);
  }
  return folder;
}

/** True if the files are there, are their owner's alone, and are what was once written. */
async function whole(folder: string, files: readonly string[]): Promise<boolean> {
  try {
    for (const name of files) {
      const found = await lstat(join(folder, name));
      if (!found.isFile() || !mine(found.uid) || othersWrite(found.mode)) return false;
    }
    return (await digestOf(folder, files)) === (await readFile(join(folder, DIGEST), "utf8"));
  } catch {
    return false;
  }
}

async function digestOf(folder: string, files: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const bytes of await Promise.all(files.map((name) => readFile(join(folder, name))))) hash.update(bytes);
  return hash.digest("hex");
}

/**
 * The folder of the program `key`, built by `make` if it is not there whole.
 * @param files what is trusted when it is found again
 * @param make writes these files, among others, into the folder that it is given
 */
export async function cachedProgram(
  key: string,
  files: readonly string[],
  make: (folder: string) => Promise<void>,
): Promise<{ readonly folder: string; readonly cached: boolean }> {
  const programs = await ownProgramsFolder();
  const folder = join(programs, key);
  if (await whole(folder, files)) return { folder, cached: true };
  let temporary: string | undefined;
  try {
    await removeAbandoned(programs);
    temporary = await mkdtemp(`${folder}.`);
    await make(temporary);
    await writeFile(join(temporary, DIGEST), await digestOf(temporary, files));
    for (const name of files) {
      const file = await open(join(temporary, name), "r+");
      await file.sync().finally(() => file.close());
    }
    await publish(temporary, folder, files);
  } catch (error) {
    throw fileError(error, "write", folder);
  } finally {
    if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
  }
  return { folder, cached: false };
}

async function publish(temporary: string, folder: string, files: readonly string[]): Promise<void> {
  try {
    await rename(temporary, folder);
  } catch (error) {
    // Another process was first with the same program, or a spoilt one lies there and makes room.
    if (await whole(folder, files)) return;
    const old = await mkdtemp(`${folder}.`);
    await rename(folder, join(old, "spoilt")).catch(() => {
      throw error;
    });
    await rm(old, { recursive: true, force: true });
    await rename(temporary, folder).catch(async (again) => {
      if (!(await whole(folder, files))) throw again;
    });
  }
}

/** What a killed build left behind: a folder with a temporary name that has not changed for long. */
async function removeAbandoned(programs: string): Promise<void> {
  for (const name of await readdir(programs)) {
    if (!basename(name).includes(".")) continue;
    const path = join(programs, name);
    const found = await stat(path).catch(() => null);
    if (found && Date.now() - found.mtimeMs > ABANDONED) await rm(path, { recursive: true, force: true });
  }
}
