/**
 * @file What is left of token shards whose writing was interrupted or killed: the files that are whole, in a hidden folder
 * inside the one that they are for, with a journal of them. The same work resumes from there.
 */
import { randomBytes } from "node:crypto";
import { lstat, mkdir, readdir, readFile, rm, rmdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { makeFolder, replaceFolder, writeFileAtomic } from "../../documents/index.js";
import { fileError, QuernError } from "../../errors.js";
import { fileSchema, type ShardsSplitHeader } from "./shards.js";

const JOURNAL = "journal.json";

const schema = z.strictObject({
  key: z.string(),
  train: z.array(fileSchema),
  heldout: z.array(fileSchema),
});

type Journal = z.output<typeof schema>;

/** The files of each split that are whole; `save` is called after each more. */
export interface ShardsProgress {
  readonly train: ShardsSplitHeader["files"];
  readonly heldout: ShardsSplitHeader["files"];
  save(): Promise<void>;
}

/** Names of folders of unfinished shards: nobody can guess one and put a folder of that name there first. */
const PARTIAL = /^\.partial-[0-9a-f]{24}$/;

interface ResumableWork {
  /** Names the work. */
  readonly key: string;
  /** Whether what is whole stays for the next call when `signal` aborts; true by default. */
  readonly keep?: boolean;
  readonly last: string;
  readonly signal?: AbortSignal;
}

/**
 * Calls `fill` with a folder to write in and the files that are there already from work of the same `key`, and moves all of
 * it into `path` when `fill` returns, the file `last` at the end. What is whole stays if `signal` aborts or the process is
 * killed; any other error removes it. The caller has claimed `path`.
 */
export async function writeFolderResumably<T>(
  path: string,
  { key, keep = true, last, signal }: ResumableWork,
  fill: (folder: string, progress: ShardsProgress) => Promise<T>,
): Promise<T> {
  await makeFolder(path);
  const { folder, journal } = await findPartial(path, key);
  const file = join(folder, JOURNAL);
  const save = () => writeFileAtomic(file, `${JSON.stringify(journal, null, 2)}\n`);
  try {
    await tidy(folder, journal);
    await save();
    const result = await fill(folder, { train: journal.train, heldout: journal.heldout, save });
    await rm(file);
    // Without its header what lies there is no shards: neither the old ones nor the new ones while they move in.
    await rm(join(path, last), { force: true });
    const names = await readdir(folder);
    for (const name of [...names.filter((name) => name !== last), last]) {
      await replaceFolder(join(folder, name), join(path, name));
    }
    await rmdir(folder);
    return result;
  } catch (error) {
    if (!keep || !signal?.aborted) await rm(folder, { recursive: true, force: true });
    await rmdir(path).catch(() => {}); // only an empty folder goes
    const told = fileError(error, "write", path);
    // What failed inside is told by the name that it would have had.
    if (!(told instanceof QuernError) || !told.message.includes(folder)) throw told;
    throw new QuernError(told.message.replaceAll(folder, path), { exitCode: told.exitCode, cause: told });
  }
}

/** The folder that earlier work of this key left in `path`, or a new one; those of other work are removed. */
async function findPartial(path: string, key: string): Promise<{ readonly folder: string; readonly journal: Journal }> {
  let found: { readonly folder: string; readonly journal: Journal } | undefined;
  for (const name of (await readdir(path)).filter((name) => PARTIAL.test(name))) {
    const folder = join(path, name);
    const status = await lstat(folder);
    // A link, or another user's: not what this verb made.
    if (!status.isDirectory() || (process.getuid !== undefined && status.uid !== process.getuid())) continue;
    const journal = found === undefined ? await readJournal(folder, key) : undefined;
    if (journal !== undefined) found = { folder, journal };
    else await rm(folder, { recursive: true, force: true });
  }
  if (found !== undefined) return found;
  const folder = join(path, `.partial-${randomBytes(12).toString("hex")}`);
  await mkdir(folder);
  return { folder, journal: { key, train: [], heldout: [] } };
}

/** The journal of earlier work of this key, or undefined. */
async function readJournal(folder: string, key: string): Promise<Journal | undefined> {
  let text: string;
  try {
    text = await readFile(join(folder, JOURNAL), "utf8");
  } catch {
    return undefined;
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const { data: journal } = schema.safeParse(json);
  if (journal === undefined) return undefined;
  if (journal.key !== key) return undefined;
  for (const { name, documents } of [...journal.train, ...journal.heldout]) {
    const size = await stat(join(folder, `${name}.ends`)).then(
      (found) => found.size,
      () => -1,
    );
    if (size !== documents * 4) return undefined;
  }
  return journal;
}

/** Removes from the folder all but the files of the journal: a file that a kill cut short, other work's files. */
async function tidy(folder: string, journal: Journal): Promise<void> {
  const kept = new Set(
    [...journal.train, ...journal.heldout].flatMap(({ name }) => [`${name}.tokens`, `${name}.ends`]),
  );
  for (const name of await readdir(folder)) {
    if (!kept.has(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}
