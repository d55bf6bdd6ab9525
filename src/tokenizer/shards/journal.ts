/**
 * @file Resumes interrupted writing of token shards. Complete files are kept, with a journal that lists them, in a hidden folder
 * inside the output folder. A call with the same key continues from there.
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

/** The complete files of each split; call `save` after adding one. */
export interface ShardsProgress {
  readonly train: ShardsSplitHeader["files"];
  readonly heldout: ShardsSplitHeader["files"];
  save(): Promise<void>;
}

/** Names of folders of unfinished shards; random, so that no other user can create the folder first. */
const PARTIAL = /^\.partial-[0-9a-f]{24}$/;

interface ResumableWork {
  /** Identifies the work: only a call with the same key resumes it. */
  readonly key: string;
  /** Whether complete files stay for the next call when `signal` aborts; default true. */
  readonly keep?: boolean;
  /** The file that is moved into place last. */
  readonly last: string;
  readonly signal?: AbortSignal;
}

/**
 * Calls `fill` with a hidden folder and the complete files that earlier work of the same `key` left there. When `fill` returns,
 * moves the folder's files into `path`, the file `last` at the end. Complete files stay if `signal` aborts or the process is
 * killed; any other error removes them. The caller has claimed `path`.
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
    // Removing the header first marks the folder as incomplete while old files are replaced by new ones.
    await rm(join(path, last), { force: true });
    const names = await readdir(folder);
    for (const name of [...names.filter((name) => name !== last), last]) {
      await replaceFolder(join(folder, name), join(path, name));
    }
    await rmdir(folder);
    return result;
  } catch (error) {
    if (!keep || !signal?.aborted) await rm(folder, { recursive: true, force: true });
    await rmdir(path).catch(() => {}); // fails unless the folder is empty
    const failure = fileError(error, "write", path);
    // Name the final path in the message, not the hidden folder.
    if (!(failure instanceof QuernError) || !failure.message.includes(folder)) throw failure;
    throw new QuernError(failure.message.replaceAll(folder, path), { exitCode: failure.exitCode, cause: failure });
  }
}

/**
 * Returns the folder in `path` where earlier work with this key was saved, or a new one; removes the folders of other
 * work.
 */
async function findPartial(path: string, key: string): Promise<{ readonly folder: string; readonly journal: Journal }> {
  let found: { readonly folder: string; readonly journal: Journal } | undefined;
  for (const name of (await readdir(path)).filter((name) => PARTIAL.test(name))) {
    const folder = join(path, name);
    const status = await lstat(folder);
    // A link or another user's folder was not created by this command.
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

/** Reads the journal of earlier work of this key; undefined if it is missing, invalid or does not match its files. */
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

/** Removes all files that the journal does not list, such as one that a kill left incomplete. */
async function tidy(folder: string, journal: Journal): Promise<void> {
  const kept = new Set(
    [...journal.train, ...journal.heldout].flatMap(({ name }) => [`${name}.tokens`, `${name}.ends`]),
  );
  for (const name of await readdir(folder)) {
    if (!kept.has(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}
