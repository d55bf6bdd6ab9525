/**
 * @file Claims outputs, so that no user file is overwritten. Every verb claims its output first. The claim fails if the output
 * overlaps an input, contains other files, or is being written by another process. Only files that the same verb wrote
 * are ever removed.
 *
 *     <folder>/.quern.json     the record: verb, whether it finished, and then its files
 *     <folder>/.quern.lock     locked while a process writes
 *
 * For an output file, both are next to it, as `.<name>.quern.json` and `.<name>.quern.lock`.
 */
import { lstat, readdir, readFile, realpath, rm, rmdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { fileError, QuernError } from "../errors.js";
import { version } from "../version.js";
import { isLeftover, makeFolder, writeFileAtomic } from "./atomic.js";
import { isHolder, type Lock, takeLock } from "./lock.js";

/** The output that a verb will write. */
export interface OutputRequest {
  /** The verb, such as `data clean`. */
  readonly verb: string;
  readonly out: string;
  /** Input files and folders; URLs are ignored. */
  readonly inputs: readonly string[];
  /** Files of an output folder; undefined if the output is a file. */
  readonly layout?: OutputLayout;
  /** For an output file: names of further files that are written next to it. */
  readonly beside?: readonly string[];
  /** Whether the finished output of an earlier run may be replaced. */
  readonly force?: boolean;
  /**
   * How `force` works: `remove` (default) first removes the earlier run's files; `reuse` leaves that to the verb, which may
   * keep those that are still valid.
   */
  readonly replace?: "remove" | "reuse";
  /** Whether to continue a finished output, such as a resumed run or a crawl. */
  readonly resume?: boolean;
  /** Whether the output never becomes finished, so that another call can always continue it. */
  readonly open?: boolean;
}

/** The files of an output folder. Only matching files are ever removed. */
export interface OutputLayout {
  /** True for a file that the verb writes. @param path relative to the folder, separated by `/` */
  readonly writes: (path: string) => boolean;
  /** Names of top-level folders that only the verb uses, so that it may replace them as a whole. */
  readonly folders?: RegExp;
}

export interface OutputClaim {
  /** Records that the output is complete, with its files. */
  finish(): Promise<void>;
  /** Releases the lock. If nothing was written, removes the record and folders that the claim made. */
  release(): Promise<void>;
}

const recordSchema = z.object({
  format: z.literal("quern output"),
  verb: z.string(),
  state: z.enum(["unfinished", "finished"]),
  files: z.array(z.string()),
});
type OutputRecord = z.output<typeof recordSchema>;

/** Entries that file systems and desktops create in folders. */
const SYSTEM_FILES = new Set(["lost+found", ".DS_Store"]);
const RECORD = ".quern.json";
const LOCK = ".quern.lock";

/**
 * Claims an output for one call.
 *
 * @throws QuernError (exit code 2) if the output is, contains or is inside an input; contains files that this verb did
 * not write; is finished, without `force`; or is being written by another process
 */
export async function claimOutput(request: OutputRequest): Promise<OutputClaim> {
  try {
    return await (request.layout === undefined ? claimFile(request) : claimFolder(request, request.layout));
  } catch (error) {
    throw fileError(error, "write", request.out);
  }
}

/** Claims the output, calls `work` and, when it returns, records the output as finished. Throws like `claimOutput` and `work`. */
export async function withOutput<T>(request: OutputRequest, work: () => Promise<T>): Promise<T> {
  const claim = await claimOutput(request);
  try {
    const result = await work();
    if (!request.open) await claim.finish();
    return result;
  } finally {
    await claim.release();
  }
}

/** @throws QuernError if `out` is, contains or is inside one of the inputs */
export async function refuseOverlap(out: string, inputs: readonly string[]): Promise<void> {
  const outChain = await chainOf(out);
  for (const input of inputs) {
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(input)) continue; // a URL
    // After a symbolic link, the system resolves `..` differently from `resolve`; both places are protected.
    const places = new Set([resolve(input), await realpath(input).catch(() => resolve(input))]);
    for (const place of places) {
      const inputChain = await chainOf(place);
      if (!inputChain.exists) continue; // the reader reports a missing input
      const inside = outChain.ids.includes(inputChain.ids[0]);
      const contains = outChain.exists && inputChain.ids.includes(outChain.ids[0]);
      if (!inside && !contains) continue;
      const how = inside && contains ? "is" : inside ? "is inside" : "contains";
      throw refusal(`the output ${out} ${how} the input ${input}; choose another place for the output`);
    }
  }
}

