/**
 * @file The folder of compiled programs. What lies in it is loaded and run, so it must be its owner's alone.
 *
 * A program is a folder named by the hash of all that made it. It is written beside and appears by one rename, so that a
 * crash or a second process never leaves half of one; the digest beside the library tells what a crash of the whole
 * machine (or a full disk, or a hand) did to it, and such a one is built again.
 */
import { createHash } from "node:crypto";
import {
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { cpus } from "node:os";
import { dirname, join, parse, resolve, sep } from "node:path";
import { CACHE_TAG, cacheFolder, tagCacheFolder } from "../cache-folder.js";
import { fileError, QuernError } from "../errors.js";

/** A build that has not come to its end after so long was killed; milliseconds. */
const ABANDONED = 3_600_000;
const DIGEST = "sha256";
const OTHERS_WRITE = 0o022;
/** Of a folder where nobody can move what is another's. */
const STICKY = 0o1000;

/** The folder of compiled programs. */
export function programsFolder(): string {
  return join(cacheFolder(), "programs");
}

const hasOwners = process.getuid !== undefined;
const mine = (uid: number) => process.getuid === undefined || uid === process.getuid();
const othersWrite = (mode: number) => process.getuid !== undefined && (mode & OTHERS_WRITE) !== 0;

const ELSEWHERE = "set QUERN_CACHE to a folder of your own";

/**
 * The programs' folder, made if it is not there.
 * @throws QuernError if it is another user's, if others may write to it or put another in its place, or it cannot be made
 */
export async function ownProgramsFolder(): Promise<string> {
  const folder = resolve(programsFolder());
  try {
    await makePrivateFolder(folder);
    if (!hasOwners) return folder;
    await checkWay(folder);
    const { uid, mode } = await stat(folder);
    if (!mine(uid)) {
      throw new QuernError(`${folder} belongs to another user, and programs in it would be run; ${ELSEWHERE}`);
    }
    if (othersWrite(mode)) {
      throw new QuernError(
        `others can write to ${folder} (mode ${(mode & 0o777).toString(8)}), and programs in it would be run; ` +
          `look what lies there, then chmod 700 ${folder}, or ${ELSEWHERE}`,
      );
    }
    await tagCacheFolder(folder);
  } catch (error) {
    const told = fileError(error, "use the cache folder", folder);
    if (told === error || !(told instanceof QuernError)) throw told;
    throw new QuernError(`${told.message}, or ${ELSEWHERE}`, { cause: error });
  }
  return folder;
}

/** Node's own recursive mkdir never returns where a file system refuses new folders with ENOENT, as /proc does. */
async function makePrivateFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makePrivateFolder(dirname(path));
    // Another process may have made it in the meantime.
    await mkdir(path, { mode: 0o700 }).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== "EEXIST") throw again;
    });
  }
}

/** Links in links that are followed; the system's own bound. */
const MOST_LINKS = 40;

/**
 * Checks every folder from the root down to `path`, through symbolic links: who can write to one of them can put another
 * folder in the place of what is under it.
 */
async function checkWay(path: string, links = 0): Promise<void> {
  let place = parse(path).root;
  await checkPlace(place);
  const names = path
    .slice(place.length)
    .split(sep)
    .filter((name) => name !== "");
  for (const [i, name] of names.entries()) {
    const next = join(place, name);
    const found = await lstat(next);
    if (found.isSymbolicLink()) {
      if (links >= MOST_LINKS) throw new QuernError(`${path} is reached by too many symbolic links; ${ELSEWHERE}`);
      if (!trusted(found.uid))
        throw new QuernError(
          `${next} is a link of another user on the way to programs that would be run; ${ELSEWHERE}`,
        );
      return checkWay(resolve(place, await readlink(next), ...names.slice(i + 1)), links + 1);
    }
    // The folder of programs itself has rules of its own.
    if (i < names.length - 1) await checkPlace(next);
    place = next;
  }
}

const trusted = (uid: number) => mine(uid) || uid === 0;

async function checkPlace(place: string): Promise<void> {
  const { uid, gid, mode } = await lstat(place);
  if (!trusted(uid)) {
    throw new QuernError(
      `${place} belongs to another user, who could change the programs under it that would be run; ${ELSEWHERE}`,
    );
  }
  if ((mode & STICKY) !== 0) return; // there only a folder's owner can move it
  // Some systems give each user a group of the same number, and folders that it may write to.
  const ownGroup = gid === process.getgid?.() && gid === process.getuid?.();
  const who = (mode & 0o002) !== 0 ? "everyone" : (mode & 0o020) !== 0 && !ownGroup ? "a group" : null;
  if (who === null) return;
  const how = who === "everyone" ? "o-w" : "g-w";
  throw new QuernError(
    `${who} can write to ${place}, above programs that would be run; chmod ${how} ${place}, or ${ELSEWHERE}`,
  );
}

/** True if the files are there, are their owner's alone, and are what was once written. */
async function whole(folder: string, files: readonly string[]): Promise<boolean> {
  try {
    const place = await lstat(folder);
    if (!place.isDirectory() || !mine(place.uid) || othersWrite(place.mode)) return false;
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
    if (!name.includes(".") || name === CACHE_TAG) continue;
    const path = join(programs, name);
    const found = await stat(path).catch(() => null);
    if (found && Date.now() - found.mtimeMs > ABANDONED) await rm(path, { recursive: true, force: true });
  }
}

/** What is made is tuned for a processor by a compiler: another one of either makes its own. */
export function keyOf(parts: readonly unknown[]): string {
  const machine = [process.platform, process.arch, cpus()[0]?.model ?? ""];
  return createHash("sha256")
    .update(JSON.stringify([...parts, machine]))
    .digest("hex")
    .slice(0, 32);
}

/** Builds under way in this process: who wants the same waits for it. */
const building = new Map<string, ReturnType<typeof cachedProgram>>();

/** `cachedProgram`, once at a time for each key. */
export function cachedOnce(...[key, files, make]: Parameters<typeof cachedProgram>): ReturnType<typeof cachedProgram> {
  const path = join(programsFolder(), key);
  let result = building.get(path);
  if (!result) {
    result = cachedProgram(key, files, make);
    building.set(path, result);
    const forget = () => building.delete(path);
    result.then(forget, forget);
  }
  return result;
}
