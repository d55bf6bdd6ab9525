/**
 * @file Cache of compiled programs. Files in it are loaded and run, so only their owner may be able to write there.
 *
 * A program is a folder named by the hash of everything it depends on. It is written to a temporary folder and renamed into
 * place, so a crash or a second process never leaves a partial one. A digest detects damage by a machine crash, a full disk or
 * an edit; a damaged program is rebuilt.
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

/** Milliseconds after which an unfinished build counts as killed. */
const ABANDONED = 3_600_000;
const DIGEST = "sha256";
const OTHERS_WRITE = 0o022;
/** Mode bit of a folder where users can only move their own files. */
const STICKY = 0o1000;

/** The folder of compiled programs. */
export function programsFolder(): string {
  return join(cacheFolder(), "programs");
}

const hasOwners = process.getuid !== undefined;
const mine = (uid: number) => process.getuid === undefined || uid === process.getuid();
const othersWrite = (mode: number) => process.getuid !== undefined && (mode & OTHERS_WRITE) !== 0;

const ELSEWHERE = "set QUERN_CACHE to a folder that only you can write to";

/**
 * Returns the programs' folder, after creating it if needed.
 * @throws QuernError if another user owns it, others can write to it or replace it, or it cannot be created
 */
export async function ownProgramsFolder(): Promise<string> {
  const folder = resolve(programsFolder());
  try {
    await makePrivateFolder(folder);
    if (!hasOwners) return folder;
    await checkWay(folder);
    const { uid, mode } = await stat(folder);
    if (!mine(uid)) {
      throw new QuernError(`${folder} belongs to another user, but Quern runs programs from it; ${ELSEWHERE}`);
    }
    if (othersWrite(mode)) {
      throw new QuernError(
        `others can write to ${folder} (mode ${(mode & 0o777).toString(8)}), but Quern runs programs from it; ` +
          `check its contents, then chmod 700 ${folder}, or ${ELSEWHERE}`,
      );
    }
    await tagCacheFolder(folder);
  } catch (error) {
    const explained = fileError(error, "use the cache folder", folder);
    if (explained === error || !(explained instanceof QuernError)) throw explained;
    throw new QuernError(`${explained.message}, or ${ELSEWHERE}`, { cause: error });
  }
  return folder;
}

/** Creates a folder and its parents. Node's recursive mkdir never returns on file systems that fail with ENOENT, such as /proc. */
async function makePrivateFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makePrivateFolder(dirname(path));
    // Another process may have created it in the meantime.
    await mkdir(path, { mode: 0o700 }).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== "EEXIST") throw again;
    });
  }
}

/** Symbolic links followed at most; Linux has the same limit. */
const MAX_LINKS = 40;

/**
 * Checks every folder from the root down to `path`, through symbolic links. Whoever can write to one of them can
 * replace the folders below it.
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
      if (links >= MAX_LINKS) throw new QuernError(`too many symbolic links on the path ${path}; ${ELSEWHERE}`);
      if (!trusted(found.uid))
        throw new QuernError(
          `${next} is another user's symbolic link on the path to programs that Quern runs; ${ELSEWHERE}`,
        );
      return checkWay(resolve(place, await readlink(next), ...names.slice(i + 1)), links + 1);
    }
    // The programs' folder itself is checked by the caller, with stricter rules.
    if (i < names.length - 1) await checkPlace(next);
    place = next;
  }
}

const trusted = (uid: number) => mine(uid) || uid === 0;

async function checkPlace(place: string): Promise<void> {
  const { uid, gid, mode } = await lstat(place);
  if (!trusted(uid)) {
    throw new QuernError(
      `${place} belongs to another user, who could replace the programs below it that Quern runs; ${ELSEWHERE}`,
    );
  }
  if ((mode & STICKY) !== 0) return; // only a folder's owner can move it there
  // Some systems give each user a private group with the same number, and make folders group-writable.
  const ownGroup = gid === process.getgid?.() && gid === process.getuid?.();
  const who = (mode & 0o002) !== 0 ? "everyone" : (mode & 0o020) !== 0 && !ownGroup ? "a group" : null;
  if (who === null) return;
  const how = who === "everyone" ? "o-w" : "g-w";
  throw new QuernError(
    `${who} can write to ${place}, above programs that Quern runs; chmod ${how} ${place}, or ${ELSEWHERE}`,
  );
}

/** Whether the files exist, only their owner can write them, and their digest matches. */
async function isIntact(folder: string, files: readonly string[]): Promise<boolean> {
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
 * Returns the folder of the program `key`, built by `make` if it is missing or damaged.
 * @param files names of the files that the digest covers
 * @param make writes these files, and any others, into the folder passed to it
 */
export async function cachedProgram(
  key: string,
  files: readonly string[],
  make: (folder: string) => Promise<void>,
): Promise<{ readonly folder: string; readonly cached: boolean }> {
  const programs = await ownProgramsFolder();
  const folder = join(programs, key);
  if (await isIntact(folder, files)) return { folder, cached: true };
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
    // Another process was faster with the same program, or a damaged one is in the way and must be removed.
    if (await isIntact(folder, files)) return;
    const old = await mkdtemp(`${folder}.`);
    await rename(folder, join(old, "damaged")).catch(() => {
      throw error;
    });
    await rm(old, { recursive: true, force: true });
    await rename(temporary, folder).catch(async (again) => {
      if (!(await isIntact(folder, files))) throw again;
    });
  }
}

/** Removes what killed builds left: folders with a temporary name and an old modification time. */
async function removeAbandoned(programs: string): Promise<void> {
  for (const name of await readdir(programs)) {
    if (!name.includes(".") || name === CACHE_TAG) continue;
    const path = join(programs, name);
    const found = await stat(path).catch(() => null);
    if (found && Date.now() - found.mtimeMs > ABANDONED) await rm(path, { recursive: true, force: true });
  }
}

/** Cache key of `parts` and this machine: programs are tuned for its processor. */
export function keyOf(parts: readonly unknown[]): string {
  const machine = [process.platform, process.arch, cpus()[0]?.model ?? ""];
  return createHash("sha256")
    .update(JSON.stringify([...parts, machine]))
    .digest("hex")
    .slice(0, 32);
}

/** Builds that are running in this process; callers with the same key wait for them. */
const building = new Map<string, ReturnType<typeof cachedProgram>>();

/** `cachedProgram`, with one build at a time per key. */
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