/** Returns the device and inode numbers of a path and its parents, starting at the first that exists. */
async function chainOf(path: string): Promise<{ readonly ids: readonly string[]; readonly exists: boolean }> {
  const ids: string[] = [];
  let at = resolve(path);
  let exists = true;
  for (let first = true; ; first = false) {
    const real = await realpath(at).catch(() => undefined);
    if (real === undefined) {
      if (first) exists = false;
    } else {
      at = real;
      const { dev, ino } = await stat(real, { bigint: true });
      ids.push(`${dev}:${ino}`);
    }
    const above = dirname(at);
    if (above === at) return { ids, exists };
    at = above;
  }
}

/** @throws QuernError for `..` after a link or a missing folder, which the system and `resolve` resolve differently */
async function refuseDetour(out: string): Promise<void> {
  const id = (path: string) =>
    stat(path, { bigint: true }).then(
      ({ dev, ino }) => `${dev}:${ino}`,
      () => undefined,
    );
  const parts = out.split(/[\\/]/);
  for (const [i, part] of parts.entries()) {
    const before = parts.slice(0, i + 1).join("/");
    if (part !== ".." || (await id(before)) === (await id(resolve(before)))) continue;
    throw refusal(`the output ${out} has .. after a symbolic link or a missing folder; give its path without ..`);
  }
}

/** Returns the folders that must be made for `path`, including itself, deepest first. */
async function missingFolders(path: string): Promise<string[]> {
  const missing: string[] = [];
  for (let at = resolve(path); (await lstat(at).catch(() => undefined)) === undefined; at = dirname(at)) {
    missing.push(at);
    if (dirname(at) === at) break;
  }
  return missing;
}

/** Removes the empty ones among `folders`, which are ordered deepest first. */
async function removeEmpty(folders: readonly string[]): Promise<void> {
  for (const folder of folders) await rmdir(folder).catch(() => {});
}

/** Removes temporary files of killed calls for the names that `isOurs` accepts. The lock ensures that no one is writing them. */
async function removeLeftoversOf(folder: string, isOurs: (name: string) => boolean): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!isLeftover(name) || !isOurs(name.slice(1, name.lastIndexOf(".", name.length - 5)))) continue;
    const { uid } = await lstat(join(folder, name));
    if (process.getuid !== undefined && uid !== process.getuid()) continue;
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

async function claimFolder(request: OutputRequest, layout: OutputLayout): Promise<OutputClaim> {
  const { verb, out, inputs, force = false, replace = "remove", resume = false } = request;
  await refuseDetour(out);
  await refuseOverlap(out, inputs);
  await refuseDangling(out);
  const made = await missingFolders(out);
  const wasThere = made.length === 0;
  if (wasThere && !(await stat(out)).isDirectory()) throw refusal(`the output ${out} is a file, not a folder`);
  // Checked before writing anything, and again under the lock.
  if (wasThere) await examine(out, request);
  await makeFolder(out);
  const folder = await realpath(out);
  const lock = await lockOrRefuse(join(folder, LOCK), out);
  const recordPath = join(folder, RECORD);
  const write = (state: OutputRecord["state"], files: readonly string[]) =>
    writeRecord(recordPath, { verb, state, files });
  try {
    // A call that was killed while it took an abandoned lock away leaves it under another name.
    await removeLeftoversOf(folder, (name) => name === LOCK);
    const record = await examine(out, request);
    if (record !== undefined) {
      const isOurs = (name: string) => name === RECORD || layout.writes(name) || layout.folders?.test(name) === true;
      await removeLeftoversOf(folder, isOurs);
      const known = record.state === "finished" && !resume ? new Set(record.files) : undefined;
      const ours = await filesOf(folder, layout, known, verb);
      // Cluster nodes may still be writing for a killed call; its executor cleans up once they have ended.
      if (!ours.some((path) => /(^|\/)cluster\//.test(path))) {
        await removeFiles(
          folder,
          ours.filter((path) => path.split("/").some(isLeftover)),
        );
      }
      if (force && replace === "remove") {
        // Recorded before removing any file, so that a kill in between leaves an unfinished output, not half of a finished one.
        await write("unfinished", []);
        await removeFiles(folder, ours);
      }
    }
    if (record?.state !== "finished" || !resume) await write("unfinished", []);
  } catch (error) {
    await lock.release();
    throw error;
  }
  return {
    async finish() {
      await write("finished", await filesOf(folder, layout, undefined, verb));
    },
    async release() {
      const left = await readdir(folder).catch(() => [RECORD, LOCK, "unknown"]);
      const empty = left.every((name) => name === RECORD || name === LOCK || SYSTEM_FILES.has(name));
      if (empty) await rm(recordPath, { force: true });
      await lock.release();
      if (empty) await removeEmpty(made);
    },
  };
}

/** Returns the record of a folder that this verb may write to; undefined if it is empty. @throws QuernError if it may not */
async function examine(
  out: string,
  { verb, force = false, resume = false }: OutputRequest,
): Promise<OutputRecord | undefined> {
  const names = (await readdir(out)).filter((name) => !SYSTEM_FILES.has(name) && !isOwnName(name));
  const record = await readRecord(join(out, RECORD));
  if (record?.verb !== verb) {
    if (names.length === 0) return undefined;
    const whose = record === undefined ? `that quern ${verb} did not write` : `of quern ${record.verb}`;
    throw refusal(
      `the folder ${out} contains files ${whose}, such as ${names[0]}; choose another folder for the output`,
    );
  }
  if (record.state === "finished" && !force && !resume) {
    throw refusal(
      `${out} contains the finished output of an earlier quern ${verb}; give --force to replace it, or choose another folder`,
    );
  }
  return record;
}

/**
 * Returns the verb's files under a folder, as paths with `/`. Other files next to them are ignored.
 * @param known the files in the record, if there is one; then only these count
 * @throws QuernError if the verb's folders contain other files, or a path that it writes is a symbolic link
 */
async function filesOf(
  folder: string,
  { writes, folders }: OutputLayout,
  known: ReadonlySet<string> | undefined,
  verb: string,
): Promise<string[]> {
  const ours: string[] = [];
  const refuse = (path: string, what: string) => {
    throw refusal(`${join(folder, path)} ${what}; move it away, or choose another folder for the output`);
  };
  // `isRest`: inside a temporary folder that a killed process left.
  const walk = async (at: string, isRest = false): Promise<void> => {
    for (const entry of await readdir(join(folder, at), { withFileTypes: true })) {
      const path = at === "" ? entry.name : `${at}/${entry.name}`;
      const belongs = at !== "" || folders?.test(entry.name) === true;
      const isTemporary = isRest || (belongs && isLeftover(entry.name));
      if (entry.isSymbolicLink() && (belongs || writes(path))) {
        refuse(path, "is a symbolic link, and Quern does not write through links");
      }
      if (entry.isDirectory()) {
        if (belongs) await walk(path, isTemporary);
      } else if (isTemporary || (writes(path) && known?.has(path) !== false)) ours.push(path);
      else if (belongs || writes(path)) refuse(path, `was not written by quern ${verb}`);
    }
  };
  await walk("");
  return ours.sort();
}

const isOwnName = (name: string) =>
  [RECORD, LOCK].some((own) => name === own || (isLeftover(name) && name.startsWith(`.${own}.`)));

/** Removes files, and folders that become empty. Of a link it removes the link, never its target. */
async function removeFiles(folder: string, files: readonly string[]): Promise<void> {
  const folders = new Set<string>();
  for (const path of files) {
    await rm(join(folder, path), { force: true });
    for (let at = dirname(path); at !== "."; at = dirname(at)) folders.add(at);
  }
  // The deepest first.
  for (const path of [...folders].sort((a, b) => b.length - a.length)) await rmdir(join(folder, path)).catch(() => {});
}

async function claimFile({ verb, out, inputs, beside = [], force = false }: OutputRequest): Promise<OutputClaim> {
  await refuseDetour(out);
  await refuseOverlap(out, inputs);
  await refuseDangling(out);
  const made = await missingFolders(dirname(out));
  await makeFolder(dirname(out));
  const path = join(await realpath(dirname(out)), basename(out));
  const folder = dirname(path);
  const recordPath = join(folder, `.${basename(path)}${RECORD}`);
  const names = [basename(path), ...beside];
  const there = async () => {
    const found: string[] = [];
    for (const name of names) {
      const status = await lstat(join(folder, name)).catch(() => undefined);
      if (status === undefined) continue;
      if (status.isDirectory()) throw refusal(`the output ${join(dirname(out), name)} is a folder, not a file`);
      found.push(name);
    }
    return found;
  };
  const examineFile = async () => {
    const record = await readRecord(recordPath);
    const found = await there();
    const foreign = found.find((name) => record?.verb !== verb || !record.files.includes(name));
    if (foreign !== undefined) {
      throw refusal(
        `${join(dirname(out), foreign)} exists and was not written by quern ${verb}; choose another name for the output`,
      );
    }
    if (found.length > 0 && record?.state === "finished" && !force) {
      throw refusal(
        `${out} was written by an earlier quern ${verb}; give --force to replace it, or choose another name`,
      );
    }
    return record;
  };
  await examineFile();
  const lock = await lockOrRefuse(join(folder, `.${basename(path)}${LOCK}`), out);
  const before = await examineFile().catch(async (error: unknown) => {
    await lock.release();
    throw error;
  });
  if (before !== undefined) {
    await removeLeftoversOf(folder, (name) => names.includes(name) || name === basename(recordPath));
  }
  // The old file remains until the new one replaces it.
  await writeRecord(recordPath, { verb, state: "unfinished", files: names });
  let finished = false;
  return {
    async finish() {
      await writeRecord(recordPath, { verb, state: "finished", files: await there() });
      finished = true;
    },
    async release() {
      const found = await there();
      if (found.length === 0) await rm(recordPath, { force: true });
      else if (!finished && before?.state === "finished") await writeRecord(recordPath, before);
      await lock.release();
      if (found.length === 0) await removeEmpty(made);
    },
  };
}

async function lockOrRefuse(path: string, out: string): Promise<Lock> {
  const lock = await takeLock(path);
  if (!isHolder(lock)) return lock;
  const { pid, host } = lock;
  const who = pid === process.pid ? "another call of this process" : `process ${pid} on ${host}`;
  throw refusal(`${out} is being written by ${who}; wait for it, or choose another place for the output`);
}

async function refuseDangling(out: string): Promise<void> {
  const status = await lstat(out).catch(() => undefined);
  if (!status?.isSymbolicLink()) return;
  await stat(out).catch(() => {
    throw refusal(
      `the output ${out} is a symbolic link to a missing file or folder; remove it, or choose another path`,
    );
  });
}

async function readRecord(path: string): Promise<OutputRecord | undefined> {
  const status = await lstat(path).catch(() => undefined);
  if (!status?.isFile()) return undefined;
  try {
    return recordSchema.safeParse(JSON.parse(await readFile(path, "utf8"))).data;
  } catch {
    return undefined;
  }
}

function writeRecord(
  path: string,
  record: { readonly verb: string; readonly state: string; readonly files: readonly string[] },
) {
  return writeFileAtomic(path, `${JSON.stringify({ format: "quern output", quern: version, ...record }, null, 1)}\n`);
}

const refusal = (message: string) => new QuernError(message, { exitCode: 2 });
